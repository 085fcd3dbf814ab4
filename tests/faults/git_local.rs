//! Sources on this machine: refs, reading, checkout.

use harness::repository;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use factory::build::checkout::checkout;
use factory::resolve::refs;
use factory::store::Store;
use factory::store::git::{EntryKind, Network, RefScope, SourceUrl, Tree};

use harness::npm_registry::Registry;
use harness::program::Test;
use harness::repository::Repository;

static GO: AtomicBool = AtomicBool::new(false);

struct Fixture {
    root: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path().join("cache")).unwrap();
        Self { root, store }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn url(&self, repo: &str) -> SourceUrl {
        SourceUrl::parse(repo, self.root.path()).unwrap()
    }

    fn resolve(&self, repo: &str, requested: &str) -> factory::Result<refs::Resolution> {
        refs::resolve(&self.store, &self.url(repo), requested, &Network::default(), &GO)
    }

    #[track_caller]
    fn commit_of(&self, repo: &str, requested: &str) -> String {
        self.resolve(repo, requested).unwrap().commit
    }

    #[track_caller]
    fn tree(&self, repo: &str, commit: &str) -> Tree {
        let repository = self.store.repository(&self.url(repo), &GO).unwrap();
        repository.fetch(commit, &Network::default(), &GO).unwrap()
    }
}

#[harness::test]
fn every_kind_of_ref_of_a_clone_a_bare_repository_and_a_linked_work_tree() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("clone"));
    let first = repository.write("a", "1").commit("first");
    repository.git(&["tag", "-a", "v1", "-m", "annotated"]);
    repository.git(&["tag", "light"]);
    repository.git(&["branch", "release-1.9"]);
    let second = repository.write("a", "2").commit("second");
    repository.git(&["update-ref", "refs/pull/1/head", &first]);
    repository.git(&["clone", "--quiet", "--mirror", ".", "../bare.git"]);
    repository.git(&["worktree", "add", "--quiet", "../linked", "release-1.9"]);
    repository.git(&["pack-refs", "--all"]);

    for repo in ["clone", "bare.git"] {
        assert_eq!(fixture.commit_of(repo, ""), second);
        for name in ["v1", "light", "release-1.9", "refs/tags/v1", "refs/pull/1/head", &first, &first[..9]] {
            assert_eq!(fixture.commit_of(repo, name), first, "{repo} {name}");
        }
    }
    assert_eq!(fixture.commit_of("linked", ""), first);
    assert_eq!(fixture.commit_of("linked", "main"), second);

    let error = fixture.resolve("clone", "relase-1.9").unwrap_err();
    assert_eq!(error.to_string(), "the repository `clone` has no branch, tag or commit `relase-1.9`");
    assert!(error.hint().unwrap().starts_with("the nearest it has: `release-1.9`"));
    let missing = "1".repeat(40);
    assert_eq!(
        fixture.resolve("clone", &missing).unwrap_err().to_string(),
        format!("the repository `clone` has no commit `{missing}`")
    );
    let tree_id = repository.git(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(
        fixture.resolve("clone", &tree_id).unwrap_err().to_string(),
        format!("`{tree_id}` of `clone` is a tree, not a commit")
    );

    let listed =
        refs::list_refs(&fixture.store, &fixture.url("clone"), RefScope::All, &Network::default(), &GO).unwrap();
    assert_eq!(listed.head(), Some((Some("refs/heads/main"), second.as_str())));
    assert_eq!(fs::read_dir(fixture.path("cache/git")).unwrap().count(), 0, "local sources are not copied");
}

