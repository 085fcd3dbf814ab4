//! What is attached to an image: it stays the same as long as the image does, whatever else of a release changes.

use std::fs;
use std::path::Path;

use factory::lock::{Integrity, Lock, Sha256, SourcePart, Stamp, Workspace};
use harness::oci_registry::FakeRegistry;
use harness::releases::{self, commit, factory, release, sealed};
use harness::repository::git;
use harness::workspace::scripted;
use serde_json::{Value, json};

use crate::partial::push;

const FORMATS: [(&str, &str); 3] = [("cyclonedx", "cdx"), ("spdx", "spdx"), ("provenance", "intoto")];
const STAMPED: u64 = 1_700_000_000;

fn todo(lock: &mut Lock) -> &mut Workspace {
    lock.workspace.iter_mut().find(|workspace| workspace.name == "todo").unwrap()
}

fn sources() -> Vec<SourcePart> {
    let reached = format!("{} workspaces/todo/yarn.lock", Sha256::of("reached"));
    ["040000:4b825dc642cb6eb9a060e54bf8d69288fbee4904 workspaces/todo/plugins/todo-backend", &reached]
        .map(|part| part.parse().unwrap())
        .into()
}

/// The documents of todo's backend, whose content was first built from an older commit than that of the lock, and those of
/// the release.
fn documents(change: impl FnOnce(&mut Lock)) -> ([String; 3], [String; 3]) {
    let root = tempfile::tempdir().unwrap();
    let mut made = release(true);
    let workspace = todo(&mut made.lock);
    workspace.recipe = 2;
    for plugin in &mut workspace.plugin {
        plugin.sources = sources();
        let (layer, inputs) = (plugin.sealed.as_ref().unwrap().layer, Sha256::of(&plugin.path));
        let (repo, commit) = (Some("https://github.com/x/todo".into()), commit("f"));
        plugin.stamp = Some(Stamp { layer, repo, commit, epoch: STAMPED, inputs });
    }
    change(&mut made.lock);
    made.write(&root.path().join("config"));
    let write = |(format, extension): (&str, &str)| -> [String; 2] {
        let out = root.path().join(format);
        factory(root.path()).args(["sbom", "--format", format, "--output"]).arg(&out).assert().success();
        let read = |name: &str| fs::read_to_string(out.join(format!("{name}.{extension}.json"))).unwrap();
        [read("todo/plugins/todo-backend"), read("release")]
    };
    let all = FORMATS.map(write);
    (all.clone().map(|[plugin, _]| plugin), all.map(|[_, release]| release))
}

#[harness::test]
fn a_plugin_has_the_documents_it_had_until_it_is_made_of_something_else() {
    let (before, of_release) = documents(|_| {});
    let (after, of_other) = documents(|lock| {
        // A commit that changes another plugin, and what that one reaches.
        let workspace = todo(lock);
        workspace.source.commit = Some(commit("e"));
        workspace.source.epoch += 60;
        workspace.source.yarn_lock = Sha256::of("other");
        workspace.input.push(releases::input("plugins/todo/overlay/z.ts", "z"));
        workspace.plugin[0].sealed = Some(sealed("other", None));
        workspace.plugin[0].version = "0.11.0".into();
        // An empty commit elsewhere, and another host that makes the same arguments.
        lock.workspace.iter_mut().find(|one| one.name == "acr").unwrap().source.commit = Some(commit("d"));
        lock.rhdh.as_mut().unwrap().lockfile = Sha256::of("other host");
        lock.rhdh.as_mut().unwrap().requested = "1.10.3".into();
    });
    assert_eq!(before, after);
    for (one, other) in of_release.iter().zip(&of_other) {
        assert_ne!(one, other, "the release is another one");
    }

    // Another tool is another provenance, and the bills of another image are others.
    let cli = |lock: &mut Lock| lock.tools.rhdh_cli.integrity = Integrity::of("another rhdh-cli");
    let (same_image, _) = documents(cli);
    assert!(same_image[..2] == before[..2] && same_image[2] != before[2]);
    let (other_image, _) = documents(|lock| {
        cli(lock);
        let plugin = &mut todo(lock).plugin[1];
        let closure = plugin.sealed.as_ref().unwrap().closure;
        plugin.sealed = Some(factory::lock::Sealed { closure, ..sealed("by another tool", None) });
        plugin.stamp = None;
    });
    assert!(other_image.iter().zip(&before).all(|(other, known)| other != known));
    // So is one whose sources are others.
    let (other_sources, _) = documents(|lock| todo(lock).plugin[1].sources.truncate(1));
    assert_ne!(other_sources[2], before[2]);
}

