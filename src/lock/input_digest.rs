//! The digest of everything a plugin is built from: equal inputs must give equal outputs.

use serde::Serialize;

use super::cli_behaviour::added_argument;
use super::recipe::FIRST;
use super::{Argument, Input, Lock, Plugin, Sha256, Source, SourcePart, Tools, Workspace, at};

/// What goes in by the first recipe, in one canonical text. Digests that a build found out are left out: they are outputs.
#[derive(Serialize)]
struct CommittedInputs<'a> {
    tools: &'a Tools,
    source: PinnedSource<'a>,
    input: &'a [Input],
    path: &'a str,
    args: &'a [Argument],
    #[serde(skip_serializing_if = "Option::is_none")]
    scalprum: Option<&'a str>,
    /// Left out where there is none: most plugins have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Argument>,
    closure: Option<Sha256>,
}

/// What goes in by later recipes: no commit and no repository, but what of it the plugin is built from. Patches and
/// overlays are in its sources.
#[derive(Serialize)]
struct ContentInputs<'a> {
    recipe: u32,
    tools: &'a Tools,
    yarn: (&'a str, Option<String>),
    /// The plugin's folder from the repository's root.
    path: (&'a str, &'a str),
    sources: &'a [SourcePart],
    args: &'a [Argument],
    /// The file it is given as its Scalprum configuration.
    scalprum: Option<Sha256>,
    added: Option<Argument>,
    closure: Option<Sha256>,
}

/// A source without what was asked for: two requests that mean one commit build the same.
#[derive(Serialize)]
struct PinnedSource<'a> {
    repo: &'a str,
    commit: Option<&'a str>,
    path: &'a str,
    yarn: (&'a str, Option<String>),
}

/// A frontend plugin's Scalprum configuration, beside its overlay or, as the original's example of TODO has it, in it.
pub const SCALPRUM: &str = "scalprum-config.json";

/// The input digest of a plugin: carried by its image as an annotation, and the key of cached builds. It does not
/// change when other workspaces of the lock do. `closure` is the digest of the `yarn.lock` that the export used or made:
/// an unsealed build and the sealed ones after it have the same inputs.
///
/// # Panics
/// Never: all fields have a JSON form.
pub fn digest(lock: &Lock, workspace: &Workspace, plugin: &Plugin, closure: Option<Sha256>) -> Sha256 {
    let Source { repo, commit, path, yarn, .. } = &workspace.source;
    let tools = tools(lock, workspace);
    let added = added_argument(lock.tools_of(workspace), plugin);
    let yarn = (yarn.version.as_str(), yarn.integrity.map(|integrity| integrity.to_string()));
    if workspace.recipe == FIRST {
        return of(&CommittedInputs {
            tools: &tools,
            source: PinnedSource { repo, commit: commit.as_deref(), path, yarn },
            input: &workspace.input,
            path: &plugin.path,
            args: &plugin.args,
            scalprum: plugin.scalprum.as_deref(),
            added,
            closure,
        });
    }
    of(&ContentInputs {
        recipe: workspace.recipe,
        tools: &tools,
        yarn,
        path: (path, &plugin.path),
        sources: &plugin.sources,
        args: &plugin.args,
        scalprum: scalprum(workspace, plugin),
        added,
        closure,
    })
}

/// The tools without what was asked for. What rhdh-cli was chosen for is no input either: what follows from it is an
/// argument.
fn tools(lock: &Lock, workspace: &Workspace) -> Tools {
    let mut tools = lock.tools_of(workspace).clone();
    tools.rhdh_cli.host = None;
    for requested in [&mut tools.node.requested, &mut tools.npm.requested, &mut tools.rhdh_cli.requested] {
        requested.clear();
    }
    tools
}