#[harness::test]
fn steps_from_a_name_and_branches_of_a_clones_origin() {
    let fixture = Fixture::new();
    let origin = Repository::init(&fixture.path("origin"));
    let first = origin.write("a", "1").commit("first");
    origin.git(&["tag", "-a", "v1", "-m", "v1"]);
    let second = origin.write("a", "2").commit("second");
    origin.git(&["checkout", "--quiet", "-b", "side", &first]);
    let side = origin.write("b", "1").commit("side");
    origin.git(&["checkout", "--quiet", "main"]);
    origin.git(&["merge", "--quiet", "--no-edit", "side"]);
    let merged = origin.git(&["rev-parse", "HEAD"]);
    origin.git(&["clone", "--quiet", ".", "../clone"]);
    origin.git(&["clone", "--quiet", "--depth=1", &format!("file://{}", origin.dir.display()), "../shallow"]);
    for (requested, expected) in [
        ("main~1", &second),
        ("main~2", &first),
        ("HEAD^", &second),
        ("HEAD^2", &side),
        ("v1^{commit}", &first),
        ("v1^{}", &first),
        ("v1^0", &first),
        ("origin/side", &side),
        ("origin/main~1", &second),
        ("origin/HEAD", &merged),
        (&format!("{merged}^2~1"), &first),
        (&format!("{}^", &merged[..9]), &second),
    ] {
        assert_eq!(fixture.commit_of("clone", requested), *expected, "{requested}");
    }
    for (repo, requested, message, hint) in [
        ("clone", "v1~1", "the history of `clone` has no `v1~1`", "name a commit that `git log` shows"),
        (
            "shallow",
            "main~1",
            "the history of `shallow` has no `main~1`",
            "it is a shallow clone: fetch the rest of its history (`git fetch --unshallow`), or name another commit",
        ),
        (
            "clone",
            "v2~1",
            "the repository `clone` has no branch, tag or commit `v2`",
            "the nearest it has: `v1`, `main`",
        ),
        (
            "origin",
            "origin/side",
            "the repository `origin` has no branch, tag or commit `origin/side`",
            "write `side`: `origin/side` is what a clone calls it",
        ),
    ] {
        let error = fixture.resolve(repo, requested).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (message, Some(hint)), "{requested}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[harness::test]
fn an_empty_and_a_detached_repository() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    assert_eq!(fixture.resolve("r", "").unwrap_err().to_string(), "the repository `r` is empty");
    let first = repository.write("a", "1").commit("first");
    repository.git(&["checkout", "--quiet", "--detach"]);
    repository.write("a", "2").commit("second");
    repository.git(&["checkout", "--quiet", &first]);
    let resolution = fixture.resolve("r", "").unwrap();
    assert_eq!((resolution.commit, resolution.name.as_deref()), (first, Some("HEAD")));
}

#[harness::test]
fn a_shallow_clone_as_ci_makes_it_is_a_source() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    repository.write("a", "1").commit("first");
    let second = repository.write("a", "2").commit("second");
    let url = format!("file://{}", repository.dir.display());
    repository.git(&["clone", "--quiet", "--depth=1", &url, "../shallow"]);
    assert_eq!(fixture.commit_of("shallow", ""), second);
    let tree = fixture.tree("shallow", &second);
    assert_eq!(tree.read("a").unwrap().unwrap(), b"2");
    checkout(&tree, ".", &fixture.path("out"), &GO).unwrap();
}

