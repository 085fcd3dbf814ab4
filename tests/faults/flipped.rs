//! One bit that is wrong, in every kind of entry of the cache and every digest of the lock: it is named, with its exit
//! code, and nothing is built from it. The tools do nothing here, so all of it takes seconds; what needs a real build
//! is in `real_reproducible`.

use harness::package;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use factory::Error;
use factory::build::artefact::{Artefact, PackageRecord};
use factory::build::checkout::checkout;
use factory::build::file_list::FileList;
use factory::build::report::Output;
use factory::build::{BuildOptions, verdict};
use factory::image::{Compression, PackageFiles};
use factory::lock::companions::CompanionPath;
use factory::lock::{Integrity, Lock, Sealed, SealedPackages, Sha256};
use factory::sandbox::root::Isolation;
use factory::store::Store;
use factory::store::git::{Network, SourceUrl};
use harness::git_server::{Behaviour, Server};
use harness::npm_registry::Registry;
use harness::program::{Outcome, Test, names, text};
use harness::repository::Repository;
use sha2::{Digest as _, Sha512};

const OFFLINE: [&str; 2] = ["build", "--offline"];
const TREE: &str = "factory.lock.d/rhdh-cli/1.9.1/package-lock.json";
const LIST: &str = "factory.lock.d/repo/packages.sha512";
const NO_DEPENDENCIES: &str = "__metadata:\n  version: 8\n";
const CLOSURE: &str = "factory.lock.d/repo/plugins/todo-backend/yarn.lock";

/// A sealed lock and a cache that has all that it names.
struct Filled {
    test: Test,
    url: String,
    commit: String,
    _server: Server,
}

fn sha512(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha512::digest(bytes))
}

/// The name of a zip in yarn's cache (`structUtils.slugifyLocator` and the cache key).
fn zip(name: &str, reference: &str) -> String {
    let ident = sha512(name);
    format!("{name}-npm-1.0.0-{}-10c0.zip", &sha512(format!("{ident}{reference}"))[..10])
}

