//! Why a lock no longer says what the configuration says: typed reasons that name a file or field. No network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::Sha256;
use super::arguments::Argument;
use super::model::{Input, Lock, Tools, Workspace};

/// What the configuration asks for, in the lock's own terms.
#[derive(Clone, Debug, Default)]
pub struct Requested {
    /// The workspaces, those that cannot be read left out.
    pub workspaces: Vec<RequestedWorkspace>,
}

/// What the configuration asks for one workspace.
#[derive(Clone, Debug, Serialize)]
pub struct RequestedWorkspace {
    pub name: String,
    /// Where its configuration lies.
    pub dir: String,
    /// The repository, without userinfo.
    pub repo: String,
    /// Branch, tag or commit; empty for the default branch.
    pub requested: String,
    /// The workspace's folder in the repository.
    pub path: String,
    /// Whether a local tree is built.
    pub local: bool,
    /// Every file the build uses.
    pub inputs: Vec<Input>,
    /// The listed plugins with their arguments; none when they are discovered.
    pub listed: Option<BTreeMap<String, Vec<Argument>>>,
    /// The versions asked for, of node, npm and rhdh-cli; none where any will do.
    pub node: Option<String>,
    pub npm: Option<String>,
    pub cli: Option<String>,
    /// The RHDH release to compute arguments against; none where any will do.
    pub rhdh: Option<String>,
}

impl RequestedWorkspace {
    /// Digest of all of it: equal when the same is asked for again.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// One reason why a lock is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// The configuration has a workspace that the lock has not.
    Added { workspace: String },
    /// The configuration changed a workspace that could not be resolved.
    Unresolved { workspace: String },
    /// The lock has a workspace that the configuration has not.
    Removed { workspace: String },
    /// A field asks for something else.
    Field {
        workspace: String,
        /// What it is called where the user wrote it.
        field: &'static str,
        locked: String,
        wanted: String,
    },
    /// A file changed.
    Changed { workspace: String, file: String },
    /// A file is new.
    NewFile { workspace: String, file: String },
    /// A file is gone.
    Gone { workspace: String, file: String },
    /// `plugins-list.yaml` lists a plugin that is not locked.
    NewPlugin { workspace: String, plugin: String },
    /// `plugins-list.yaml` no longer lists a plugin.
    PluginGone { workspace: String, plugin: String },
    /// `plugins-list.yaml` gives a plugin other arguments.
    Arguments { workspace: String, plugin: String },
}

impl StaleReason {
    /// The workspace it is about.
    pub fn workspace(&self) -> &str {
        match self {
            Self::Added { workspace }
            | Self::Unresolved { workspace }
            | Self::Removed { workspace }
            | Self::Field { workspace, .. }
            | Self::Changed { workspace, .. }
            | Self::NewFile { workspace, .. }
            | Self::Gone { workspace, .. }
            | Self::NewPlugin { workspace, .. }
            | Self::PluginGone { workspace, .. }
            | Self::Arguments { workspace, .. } => workspace,
        }
    }
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workspace `{}`: ", self.workspace())?;
        match self {
            Self::Added { .. } => write!(f, "is new since `factory resolve`"),
            Self::Unresolved { .. } => write!(f, "could not be resolved, and was changed since `factory resolve`"),
            Self::Removed { .. } => write!(f, "is no longer in the configuration"),
            Self::Field { field, locked, wanted, .. } => {
                let shown = |text: &str| match (text, *field) {
                    ("", "repo-ref") => "the default branch".to_owned(),
                    ("", _) => "nothing".to_owned(),
                    _ => format!("`{text}`"),
                };
                write!(f, "{field} is now {}, the lock was made for {}", shown(wanted), shown(locked))
            }
            Self::Changed { file, .. } => write!(f, "{file} changed since `factory resolve`"),
            Self::NewFile { file, .. } => write!(f, "{file} is new since `factory resolve`"),
            Self::Gone { file, .. } => write!(f, "{file} was removed since `factory resolve`"),
            Self::NewPlugin { plugin, .. } => write!(f, "plugins-list.yaml lists `{plugin}` since `factory resolve`"),
            Self::PluginGone { plugin, .. } => write!(f, "plugins-list.yaml no longer lists `{plugin}`"),
            Self::Arguments { plugin, .. } => {
                write!(f, "plugins-list.yaml gives `{plugin}` other arguments since `factory resolve`")
            }
        }
    }
}