#[harness::test]
fn reading_without_a_checkout() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    repository.write("package.json", "{}").write("plugins/a/package.json", "{\"a\":1}").write("plugins/b/x", "");
    repository.write("plugins/a/node_modules/z/package.json", "{}");
    repository.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(repository.dir.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../a/package.json", repository.dir.join("plugins/b/package.json")).unwrap();
    symlink("../../..", repository.dir.join("plugins/b/out")).unwrap();
    symlink("plugins/a", repository.dir.join("link")).unwrap();
    let commit = repository.commit("all");
    let tree = fixture.tree("r", &commit);

    assert_eq!(tree.commit(), commit);
    assert_eq!(tree.epoch(), 1_763_000_000);
    assert_eq!(tree.work_tree(), Some(repository.dir.canonicalize().unwrap()));
    let read = |path: &str| tree.read(path).unwrap().map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(read("package.json").as_deref(), Some("{}"));
    assert_eq!(read("./plugins//a/package.json").as_deref(), Some("{\"a\":1}"));
    assert_eq!(read("plugins/b/package.json").as_deref(), Some("{\"a\":1}"), "through a symlink");
    assert_eq!(read("link/package.json").as_deref(), Some("{\"a\":1}"), "through a linked folder");
    for nothing in ["nope", "plugins", "package.json/x", "plugins/b/out", "."] {
        assert_eq!(read(nothing), None, "{nothing}");
    }
    for outside in ["../x", "/etc/passwd", "plugins/../../x"] {
        assert_eq!(tree.read(outside).unwrap_err().to_string(), format!("the path `{outside}` leaves the repository"));
    }
    assert_eq!(tree.kind("plugins").unwrap(), Some(EntryKind::Folder));
    assert_eq!(tree.kind("run.sh").unwrap(), Some(EntryKind::Executable));

    let walked: Vec<_> = tree
        .walk("plugins", |path, _| !path.ends_with("node_modules"))
        .unwrap()
        .map(|entry| (entry.path, entry.kind))
        .collect();
    let expected = [
        ("plugins/a", EntryKind::Folder),
        ("plugins/a/package.json", EntryKind::File),
        ("plugins/b", EntryKind::Folder),
        ("plugins/b/out", EntryKind::Symlink),
        ("plugins/b/package.json", EntryKind::Symlink),
        ("plugins/b/x", EntryKind::File),
    ];
    assert_eq!(walked, expected.map(|(path, kind)| (path.to_owned(), kind)));
    assert_eq!(tree.walk("nope", |_, _| true).unwrap().count(), 0);
    assert_eq!(tree.walk(".", |_, kind| kind != EntryKind::Folder).unwrap().count(), 3);
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[harness::test]
fn a_checkout_has_the_committed_bytes_and_fixed_modes() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    repository.write(".gitattributes", "*.txt text eol=crlf\n*.bin filter=evil\nver export-subst ident\n");
    repository.git(&["config", "filter.evil.smudge", "touch /tmp/evil-smudge; cat"]);
    repository.git(&["config", "core.autocrlf", "false"]);
    repository.write("lf.txt", "a\nb\n").write("x.bin", "bytes").write("ver", "$Id$ $Format:%H$\n");
    repository.write("deep/er/run.sh", "#!/bin/sh\n").write("deep/ümlaut", "u").write("empty", "");
    repository.write("lfs.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    fs::set_permissions(repository.dir.join("deep/er/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("er/run.sh", repository.dir.join("deep/link")).unwrap();
    symlink("../deep", repository.dir.join("deep/self")).unwrap();
    symlink("no/such", repository.dir.join("dangling")).unwrap();
    let commit = repository.commit("all");
    let tree = fixture.tree("r", &commit);

    let out = fixture.path("out");
    let done = checkout(&tree, ".", &out, &GO).unwrap();
    assert_eq!(done.files, 8);
    assert_eq!(done.warnings, ["Git LFS files are left as pointers: `lfs.bin`"]);
    assert_eq!(fs::read(out.join("lf.txt")).unwrap(), b"a\nb\n");
    assert_eq!(fs::read(out.join("ver")).unwrap(), b"$Id$ $Format:%H$\n");
    assert_eq!(fs::read(out.join("x.bin")).unwrap(), b"bytes");
    assert_eq!(fs::read_link(out.join("deep/link")).unwrap(), Path::new("er/run.sh"));
    assert_eq!(fs::read(out.join("deep/self/ümlaut")).unwrap(), b"u");
    assert!(out.join("dangling").is_symlink());
    assert!(!out.join(".git").exists());
    assert_eq!([mode(&out), mode(&out.join("deep")), mode(&out.join("deep/er/run.sh"))], [0o755; 3]);
    assert_eq!([mode(&out.join("lf.txt")), mode(&out.join("empty"))], [0o644; 2]);

    let sub = checkout(&tree, "deep/er", &fixture.path("sub"), &GO).unwrap();
    assert_eq!((sub.files, fs::read(fixture.path("sub/run.sh")).unwrap()), (1, b"#!/bin/sh\n".to_vec()));
    let error = checkout(&tree, "nope", &fixture.path("none"), &GO).unwrap_err();
    assert_eq!(error.to_string(), format!("`r` has no folder `nope` at commit `{commit}`"));

    let again = checkout(&tree, ".", &out, &GO).unwrap_err().to_string();
    assert!(again.starts_with(&format!("cannot check out into `{}`", out.display())), "{again}");
    assert_eq!(fs::read(out.join("x.bin")).unwrap(), b"bytes", "a folder in use is left alone");
}

#[harness::test]
fn hostile_trees_are_refused_by_name_and_leave_nothing() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    let blob = repository.hash_object("blob", b"x");
    let out_link = repository.hash_object("blob", b"../../etc/passwd");
    let abs_link = repository.hash_object("blob", b"/etc/passwd");
    let dir_link = repository.hash_object("blob", b"d");
    let tree_of_blob = {
        let commit = repository.commit_raw_tree(&[("100644", "f", &blob)]);
        repository.git(&["rev-parse", &format!("{commit}^{{tree}}")])
    };
    for (entries, said) in [
        (vec![("120000", "leak", out_link.as_str())], "has symlinks that lead out of it: `leak` -> `../../etc/passwd`"),
        (vec![("120000", "leak", &abs_link)], "has symlinks that lead out of it: `leak` -> `/etc/passwd`"),
        (vec![("40000", ".git", &tree_of_blob)], "has a file that cannot be checked out: `.git`"),
        (vec![("40000", ".GIT", &tree_of_blob)], "has a file that cannot be checked out: `.GIT`"),
        (vec![("40000", "git~1", &tree_of_blob)], "has a file that cannot be checked out: `git~1`"),
        (vec![("100644", "..", &blob)], "has a file that cannot be checked out: `..`"),
        (vec![("100644", "a/b", &blob)], "has a file that cannot be checked out"),
        (vec![("120000", "d", &dir_link), ("40000", "d", &tree_of_blob)], "has a file that cannot be checked out: `d`"),
    ] {
        let commit = repository.commit_raw_tree(&entries);
        let out = fixture.path("out");
        let error = checkout(&fixture.tree("r", &commit), ".", &out, &GO).unwrap_err().to_string();
        assert!(error.starts_with(&format!("commit `{commit}` of `r` {said}")), "{error}");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }
    assert!(!Path::new("/tmp/evil-smudge").exists());
}