/// The digest of a plugin's Scalprum configuration: of the file that lies beside its overlay, else of the one in it.
pub fn scalprum(workspace: &Workspace, plugin: &Plugin) -> Option<Sha256> {
    let beside = at(&plugin.path, SCALPRUM);
    let find = |path: &str| workspace.input.iter().find(|input| input.path == path).map(|input| input.sha256);
    find(&beside).or_else(|| find(plugin.scalprum.as_deref()?))
}

fn of(inputs: &impl Serialize) -> Sha256 {
    Sha256::of(serde_json::to_vec(inputs).expect("inputs are plain data"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn lock() -> Lock {
        let text = include_str!("../../tests/data/lock/version-1.lock");
        Lock::from_text(text, Path::new("factory.lock")).unwrap()
    }

    fn of(change: impl FnOnce(&mut Workspace)) -> String {
        let mut lock = lock();
        change(&mut lock.workspace[1]);
        digest(&lock, &lock.workspace[1], &lock.workspace[1].plugin[0], None).to_string()
    }

    #[test]
    fn the_first_recipe_has_the_digests_it_had() {
        // As images have it that were pushed before recipes had numbers.
        assert_eq!(of(|_| {}), "sha256:a0d3d7bac80addf9af920ec6f53fda3e0c16b02efba628890c665f4f4c87a1b4");
        assert_ne!(of(|workspace| workspace.source.commit = Some("1".repeat(40))), of(|_| {}));
    }

    #[test]
    fn later_recipes_hold_content_and_no_commit() {
        let second = |change: fn(&mut Workspace)| {
            of(|workspace| {
                workspace.recipe = 2;
                workspace.plugin[0].sources =
                    vec!["040000:4b825dc642cb6eb9a060e54bf8d69288fbee4904 plugins/a".parse().unwrap()];
                change(workspace);
            })
        };
        let same = second(|_| {});
        assert_ne!(same, of(|_| {}));
        let changes: [fn(&mut Workspace); 5] = [
            |workspace| workspace.source.commit = Some("1".repeat(40)),
            |workspace| workspace.source.repo = "https://elsewhere.example/todo".into(),
            |workspace| workspace.source.epoch += 1,
            |workspace| workspace.source.yarn_lock = Sha256::of("other"),
            // Patches and overlays are in the sources; what goes into dynamic-plugins.yaml is not in the package.
            |workspace| workspace.input.retain(|input| input.path.ends_with("scalprum-config.json")),
        ];
        for change in changes {
            assert_eq!(second(change), same);
        }
        let changes: [fn(&mut Workspace); 4] = [
            |workspace| workspace.plugin[0].sources.clear(),
            |workspace| workspace.plugin[0].args.push(Argument::new("--embed-package", "x")),
            |workspace| workspace.source.yarn.version = "4.0.0".into(),
            |workspace| {
                let path = format!("{}/{SCALPRUM}", workspace.plugin[0].path);
                workspace.input.push(Input { path, sha256: Sha256::of("new"), executable: false });
            },
        ];
        for change in changes {
            assert_ne!(second(change), same);
        }
    }

    #[test]
    fn a_host_counts_only_where_it_adds_an_argument() {
        let text = include_str!("../../tests/data/lock/version-1.lock");
        let lock = Lock::from_text(text, Path::new("factory.lock")).unwrap();
        let digests = |host: Option<&str>| {
            let mut lock = lock.clone();
            lock.tools.rhdh_cli.host = host.map(|host| host.parse().unwrap());
            let of = |plugin| digest(&lock, &lock.workspace[1], plugin, None);
            lock.workspace[1].plugin.iter().map(of).collect::<Vec<_>>()
        };
        let roles: Vec<bool> = lock.workspace[1].plugin.iter().map(|plugin| plugin.role.is_backend()).collect();
        assert_eq!(roles, [true, false]);
        assert_eq!(digests(Some("2.0")), digests(None));
        let (new, old) = (digests(Some("2.1")), digests(None));
        assert_eq!(new[0], old[0]);
        assert_ne!(new[1], old[1]);
    }
}