/// All reasons, in the order of the workspaces' names. `all` is false when only some workspaces were read: then the
/// lock's others are not missed.
pub fn reasons(lock: &Lock, wanted: &Requested, all: bool) -> Vec<StaleReason> {
    let mut out = Vec::new();
    for workspace in &wanted.workspaces {
        match lock.workspace.iter().find(|locked| locked.name == workspace.name) {
            Some(locked) => compare(lock, locked, workspace, &mut out),
            None => match lock.unresolved.iter().find(|one| one.name == workspace.name) {
                None => out.push(StaleReason::Added { workspace: workspace.name.clone() }),
                // That it cannot be resolved is known.
                Some(one) if one.requested == workspace.digest() => {}
                Some(_) => out.push(StaleReason::Unresolved { workspace: workspace.name.clone() }),
            },
        }
    }
    if all {
        let removed = lock.workspace.iter().filter(|l| !wanted.workspaces.iter().any(|w| w.name == l.name));
        out.extend(removed.map(|locked| StaleReason::Removed { workspace: locked.name.clone() }));
    }
    out.sort_by(|a, b| a.workspace().cmp(b.workspace()));
    out
}

fn compare(lock: &Lock, locked: &Workspace, wanted: &RequestedWorkspace, out: &mut Vec<StaleReason>) {
    let workspace = || wanted.name.clone();
    let mut field = |field, locked: &str, wanted: &str| {
        if locked != wanted {
            out.push(StaleReason::Field {
                workspace: workspace(),
                field,
                locked: locked.to_owned(),
                wanted: wanted.to_owned(),
            });
        }
    };
    let source = &locked.source;
    field("its folder", &locked.dir, &wanted.dir);
    field("its repository", &source.repo, &wanted.repo);
    field("repo-ref", &source.requested, &wanted.requested);
    field("workspace-path", &source.path, &wanted.path);
    field("use-local", if source.local { "true" } else { "" }, if wanted.local { "true" } else { "" });
    let Tools { node, npm, rhdh_cli } = locked.tools.as_ref().unwrap_or(&lock.tools);
    for (name, locked, wanted) in [
        ("NODE_VERSION", &node.requested, &wanted.node),
        ("NPM_VERSION", &npm.requested, &wanted.npm),
        ("RHDH_CLI_VERSION", &rhdh_cli.requested, &wanted.cli),
    ] {
        if let Some(wanted) = wanted {
            field(name, locked, wanted);
        }
    }
    if let Some(wanted) = &wanted.rhdh {
        let rhdh = lock.rhdh.as_ref();
        let asked = rhdh.map(|host| host.asked_version().unwrap_or(&host.requested)).unwrap_or_default();
        if locked.is_computed() && asked != wanted {
            field("RHDH_VERSION", asked, wanted);
        } else if let Some(host) = rhdh_cli.host.filter(|_| !rhdh_cli.is_for(wanted, rhdh)) {
            field("RHDH_VERSION", &host.to_string(), wanted);
        }
    }
    for input in &wanted.inputs {
        let file = || input.path.clone();
        match locked.input.iter().find(|known| known.path == input.path) {
            None => out.push(StaleReason::NewFile { workspace: workspace(), file: file() }),
            Some(known) if known != input => out.push(StaleReason::Changed { workspace: workspace(), file: file() }),
            Some(_) => {}
        }
    }
    for input in locked.input.iter().filter(|known| !wanted.inputs.iter().any(|input| input.path == known.path)) {
        out.push(StaleReason::Gone { workspace: workspace(), file: input.path.clone() });
    }
    let Some(listed) = &wanted.listed else { return };
    for (path, args) in listed {
        let plugin = || path.clone();
        match locked.plugin.iter().find(|known| known.path == *path) {
            // That it cannot be exported is known.
            None if locked.problem.iter().any(|problem| problem.plugin == *path) => {}
            None => out.push(StaleReason::NewPlugin { workspace: workspace(), plugin: plugin() }),
            Some(known) if known.listed_args() != *args => {
                out.push(StaleReason::Arguments { workspace: workspace(), plugin: plugin() });
            }
            Some(_) => {}
        }
    }
    let known: BTreeSet<&String> = locked
        .plugin
        .iter()
        .map(|plugin| &plugin.path)
        .chain(locked.problem.iter().map(|problem| &problem.plugin))
        .collect();
    for plugin in known.into_iter().filter(|path| !listed.contains_key(*path)) {
        out.push(StaleReason::PluginGone { workspace: workspace(), plugin: plugin.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::lock::UnresolvedWorkspace;
    use crate::lock::text::tests::sample;
    use crate::lock::{ArgsFrom, ArgsOrigin, Rhdh, Sha256};

    /// What was asked for when the lock was made.
    fn requested(lock: &Lock) -> Requested {
        let workspaces = lock.workspace.iter().map(|workspace| RequestedWorkspace {
            name: workspace.name.clone(),
            dir: workspace.dir.clone(),
            repo: workspace.source.repo.clone(),
            requested: workspace.source.requested.clone(),
            path: workspace.source.path.clone(),
            local: workspace.source.local,
            inputs: workspace.input.clone(),
            listed: Some(workspace.plugin.iter().map(|plugin| (plugin.path.clone(), plugin.args.clone())).collect()),
            node: Some("22".into()),
            npm: Some("11".into()),
            cli: Some("latest".into()),
            rhdh: None,
        });
        Requested { workspaces: workspaces.collect() }
    }

    /// The reasons after a change of what is asked for `todo`, the first of two workspaces.
    fn after(change: impl FnOnce(&mut RequestedWorkspace)) -> Vec<String> {
        let lock = sample();
        let mut wanted = requested(&lock);
        change(&mut wanted.workspaces[0]);
        reasons(&lock, &wanted, true).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_asked_for_is_not_stale() {
        assert_eq!(after(|_| ()), [""; 0]);
        // No version, and no list, asks for nothing.
        let unset = |wanted: &mut RequestedWorkspace| {
            (wanted.node, wanted.npm, wanted.cli, wanted.listed) = (None, None, None, None);
        };
        assert_eq!(after(unset), [""; 0]);
    }

    #[test]
    fn a_field_is_named_as_it_is_written_with_both_values() {
        type Change = fn(&mut RequestedWorkspace);
        let changes: [(Change, &str); 9] = [
            (|w| w.dir = "done".into(), "its folder is now `done`, the lock was made for `todo`"),
            (
                |w| w.repo = "../x".into(),
                "its repository is now `../x`, the lock was made for `https://example.com/plugins`",
            ),
            (|w| w.requested = "v1".into(), "repo-ref is now `v1`, the lock was made for `main`"),
            (|w| w.requested = String::new(), "repo-ref is now the default branch, the lock was made for `main`"),
            (|w| w.path = ".".into(), "workspace-path is now `.`, the lock was made for `workspaces/todo`"),
            (|w| w.local = true, "use-local is now `true`, the lock was made for nothing"),
            (|w| w.node = Some("24".into()), "NODE_VERSION is now `24`, the lock was made for `22`"),
            (|w| w.npm = Some("12".into()), "NPM_VERSION is now `12`, the lock was made for `11`"),
            (|w| w.cli = Some("1.9.0".into()), "RHDH_CLI_VERSION is now `1.9.0`, the lock was made for `latest`"),
        ];
        for (change, reason) in changes {
            assert_eq!(after(change), [format!("workspace `todo`: {reason}")]);
        }
    }

    #[test]
    fn a_file_is_new_changed_or_gone() {
        let input = |path: &str| Input { path: path.into(), sha256: Sha256::of("new"), executable: false };
        assert_eq!(
            after(|wanted| wanted.inputs.push(input("patches/2.patch"))),
            ["workspace `todo`: patches/2.patch is new since `factory resolve`"]
        );
        let changed = ["workspace `todo`: patches/1.patch changed since `factory resolve`"];
        assert_eq!(after(|wanted| wanted.inputs = vec![input("patches/1.patch")]), changed);
        assert_eq!(after(|wanted| wanted.inputs[0].executable = true), changed);
        assert_eq!(
            after(|wanted| wanted.inputs.clear()),
            ["workspace `todo`: patches/1.patch was removed since `factory resolve`"]
        );
    }

    #[test]
    fn a_list_has_another_plugin_or_other_arguments() {
        fn listed(wanted: &mut RequestedWorkspace) -> &mut BTreeMap<String, Vec<Argument>> {
            wanted.listed.as_mut().unwrap()
        }
        assert_eq!(
            after(|wanted| drop(listed(wanted).insert("plugins/c".into(), Vec::new()))),
            ["workspace `todo`: plugins-list.yaml lists `plugins/c` since `factory resolve`"]
        );
        assert_eq!(
            after(|wanted| drop(listed(wanted).remove("plugins/a"))),
            ["workspace `todo`: plugins-list.yaml no longer lists `plugins/a`"]
        );
        assert_eq!(
            after(|wanted| listed(wanted).get_mut("plugins/a").unwrap().truncate(1)),
            ["workspace `todo`: plugins-list.yaml gives `plugins/a` other arguments since `factory resolve`"]
        );
    }

    #[test]
    fn tools_of_a_workspace_are_held_against_its_own() {
        let mut lock = sample();
        let wanted = requested(&lock);
        let mut own = lock.tools.clone();
        own.node.requested = "20".into();
        lock.workspace[1].tools = Some(own);
        let texts: Vec<_> = reasons(&lock, &wanted, true).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["workspace `acr`: NODE_VERSION is now `22`, the lock was made for `20`"]);
    }

    #[test]
    fn a_cli_is_for_a_host() {
        let after = |host: Option<&str>, rhdh: &str| {
            let mut lock = sample();
            lock.tools.rhdh_cli.host = host.map(|host| host.parse().unwrap());
            // Nothing is computed.
            lock.workspace.remove(1);
            for plugin in &mut lock.workspace[0].plugin {
                plugin.args_from = ArgsOrigin::All(ArgsFrom::PluginsList);
            }
            let mut wanted = requested(&lock);
            (wanted.workspaces[0].rhdh, wanted.workspaces[0].cli) = (Some(rhdh.to_owned()), None);
            reasons(&lock, &wanted, true).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        // Locks that do not say it stay as fresh as they were.
        for (host, fresh) in [(Some("1.10"), "1.10"), (Some("1.10"), "1.10.4"), (None, "1.9")] {
            assert_eq!(after(host, fresh), [""; 0]);
        }
        assert_eq!(
            after(Some("1.10"), "1.9"),
            ["workspace `todo`: RHDH_VERSION is now `1.9`, the lock was made for `1.10`"]
        );
        assert_eq!(
            after(Some("1.10"), "main"),
            ["workspace `todo`: RHDH_VERSION is now `main`, the lock was made for `1.10`"]
        );
    }

    #[test]
    fn a_host_that_was_a_file_is_named() {
        let mut lock = sample();
        lock.rhdh = Some(Rhdh { requested: "a".into(), commit: None, version: None, lockfile: Sha256::of("") });
        let mut wanted = requested(&lock);
        wanted.workspaces[0].rhdh = Some("1.9".to_owned());
        let text = reasons(&lock, &wanted, true)[0].to_string();
        assert_eq!(text, "workspace `todo`: RHDH_VERSION is now `1.9`, the lock was made for `a`");
    }

    #[test]
    fn workspaces_come_and_go_in_the_order_of_their_names() {
        let lock = sample();
        let mut wanted = requested(&lock);
        wanted.workspaces[1].name = "zoo".into();
        let added = StaleReason::Added { workspace: "zoo".into() };
        let removed = StaleReason::Removed { workspace: "acr".into() };
        assert_eq!(reasons(&lock, &wanted, true), [removed.clone(), added.clone()]);
        assert_eq!(removed.to_string(), "workspace `acr`: is no longer in the configuration");
        assert_eq!(added.to_string(), "workspace `zoo`: is new since `factory resolve`");
        // Of a part of the configuration nothing follows for the others.
        assert_eq!(reasons(&lock, &wanted, false), [added]);

        // What could not be resolved is stale when something else is asked for.
        let mut lock = lock;
        let error = Error::usage("`main` is not a branch", "write `master`");
        lock.unresolved.push(UnresolvedWorkspace::new("zoo", wanted.workspaces[1].digest(), &error));
        assert_eq!(reasons(&lock, &wanted, false), []);
        wanted.workspaces[1].inputs.clear();
        let changed = reasons(&lock, &wanted, false);
        assert_eq!(changed, [StaleReason::Unresolved { workspace: "zoo".into() }]);
        assert_eq!(
            changed[0].to_string(),
            "workspace `zoo`: could not be resolved, and was changed since `factory resolve`"
        );
    }
}
