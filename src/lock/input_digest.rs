//! The digest of everything a plugin is built from: equal inputs must give equal outputs.

use serde::Serialize;

use super::cli_behaviour::added_argument;
use super::{Argument, Input, Lock, Plugin, Sha256, Source, Tools, Workspace};

/// How a package's bytes are made from its inputs. A change of factory that makes other bytes from the same inputs
/// counts it up, so that images say so and the cache does not take the one for the other.
///
/// | recipe | what it makes |
/// |---|---|
/// | 1 | the files that `npm pack` lists, with Module Federation's type archives normalised |
pub const RECIPE: u32 = 1;

/// What goes in, in one canonical text. Digests that a build found out are left out: they are outputs.
#[derive(Serialize)]
struct DigestedInputs<'a> {
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
    /// Left out for the first recipe: it had no number.
    #[serde(skip_serializing_if = "is_first")]
    recipe: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_first(recipe: &u32) -> bool {
    *recipe == 1
}

/// A source without what was asked for: two requests that mean one commit build the same.
#[derive(Serialize)]
struct PinnedSource<'a> {
    repo: &'a str,
    commit: Option<&'a str>,
    path: &'a str,
    yarn: (&'a str, Option<String>),
}

/// The input digest of a plugin: carried by its image as an annotation, and the key of cached builds. It does not
/// change when other workspaces of the lock do. `closure` is the digest of the `yarn.lock` that the export used or made:
/// an unsealed build and the sealed ones after it have the same inputs.
///
/// # Panics
/// Never: all fields have a JSON form.
pub fn digest(lock: &Lock, workspace: &Workspace, plugin: &Plugin, closure: Option<Sha256>) -> Sha256 {
    digest_with(RECIPE, lock, workspace, plugin, closure)
}

fn digest_with(recipe: u32, lock: &Lock, workspace: &Workspace, plugin: &Plugin, closure: Option<Sha256>) -> Sha256 {
    let Source { repo, commit, path, yarn, .. } = &workspace.source;
    let mut tools = lock.tools_of(workspace).clone();
    // What it was chosen for is no input: what follows from it is in `added`.
    let added = added_argument(&tools, plugin);
    tools.rhdh_cli.host = None;
    for requested in [&mut tools.node.requested, &mut tools.npm.requested, &mut tools.rhdh_cli.requested] {
        requested.clear();
    }
    let inputs = DigestedInputs {
        tools: &tools,
        source: PinnedSource {
            repo,
            commit: commit.as_deref(),
            path,
            yarn: (&yarn.version, yarn.integrity.map(|integrity| integrity.to_string())),
        },
        input: &workspace.input,
        path: &plugin.path,
        args: &plugin.args,
        scalprum: plugin.scalprum.as_deref(),
        added,
        closure,
        recipe,
    };
    Sha256::of(serde_json::to_vec(&inputs).expect("inputs are plain data"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_a_new_recipe_makes_another_digest_of_the_same_inputs() {
        let text = include_str!("../../tests/data/lock/version-1.lock");
        let lock = Lock::from_text(text, Path::new("factory.lock")).unwrap();
        let workspace = &lock.workspace[1];
        let of = |recipe| digest_with(recipe, &lock, workspace, &workspace.plugin[0], None).to_string();
        // As images have it that were pushed before recipes had numbers.
        assert_eq!(of(1), "sha256:a0d3d7bac80addf9af920ec6f53fda3e0c16b02efba628890c665f4f4c87a1b4");
        assert_ne!(of(2), of(1));
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
