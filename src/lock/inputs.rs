//! The digest of everything a plugin is built from: equal inputs must give equal outputs.

use serde::Serialize;

use super::{Argument, Input, Lock, Plugin, Sha256, Source, Tools, Workspace};

/// What goes in, in one canonical text. Digests that a build found out are left out: they are outputs.
#[derive(Serialize)]
struct DigestedInputs<'a> {
    tools: &'a Tools,
    source: PinnedSource<'a>,
    input: &'a [Input],
    path: &'a str,
    args: &'a [Argument],
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

/// The input digest of a plugin: carried by its image as an annotation, and the key of cached builds. It does not
/// change when other workspaces of the lock do. `closure` is the digest of the `yarn.lock` that the export used or made:
/// an unsealed build and the sealed ones after it have the same inputs.
///
/// # Panics
/// Never: all fields have a JSON form.
pub fn digest(lock: &Lock, workspace: &Workspace, plugin: &Plugin, closure: Option<Sha256>) -> Sha256 {
    let Source { repo, commit, path, yarn, .. } = &workspace.source;
    let mut tools = lock.tools_of(workspace).clone();
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
        closure,
    };
    Sha256::of(serde_json::to_vec(&inputs).expect("inputs are plain data"))
}