#[harness::test]
fn garbage_depth_and_bombs_are_errors() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    let said = |commit: &str| {
        let out = fixture.path("out");
        let error = checkout(&fixture.tree("r", commit), ".", &out, &GO).unwrap_err().to_string();
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
        error
    };
    let garbage = repository.hash_object("tree", b"100644 a\0short");
    let commit = repository.git(&["commit-tree", &garbage, "-m", "garbage"]);
    let error = said(&commit);
    assert!(error.starts_with("cannot read from the repository `r`: "), "{error}");
    assert_eq!(fixture.tree("r", &commit).walk(".", |_, _| true).unwrap_err().to_string(), error);

    let tree = |entries: &[u8]| hex::decode(repository.hash_object("tree", entries)).unwrap();
    let nest = |inner: Vec<u8>, names: &[String]| {
        let mut entries = Vec::new();
        for name in names {
            entries.extend_from_slice(format!("40000 {name}\0").as_bytes());
            entries.extend_from_slice(&inner);
        }
        tree(&entries)
    };
    let empty = tree(b"");
    let deep = (0..30).fold(empty.clone(), |inner, _| nest(inner, &["d".repeat(200)]));
    let commit = repository.git(&["commit-tree", &hex::encode(deep), "-m", "deep"]);
    assert_eq!(said(&commit), format!("commit `{commit}` of `r` has a path that is too long"));

    let names: Vec<String> = (100..200).map(|n| n.to_string()).collect();
    let bomb = (0..8).fold(empty, |inner, _| nest(inner, &names));
    let commit = repository.git(&["commit-tree", &hex::encode(bomb), "-m", "bomb"]);
    assert_eq!(said(&commit), format!("commit `{commit}` of `r` has too many files"));
}