impl Filled {
    fn new() -> Self {
        let mut test = Test::new();
        let repo = Repository::init(&test.path("served/repo"));
        repo.write("package.json", r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#);
        let lockfile = format!(
            "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\
             \"a@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \"a@npm:1.0.0\"\n  checksum: 10c0/{}\n\n\
             \"native@npm:1.0.0\":\n  version: 1.0.0\n  resolution: \"native@npm:1.0.0\"\n  conditions: os=linux\n",
            sha512("zip of a")
        );
        repo.write("yarn.lock", &lockfile);
        let manifest = r#"{"name":"@x/todo-backend","version":"1.0.0","backstage":{"role":"backend-plugin"}}"#;
        repo.write("plugins/todo-backend/package.json", manifest);
        repo.write("src/index.ts", "one\n".repeat(100));
        let commit = repo.commit("first");
        let server = Server::start(&test.path("served"), Behaviour::default());
        let url = server.url("repo");
        test.config("source.json", format!(r#"{{"repo": "{url}", "repo-ref": "main", "workspace-path": "."}}"#));
        test.config("plugins-list.yaml", "plugins/todo-backend:\n");
        test.config("plugins/todo-backend/overlay/x.ts", "overlay");
        Registry::lay_tree(&test.path("config"));
        test.env("NPM_CONFIG_REGISTRY", Registry::of_idle_tools().url);
        test.run(&["resolve"]).success();

        // The commit and the tools; then the packages that a yarn would have brought.
        let filled = Self { test, url, commit, _server: server };
        assert_eq!(filled.problem(&["build"]), nothing_wrong());
        for (folder, name, bytes) in [
            (filled.yarn("cache"), zip("a", "npm:1.0.0"), "zip of a"),
            (filled.unpinned(), zip("native", "npm:1.0.0"), "zip of native"),
            (filled.unpinned(), zip("native", "npm:1.0.0").replace(".zip", ".sha512"), &sha512("zip of native")),
        ] {
            fs::write(folder.join(name), bytes).unwrap();
        }
        filled.seal();
        assert_eq!(filled.problem(&OFFLINE), nothing_wrong());
        let list = fs::read_to_string(filled.path("config").join(LIST)).unwrap();
        assert_eq!(list, format!("{} 10c0 native@npm:1.0.0\n", sha512("zip of native")));
        // As if that had not been there yet.
        filled.seal();
        filled
    }

    fn path(&self, name: &str) -> PathBuf {
        self.test.path(name)
    }

    fn yarn(&self, name: &str) -> PathBuf {
        self.path("cache/yarn").join(name)
    }

    /// Where the zips of this repository lie that no lockfile has a checksum of.
    fn unpinned(&self) -> PathBuf {
        let all = self.yarn("unpinned");
        all.join(&names(&all)[0])
    }

    fn lock(&self) -> PathBuf {
        self.path("config/factory.lock")
    }

    fn read(&self) -> Lock {
        Lock::from_text(&fs::read_to_string(self.lock()).unwrap(), Path::new("factory.lock")).unwrap()
    }

    /// As the first build does it, with digests of something.
    fn seal(&self) {
        let mut lock = self.read();
        lock.workspace[0].sealed = None;
        lock.workspace[0].plugin[0].sealed = Some(Sealed {
            closure: Some(Sha256::of(NO_DEPENDENCIES)),
            bundle: None,
            tgz: Integrity::of("tgz"),
            image: Sha256::of("image"),
            layer: Sha256::of("layer"),
            config: None,
            root: None,
        });
        self.test.config(CLOSURE, NO_DEPENDENCIES).config("factory.lock", lock.to_text());
    }

    /// Exit code, first error and its hint.
    fn problem(&self, args: &[&str]) -> (i32, String) {
        let Outcome { code, stderr, .. } = self.test.run(args);
        let from = stderr.find("error: ").map_or("", |at| &stderr[at..]);
        // Others, and what was sealed all the same, follow.
        let end = ["\nerror: ", "\nconfig/"].iter().filter_map(|next| from.find(next)).min();
        let error = &from[..end.unwrap_or(from.len())];
        (code, error.trim_end().to_owned())
    }

    /// The entry of a tool: its folder's name.
    fn tool(&self, start: &str) -> String {
        names(&self.path("cache/tools")).into_iter().find(|name| name.starts_with(start)).unwrap()
    }
}

/// All went well up to what only a real CLI makes.
fn nothing_wrong() -> (i32, String) {
    let made = "[DIR]/cache/work/repo/export-0/written/plugins/todo-backend/dist-dynamic/package.json";
    (1, format!("error: cannot read `{made}`: No such file or directory (os error 2)"))
}

/// Flips the lowest bit of the byte at `at`.
fn flip_at(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    flip_at(path, usize::try_from(path.metadata().unwrap().len()).unwrap() / 2);
}

/// `cp -a`: a cache that was copied or restored is as good as any.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

#[harness::test]
fn in_the_tools() {
    let filled = Filled::new();
    let node = filled.tool("node-linux-");
    let platform = node.split('-').nth(2).unwrap();
    for (start, file, what) in [
        ("node-linux-", "bin/node", format!("node-linux-{platform}@22.9.0")),
        ("npm-", "bin/npm-cli.js", "npm@11.5.0".to_owned()),
        ("yarnpkg-", "bin/yarn.js", "@yarnpkg/cli-dist@4.9.2".to_owned()),
        ("rhdh-cli-", "package.json", "@red-hat-developer-hub/cli@1.9.1".to_owned()),
    ] {
        let entry = filled.path("cache/tools").join(filled.tool(start));
        copy(&entry, &filled.path("kept"));
        for file in [file, ".factory-files"] {
            flip(&entry.join(file));
            let shown = text(&entry.join(file)).replace(text(&filled.path("")), "[DIR]/");
            let error = format!(
                "error: `{what}` in the cache was damaged and is removed: `{shown}` was changed\n\n\
                 hint: run `factory fetch` with a network to fetch it again"
            );
            assert_eq!(filled.problem(&OFFLINE), (5, error));
            assert!(!entry.exists());
            let error = format!(
                "error: `{what}` is not in the cache, and `--offline` allows no network\n\n\
                 hint: run `factory fetch` with a network first"
            );
            assert_eq!(filled.problem(&OFFLINE), (5, error));
            copy(&filled.path("kept"), &entry);
        }
    }
    assert_eq!(filled.problem(&OFFLINE), nothing_wrong());
}

#[harness::test]
fn in_the_packages() {
    let filled = Filled::new();
    let native = filled.unpinned().join(zip("native", "npm:1.0.0"));
    let note = native.with_extension("sha512");
    let pinned = filled.yarn("cache").join(zip("a", "npm:1.0.0"));
    for (flipped, zip, locator) in [
        (&pinned, &pinned, "a@npm:1.0.0"),
        (&native, &native, "native@npm:1.0.0"),
        (&note, &native, "native@npm:1.0.0"),
    ] {
        let (kept, kept_zip) = (fs::read(flipped).unwrap(), fs::read(zip).unwrap());
        flip(flipped);
        let shown = text(zip).replace(text(&filled.path("")), "[DIR]/");
        let error = |what: &str| {
            let hint = "hint: run `factory fetch repo` with a network first";
            (5, format!("error: packages of workspace `repo` {what}; `--offline` allows no network\n\n{hint}"))
        };
        let damaged = format!("in the cache were damaged and are removed: `{shown}` ({locator})");
        assert_eq!(filled.problem(&OFFLINE), error(&damaged));
        assert!(!zip.exists());
        assert_eq!(filled.problem(&OFFLINE), error(&format!("are not in the cache: {locator}")));
        fs::write(zip, kept_zip).unwrap();
        fs::write(flipped, kept).unwrap();
    }
    assert_eq!(filled.problem(&OFFLINE), nothing_wrong());
}

#[harness::test]
fn in_the_packages_that_no_lockfile_has_a_checksum_of() {
    const FROZEN: [&str; 3] = ["build", "--offline", "--frozen"];
    let filled = Filled::new();
    let node = filled.tool("node-linux-");
    let platform = node.split('-').nth(2).unwrap();
    let error = format!(
        "error: config/factory.lock: workspace `repo` was sealed without packages that it needs on linux-{platform}: \
         `native@npm:1.0.0`\n\nhint: build without `--frozen` once on this platform, and commit the lock"
    );
    assert_eq!(filled.problem(&FROZEN), (3, error));

    let seal = |digest: &str| {
        let text = format!("{digest} 10c0 native@npm:1.0.0\n");
        let mut lock = filled.read();
        lock.workspace[0].sealed = Some(SealedPackages { packages: Sha256::of(&text) });
        filled.test.config(LIST, text).config("factory.lock", lock.to_text());
    };
    seal(&sha512("zip of native"));
    assert_eq!(filled.problem(&FROZEN), nothing_wrong());
    let lock = fs::read(filled.lock()).unwrap();
    filled.test.run(&["resolve"]).success();
    assert_eq!(fs::read(filled.lock()).unwrap(), lock, "resolving keeps what still holds");
    let list = filled.path("config").join(LIST);
    flip(&list);
    let (code, error) = filled.problem(&FROZEN);
    assert_eq!(code, 3, "{error}");
    assert!(error.starts_with(&format!("error: config/{LIST}: has the checksum sha256:")), "{error}");
    assert!(error.ends_with("\n\nhint: restore it and the lock from version control"), "{error}");
    flip(&list);

    // Another registry gave this machine something else: it is not this lock's package.
    seal(&sha512("what others were given"));
    let zip = filled.unpinned().join(zip("native", "npm:1.0.0"));
    let shown = text(&zip).replace(text(&filled.path("")), "[DIR]/");
    let error = format!(
        "error: packages of workspace `repo` in the cache were damaged and are removed: `{shown}` (native@npm:1.0.0); \
         `--offline` allows no network\n\nhint: run `factory fetch repo` with a network first"
    );
    assert_eq!(filled.problem(&OFFLINE), (5, error));
    assert!(!zip.exists());

    let repo = Repository { dir: filled.path("served/repo") };
    repo.write("yarn.lock", "__metadata:\n  version: 8\n  cacheKey: 10c0\n").commit("no packages");
    filled.test.run(&["resolve"]).success();
    assert_eq!(filled.read().workspace[0].sealed, None, "the packages are others");
}

#[harness::test]
fn in_the_lock_and_beside_it() {
    let filled = Filled::new();
    let lock = fs::read_to_string(filled.lock()).unwrap();
    // Another digit of the digest behind `key`, at `at`: the whole of it counts.
    let with = |key: &str, at: usize| {
        let start = lock.find(key).unwrap_or_else(|| panic!("no `{key}` in {lock}")) + key.len();
        let value = &lock[start..start + lock[start..].find('"').unwrap()];
        let digits = value.find([':', '-']).map_or(0, |colon| colon + 1) + at;
        let other = if &value[digits..=digits] == "0" { "1" } else { "0" };
        let changed = format!("{}{other}{}", &value[..digits], &value[digits + 1..]);
        (value.to_owned(), changed.clone(), format!("{}{changed}{}", &lock[..start], &lock[start + value.len()..]))
    };
    let said = |key: &str, at: usize| {
        let (locked, changed, text) = with(key, at);
        filled.test.config("factory.lock", text);
        let (code, error) = filled.problem(&OFFLINE);
        filled.test.config("factory.lock", &lock);
        (code, error.replace(&locked, "LOCKED").replace(&changed, "CHANGED"))
    };
    let platform = filled.tool("node-linux-").split('-').nth(2).unwrap().to_owned();
    let missing = |what: &str| {
        let hint = "hint: run `factory fetch` with a network first";
        (5, format!("error: {what} is not in the cache, and `--offline` allows no network\n\n{hint}"))
    };
    for at in [0, 80] {
        let node = format!("linux-{platform} = \"");
        assert_eq!(said(&node, at), missing(&format!("`node-linux-{platform}@22.9.0`")));
        assert_eq!(said("version = \"11.5.0\", integrity = \"", at), missing("`npm@11.5.0`"));
        assert_eq!(said("version = \"4.9.2\", integrity = \"", at), missing("`@yarnpkg/cli-dist@4.9.2`"));
        let cli = "installs @red-hat-developer-hub/cli with the integrity LOCKED, but the lock says CHANGED";
        let hint = "hint: restore it and the lock from version control, or run `factory resolve`";
        let error = format!("error: config/{TREE}: {cli}\n\n{hint}");
        assert_eq!(said("version = \"1.9.1\", integrity = \"", at), (3, error));
    }
    for at in [0, 63] {
        let hint = "hint: restore it and the lock from version control, or run `factory resolve`";
        let error = format!("error: config/{TREE}: has the checksum LOCKED, but the lock says CHANGED\n\n{hint}");
        assert_eq!(said("tree = \"", at), (3, error));
        let error = format!(
            "error: config/{CLOSURE}: has the checksum LOCKED, but the lock says CHANGED\n\n\
             hint: restore it from version control, or run `factory resolve --restamp repo` and build again to seal anew"
        );
        assert_eq!(said("closure = \"", at), (3, error));
        let commit = &filled.commit;
        let error = format!(
            "error: config/factory.lock: the `yarn.lock` of workspace `repo` has the checksum LOCKED at commit {commit}, \
             but the lock says CHANGED\n\n\
             hint: restore the lock from version control, or run `factory resolve repo`"
        );
        assert_eq!(said("yarn-lock = \"", at), (3, error));
        let error = "error: lockfile is stale for workspace `repo`: plugins/todo-backend/overlay/x.ts changed since \
                     `factory resolve`\n\nhint: run `factory resolve --keep repo`, which moves nothing else";
        assert_eq!(said("sha256 = \"", at), (3, error.to_owned()));
    }
    for at in [0, 39] {
        assert_eq!(said("commit = \"", at), missing(&format!("commit CHANGED of `{}`", filled.url)));
    }

    for (file, what) in [(TREE, "has the checksum"), (CLOSURE, "has the checksum")] {
        let path = filled.path("config").join(file);
        let kept = fs::read(&path).unwrap();
        flip(&path);
        let (code, error) = filled.problem(&OFFLINE);
        assert_eq!(code, 3, "{error}");
        assert!(error.starts_with(&format!("error: config/{file}: {what} ")), "{error}");
        fs::write(path, kept).unwrap();
    }
    let overlay = filled.path("config/plugins/todo-backend/overlay/x.ts");
    flip(&overlay);
    let error = "error: lockfile is stale for workspace `repo`: plugins/todo-backend/overlay/x.ts changed since \
                 `factory resolve`\n\nhint: run `factory resolve --keep repo`, which moves nothing else";
    assert_eq!(filled.problem(&OFFLINE), (3, error.to_owned()));
    flip(&overlay);
    assert_eq!(filled.problem(&OFFLINE), nothing_wrong());
}

#[harness::test]
fn in_the_source() {
    let filled = Filled::new();
    let git = filled.path("cache/git");
    let git = git.join(&names(&git)[0]);
    copy(&git, &filled.path("kept"));
    let packs = git.join("objects/pack");
    let packs = names(&packs).into_iter().map(|name| packs.join(name));
    let pack = packs.into_iter().find(|pack| pack.extension().is_some_and(|extension| extension == "pack")).unwrap();

    flip(&pack);
    let (code, error) = filled.problem(&OFFLINE);
    let start = format!("error: the cache's copy of the repository `{}` was damaged and is removed: ", filled.url);
    assert!(code == 5 && error.starts_with(&start), "{code} {error}");
    assert!(error.ends_with("\n\nhint: run `factory fetch` with a network to fetch it again"), "{error}");
    assert!(!git.exists());

    // With a network it is fetched again.
    copy(&filled.path("kept"), &git);
    flip(&pack);
    let outcome = filled.test.run(&["build"]);
    assert!(outcome.stderr.contains(&start.replace("error: ", "warning: repo: ")), "{}", outcome.stderr);
    assert_eq!(filled.problem(&OFFLINE), nothing_wrong());

    // Every byte of all that lies there.
    copy(&filled.path("kept"), &git);
    let store = Store::open(filled.path("cache")).unwrap();
    let url = SourceUrl::parse(&filled.url, Path::new("/")).unwrap();
    let go = AtomicBool::new(false);
    let out = filled.path("out");
    let look = || -> Result<bool, Error> {
        let Some(tree) = store.repository(&url, &go)?.tree(&filled.commit)? else { return Ok(false) };
        checkout(&tree, ".", &out, &go)?;
        Ok(true)
    };
    assert!(look().unwrap());
    let right = filled.path("right");
    fs::rename(&out, &right).unwrap();
    let (mut noticed, mut harmless) = (0, 0);
    let files = Command::new("find").arg(&git).args(["-type", "f"]).output().unwrap();
    for file in String::from_utf8(files.stdout).unwrap().lines().map(Path::new) {
        for at in 0..fs::read(file).unwrap().len() {
            flip_at(file, at);
            match look() {
                Ok(true) => {
                    let same = Command::new("diff").arg("-r").args([&right, &out]).status().unwrap();
                    assert!(same.success(), "{} {at}", file.display());
                    harmless += 1;
                }
                Ok(false) | Err(_) => noticed += 1,
            }
            flip_at(file, at);
            let _ = fs::remove_dir_all(&out);
        }
    }
    assert!(noticed > 500, "{noticed} noticed, {harmless} harmless");
    assert!(look().unwrap());
}

/// A plugin as it was made, in a folder that is also that of its lock.
fn made(dir: &Path) -> Artefact {
    let package::Made { image, packed, path, .. } = package::make(dir, "todo-backend", "1.0.0", Compression::Gzip);
    let output = Output {
        tgz: "todo-backend.tgz".into(),
        integrity: packed.tgz,
        tgz_bytes: packed.tgz_len,
        image: image.reference(),
        image_path: path.to_string(),
        digest: image.digest,
        layer: image.diff_id,
        layer_blob: image.layer,
        files: packed.files,
        closure: None,
        inputs: Sha256::of("inputs"),
        pushed: None,
        attached: Vec::new(),
    };
    let sealed = Sealed {
        closure: None,
        bundle: None,
        tgz: packed.tgz,
        image: image.digest,
        layer: image.diff_id,
        config: None,
        root: None,
    };
    let files = FileList::of(&PackageFiles::new(Vec::new()).unwrap()).unwrap();
    let record = PackageRecord {
        name: "todo-backend-dynamic".into(),
        version: "1.0.0".into(),
        package_json: "{}".into(),
        packed,
        closure: None,
        bundle: None,
        files: files.to_text(),
        timed: None,
        config: None,
    };
    Artefact {
        output,
        image,
        config: None,
        sealed,
        stamp: None,
        record,
        files,
        read: None,
        warnings: Vec::new(),
        reused: false,
    }
}

fn options(dir: &Path) -> BuildOptions {
    BuildOptions {
        config_dir: dir.into(),
        sources_dir: dir.into(),
        lock_dir: dir.into(),
        output_dir: dir.into(),
        plugins: vec![],
        jobs: 1,
        isolation: Isolation::None,
        offline: true,
        fetch_only: false,
        reuse_cache: false,
        frozen: true,
        verify_mode: false,
        network: Network::default(),
        local: None,
        source_copy: None,
        timeout: std::time::Duration::ZERO,
        install_scripts: true,
        target_glibc: factory::build::checks::GlibcVersion::UBI_9,
        tag_prefixes: std::collections::BTreeMap::new(),
        paths_in_references: false,
        config_from: None,
        buildah: false,
        compression: Compression::Gzip,
    }
}

#[harness::test]
fn in_the_seal() {
    let lock = fs::read_to_string("tests/data/lock/version-1.lock").unwrap();
    let workspace = &Lock::from_text(&lock, Path::new("factory.lock")).unwrap().workspace[1];
    let dir = tempfile::tempdir().unwrap();
    let (made, options) = (made(dir.path()), options(dir.path()));
    let list = CompanionPath::files(&workspace.name, "plugins/a").below(dir.path());
    fs::create_dir_all(list.parent().unwrap()).unwrap();
    fs::write(&list, made.files.to_text()).unwrap();
    let check = |change: &dyn Fn(&mut Sealed)| {
        let mut plugin = workspace.plugin[0].clone();
        let mut sealed = made.sealed.clone();
        change(&mut sealed);
        plugin.sealed = Some(sealed);
        verdict::check_sealed(&options, workspace, &plugin, &made)
            .map_err(|error| (error.exit_code(), error.to_string()))
    };
    assert_eq!(check(&|_| {}), Ok(()));
    let not_sealed = "plugin `plugins/a` of workspace `todo` is not what the lock has sealed: its files are equal, ";
    assert_eq!(
        check(&|sealed| sealed.tgz = Integrity::of("")),
        Err((4, format!("{not_sealed}only their compression differs")))
    );
    assert_eq!(
        check(&|sealed| sealed.image = Sha256::of("")),
        Err((4, format!("{not_sealed}but the image's description differs")))
    );
    let (other, layer) = (Sha256::of(""), made.sealed.layer);
    let place = dir.path().join("factory.lock");
    let error = format!(
        "{}: plugin `plugins/a` of workspace `todo`: `layer` is {other}, which is not the layer of the sealed image \
         ({layer})",
        place.display()
    );
    assert_eq!(check(&|sealed| sealed.layer = other), Err((3, error)));
    fs::write(&list, "0123456789abcdef x\n").unwrap();
    let error = format!("{}: is not the list of the files that the lock has sealed", list.display());
    assert_eq!(check(&|_| {}), Err((3, error)));
}