#[harness::test]
fn the_documents_of_a_plugin_say_what_its_image_says_and_nothing_of_the_rest() {
    let ([cyclonedx, spdx, provenance], [_, _, of_release]) = documents(|_| {});
    let document = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let uri = format!("git+https://github.com/x/todo@{}", commit("f"));
    let cyclonedx = document(&cyclonedx);
    assert_eq!(cyclonedx["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(cyclonedx["metadata"]["component"]["externalReferences"], json!([{ "type": "vcs", "url": uri }]));
    let spdx = document(&spdx);
    assert_eq!(
        spdx["creationInfo"],
        json!({
            "created": "2023-11-14T22:13:20Z",
            "creators": [concat!("Tool: factory-", env!("CARGO_PKG_VERSION"))],
            "comment": "The time is that of the commit",
        })
    );
    let provenance = document(&provenance);
    let definition = &provenance["predicate"]["buildDefinition"];
    let parameters = json!({ "plugins": [{
        "workspace": "todo",
        "plugin": "plugins/todo-backend",
        "arguments": ["--embed-package @backstage/plugin-signals-node"],
        "inputs": Sha256::of("plugins/todo-backend").to_string(),
    }] });
    assert_eq!(definition["externalParameters"], parameters);
    let named = |name: &str, key: &str, digest: &str| json!({ "name": name, "digest": { key: digest } });
    let all = definition["resolvedDependencies"].as_array().unwrap();
    let is_tool = |one: &Value| one["uri"].as_str().is_some_and(|uri| uri.starts_with("pkg:npm/"));
    let others: Vec<&Value> = all.iter().filter(|one| !is_tool(one)).collect();
    let mut lock = release(true).lock;
    let (tree, closure) = (lock.tools.rhdh_cli.tree, todo(&mut lock).plugin[1].sealed.as_ref().unwrap().closure);
    assert_eq!(
        json!(others),
        json!([
            named("factory.lock.d/rhdh-cli/1.10.8/package-lock.json", "sha256", &tree.hex()),
            named("factory.lock.d/todo/plugins/todo-backend/yarn.lock", "sha256", &closure.unwrap().hex()),
            { "name": "https://github.com/x/todo", "uri": uri, "digest": { "gitCommit": commit("f") } },
            named("reached in sources of todo: workspaces/todo/yarn.lock", "sha256", &Sha256::of("reached").hex()),
            named(
                "sources of todo: workspaces/todo/plugins/todo-backend",
                "gitTree",
                "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
            ),
        ])
    );
    assert_eq!(all.len() - others.len(), 5, "two of Node.js, npm, rhdh-cli and yarn");
    // The release says what its lock has, and what the image says besides.
    let of_release = document(&of_release);
    let definition = &of_release["predicate"]["buildDefinition"];
    assert!(definition["externalParameters"]["release"].is_string());
    let plugins = definition["externalParameters"]["plugins"].as_array().unwrap();
    let backend = plugins.iter().find(|one| one["plugin"] == "plugins/todo-backend").unwrap();
    assert_eq!(backend["stamp"], json!({ "repo": "https://github.com/x/todo", "commit": commit("f") }));
}

/// A commit of the repository that changes a file, or nothing.
fn new_commit(repo: &Path, file: Option<&str>) {
    if let Some(file) = file {
        fs::write(repo.join(file), "new").unwrap();
    }
    for args in [&["add", "--all"][..], &["commit", "--quiet", "--allow-empty", "-m", "new"]] {
        assert!(git(repo).args(args).status().unwrap().success());
    }
}

#[harness::test]
fn what_an_image_has_attached_is_not_attached_again_after_another_commit() {
    let test = scripted(&[("a".to_owned(), "frontend-plugin", String::new())], "");
    let resolve = || test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    resolve();
    let registry = FakeRegistry::start();
    let attached = |registry: &FakeRegistry| -> Vec<String> {
        let contents = registry.contents();
        let digests = contents.manifests.iter().filter(|(name, (_, bytes))| {
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            name.starts_with("sha256:") && manifest["subject"].is_object()
        });
        digests.map(|(name, _)| name.clone()).collect()
    };
    let all = ["--attach", "cyclonedx,spdx,provenance"];
    push(&test, &registry, &all).success();
    let first = attached(&registry);
    assert_eq!(first.len(), 3);
    for file in [None, Some("README.md")] {
        new_commit(&test.path("repo"), file);
        let before = test.read("config/factory.lock");
        resolve();
        assert_ne!(test.read("config/factory.lock"), before);
        push(&test, &registry, &all).success();
        assert_eq!(attached(&registry), first);
    }
}