#[harness::test]
fn a_repository_of_another_hash_is_an_error() {
    let fixture = Fixture::new();
    let dir = fixture.path("sha256");
    fs::create_dir(&dir).unwrap();
    let made = repository::git(&dir).args(["init", "--quiet", "--object-format=sha256"]).status().unwrap();
    assert!(made.success());
    let error = fixture.resolve("sha256", "").unwrap_err().to_string();
    assert!(error.starts_with("cannot open the repository `sha256`: "), "{error}");
}

#[harness::test]
fn submodules_are_left_out_with_a_warning() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    let inner = repository.write("a", "1").commit("first");
    repository.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{inner},vendor/sub")]);
    repository.git(&["commit", "--quiet", "-m", "submodule"]);
    let commit = repository.git(&["rev-parse", "HEAD"]);
    let done = checkout(&fixture.tree("r", &commit), ".", &fixture.path("out"), &GO).unwrap();
    assert_eq!(done.warnings, ["submodules are not checked out, their folders are empty: `vendor/sub`"]);
    assert_eq!(fs::read_dir(fixture.path("out/vendor/sub")).unwrap().count(), 0);
}

#[harness::test]
fn an_interrupted_checkout_leaves_an_empty_folder() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    for file in 0..200 {
        repository.write(&format!("d{}/f{file}", file % 7), "x");
    }
    let commit = repository.commit("many");
    let out = fixture.path("out");
    let interrupted = checkout(&fixture.tree("r", &commit), ".", &out, &AtomicBool::new(true));
    assert!(matches!(interrupted, Err(factory::Error::Interrupted)));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[harness::test]
fn damaged_objects_are_noticed() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    let commit = repository.write("a", "right").commit("first");
    let right = repository.git(&["rev-parse", "HEAD:a"]);
    let wrong = repository.hash_object("blob", b"wrong");
    let object = |id: &str| repository.dir.join(".git/objects").join(&id[..2]).join(&id[2..]);
    fs::remove_file(object(&right)).unwrap();
    fs::copy(object(&wrong), object(&right)).unwrap();
    let error = checkout(&fixture.tree("r", &commit), ".", &fixture.path("out"), &GO).unwrap_err();
    assert!(error.to_string().starts_with("cannot read from the repository `r`: "), "{error}");
    fs::remove_file(object(&right)).unwrap();
    let error = checkout(&fixture.tree("r", &commit), ".", &fixture.path("out"), &GO).unwrap_err();
    assert!(error.to_string().contains(&right), "{error}");
}

#[harness::test]
fn many_workspaces_in_few_repositories_and_one_that_is_gone() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("a"));
    let commit = repository.write("a", "1").commit("first");
    let other = Repository::init(&fixture.path("b")).write("b", "1").commit("first");
    Repository::init(&fixture.path("empty"));
    let requests = [("a", ""), ("empty", "main"), ("b", "main"), ("a", "mian"), ("a", commit.as_str())]
        .map(|(repo, requested)| (fixture.url(repo), requested.to_owned()));
    fs::remove_dir_all(fixture.path("b/.git")).unwrap();
    let answers = refs::resolve_many(&fixture.store, &requests, 4, &Network::default(), &GO);
    let text: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(resolution) => resolution.commit.clone(),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!([&text[0], &text[4]], [&commit, &commit]);
    assert_eq!(text[1], "the repository `empty` is empty");
    assert!(text[2].starts_with("cannot open the repository `b`: "), "{}", text[2]);
    assert_eq!(text[3], "the repository `a` has no branch, tag or commit `mian`");
    assert_ne!(commit, other);
}

/// A repository of one workspace with a plugin, and its configuration. The tools do nothing.
fn workspace() -> (Test, Repository) {
    let mut test = Test::new();
    let repository = Repository::init(&test.path("repo"));
    repository.write("package.json", r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#);
    repository.write("yarn.lock", "__metadata:\n  version: 8\n");
    let manifest = r#"{"name":"@x/todo","version":"1.0.0","backstage":{"role":"frontend-plugin"}}"#;
    repository.write("plugins/todo/package.json", manifest).commit("first");
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "main", "workspace-path": "."}"#);
    test.config("plugins-list.yaml", "plugins/todo:\n");
    Registry::lay_tree(&test.path("config"));
    test.env("NPM_CONFIG_REGISTRY", Registry::of_idle_tools().url);
    (test, repository)
}

#[harness::test]
fn a_build_warns_of_uncommitted_changes_that_it_does_not_build() {
    let (test, repository) = workspace();
    test.run(&["resolve"]).success();
    let warning = "repo: uncommitted changes in `../repo` are not built: `plugins/todo/new.ts`";
    // The tools do nothing here, so the build fails after that.
    assert!(!test.run(&["build"]).stderr.contains("uncommitted"));
    repository.write("plugins/todo/new.ts", "");
    let outcome = test.run(&["build"]);
    assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
}

#[harness::test]
fn uncommitted_changes_are_told() {
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    repository.write(".gitignore", "node_modules\n").write("w/a", "1").write("w/b", "1").write("w/c", "1");
    let first = repository.write("other/x", "1").commit("first");
    let opened = fixture.store.repository(&fixture.url("r"), &GO).unwrap();
    assert_eq!(opened.uncommitted(&first, "."), [""; 0]);

    repository.write("w/a", "2").write("w/new/n", "1").write("w/node_modules/m", "1").write("other/x", "2");
    repository.write("w/staged", "1").git(&["add", "w/staged"]);
    fs::remove_file(repository.dir.join("w/b")).unwrap();
    assert_eq!(opened.uncommitted(&first, "w"), ["w/a", "w/b", "w/new", "w/staged"]);
    assert_eq!(opened.uncommitted(&first, "./other/"), ["other/x"]);
    assert_eq!(opened.uncommitted(&first, ".").len(), 5);
    assert_eq!(opened.uncommitted(&first, "w["), [""; 0]);

    let second = repository.commit("second");
    repository.write("w/a", "3");
    assert_eq!(opened.uncommitted(&first, "."), [""; 0], "another commit is checked out");
    assert_eq!(opened.uncommitted(&second, "."), ["w/a"]);
}

/// Containers see a mounted clone as somebody else's: `git` refuses such a repository, factory does not need to.
#[harness::test]
fn a_clone_that_belongs_to_somebody_else() {
    harness::needs_root();
    let fixture = Fixture::new();
    let repository = Repository::init(&fixture.path("r"));
    let commit = repository.write("a", "1").commit("first");
    let chown = std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(&repository.dir).status().unwrap();
    assert!(chown.success());
    let refused = repository::git(&repository.dir).args(["rev-parse", "HEAD"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("dubious ownership"));

    assert_eq!(fixture.commit_of("r", "main"), commit);
    let out = fixture.path("out");
    checkout(&fixture.tree("r", &commit), ".", &out, &GO).unwrap();
    assert_eq!(fs::read(out.join("a")).unwrap(), b"1");
    repository.write("a", "2");
    let opened = fixture.store.repository(&fixture.url("r"), &GO).unwrap();
    assert_eq!(opened.uncommitted(&commit, "."), ["a"]);
}

#[harness::test]
fn what_cannot_be_checked_out_is_refused_by_resolve_too() {
    let (test, repository) = workspace();
    for (path, target) in [("leak", "../../etc/passwd"), ("deep/er/abs", "/etc/passwd")] {
        let link = repository.dir.join(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, &link).unwrap();
        let commit = repository.commit("link");
        let refused = format!(
            "error: commit `{commit}` of `../repo` has symlinks that lead out of it: `{path}` -> `{target}`\n\nhint: such a \
             commit is not built: fix it in the repository, or pin another one\n"
        );
        let outcome = test.run(&["resolve"]).exits(1);
        assert!(outcome.stderr.contains(&refused), "{}", outcome.stderr);
        fs::remove_file(&link).unwrap();
    }
    repository.commit("without");
    test.run(&["resolve"]).success();
}
