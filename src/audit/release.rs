//! A release to compare, from a lock or from a configuration: what both can say, in one form.

use std::path::{Path, PathBuf};

use super::change::{ExplainedArgument, InputKind, Pin, PluginPlace, ReleaseSource};
use super::companions::Companions;
use super::diff::Form;
use super::display::day;
use super::metadata::MetadataFiles;
use crate::config::inputs::{APP_CONFIG, BACKSTAGE, OVERLAYS, PATCHES, SCALPRUM};
use crate::lock::{self, ArgsFrom, Input, Lock, PluginProblem, Rhdh, Role, Sealed, Sha256};
use crate::resolve::configured_pins::from_root;

/// A release.
#[derive(Debug)]
pub struct Release {
    /// As it was named on the command line.
    pub name: String,
    /// What it was read from.
    pub form: Form,
    /// The lock, when it was one.
    pub lock: Option<Lock>,
    /// The files beside the lock.
    pub companions: Companions,
    /// The RHDH release plugins are computed against.
    pub rhdh: Option<Rhdh>,
    /// The Backstage version of the release; only a configuration says it (`versions.json`).
    pub backstage: Option<String>,
    /// The tools of most workspaces, each by its name.
    pub tools: Vec<(&'static str, Pin)>,
    /// The workspaces, sorted by name.
    pub workspaces: Vec<ReleaseWorkspace>,
    /// Workspaces that cannot be read, with the reason; they are compared with nothing.
    pub broken: Vec<(String, String)>,
    /// What the export repository says of its packages.
    pub metadata: MetadataFiles,
}

/// A workspace.
#[derive(Clone, Debug)]
pub struct ReleaseWorkspace {
    /// Its name.
    pub name: String,
    /// Its repository without userinfo.
    pub repo: String,
    /// The folder of its configuration in the configuration directory, `.` for that itself.
    pub dir: String,
    /// The branch, tag or commit asked for.
    pub requested: String,
    /// The commit, when it is known.
    pub commit: Option<String>,
    /// The commit's time in seconds since 1970.
    pub epoch: Option<u64>,
    /// The folder of its configuration, from where the user stands: relative repositories start there. None when the
    /// lock is not a file.
    pub folder: Option<PathBuf>,
    /// Its folder in the repository.
    pub path: String,
    /// The Backstage version it says it is for.
    pub backstage: Option<String>,
    /// Its tools, its yarn among them.
    pub tools: Vec<(&'static str, Pin)>,
    /// The digest of its `yarn.lock`.
    pub yarn_lock: Option<Sha256>,
    /// The digest of the one that patches and overlays make of it, where they do.
    pub effective_yarn_lock: Option<Sha256>,
    /// Plugins that cannot be exported, and why; only a lock says it.
    pub problems: Vec<PluginProblem>,
    /// Plugins of the source that its list does not have; only a lock says it.
    pub unlisted: Vec<String>,
    /// The files of its configuration.
    pub inputs: Vec<Input>,
    /// Its plugins, sorted by path.
    pub plugins: Vec<ReleasePlugin>,
}

/// A plugin.
#[derive(Clone, Debug)]
pub struct ReleasePlugin {
    /// Its folder in the workspace.
    pub path: String,
    /// Its package's name.
    pub package: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its role.
    pub role: Option<Role>,
    /// Its arguments with their reasons.
    pub arguments: Vec<ExplainedArgument>,
    /// Where they come from.
    pub origin: ArgsFrom,
    /// What its first build found out.
    pub sealed: Option<Sealed>,
}

impl ReleaseWorkspace {
    /// Its source, for a change.
    pub fn source(&self) -> ReleaseSource {
        ReleaseSource {
            repo: self.repo.clone(),
            requested: self.requested.clone(),
            commit: self.commit.clone(),
            date: self.epoch.and_then(day),
        }
    }

    /// Its repository as it is named from the configuration directory: the same where only its own folder is another.
    pub fn repo_from_root(&self) -> String {
        from_root(&self.repo, &self.dir)
    }

    /// The place of one of its plugins.
    pub fn place(&self, plugin: &ReleasePlugin) -> PluginPlace {
        PluginPlace { workspace: self.name.clone(), plugin: plugin.path.clone() }
    }
}

impl Release {
    /// The release of a lock.
    pub fn of_lock(name: &str, lock: Lock, companions: Companions) -> Self {
        // A lock lies beside its configuration.
        let folder = matches!(companions, Companions::Folder(_)).then(|| Path::new(name).parent()).flatten();
        let workspaces = lock.workspace.iter().map(|locked| workspace(&lock, locked, folder)).collect();
        Self {
            name: name.to_owned(),
            form: Form::Lock,
            companions,
            rhdh: lock.rhdh.clone(),
            backstage: None,
            tools: tools(&lock.tools),
            workspaces,
            broken: Vec::new(),
            metadata: MetadataFiles::default(),
            lock: Some(lock),
        }
    }

    /// The identity of a lock.
    pub fn identity(&self) -> Option<Sha256> {
        self.lock.as_ref().map(Lock::identity)
    }

    /// The number of all plugins.
    pub fn plugins(&self) -> usize {
        self.workspaces.iter().map(|workspace| workspace.plugins.len()).sum()
    }
}

fn tools(tools: &lock::Tools) -> Vec<(&'static str, Pin)> {
    let pin = |requested: &str, version: &str| Pin { requested: Some(requested.into()), version: version.into() };
    let lock::Tools { node, npm, rhdh_cli } = tools;
    vec![
        ("node", pin(&node.requested, &node.version)),
        ("npm", pin(&npm.requested, &npm.version)),
        ("rhdh-cli", pin(&rhdh_cli.requested, &rhdh_cli.version)),
    ]
}

fn workspace(lock: &Lock, locked: &lock::Workspace, folder: Option<&Path>) -> ReleaseWorkspace {
    let source = &locked.source;
    let mut tools = tools(lock.tools_of(locked));
    tools.push(("yarn", Pin { requested: None, version: source.yarn.version.clone() }));
    ReleaseWorkspace {
        name: locked.name.clone(),
        repo: source.repo.clone(),
        dir: locked.dir.clone(),
        requested: source.requested.clone(),
        commit: source.commit.clone(),
        epoch: (!source.local).then_some(source.epoch),
        folder: folder.map(|folder| folder.join(&locked.dir)),
        path: source.path.clone(),
        backstage: source.backstage.clone(),
        tools,
        yarn_lock: Some(source.yarn_lock),
        effective_yarn_lock: locked.effective.as_ref().map(|effective| effective.yarn_lock),
        problems: locked.problem.clone(),
        unlisted: locked.unlisted.clone(),
        inputs: locked.input.clone(),
        plugins: locked.plugin.iter().map(plugin).collect(),
    }
}

fn plugin(locked: &lock::Plugin) -> ReleasePlugin {
    // A lock whose reasons do not fit its arguments is still readable; no reason is better than a wrong one.
    let why = |index: usize| locked.why.get(index).filter(|_| locked.why.len() == locked.args.len()).cloned();
    let argument = |(index, argument): (usize, &lock::Argument)| ExplainedArgument {
        argument: argument.clone(),
        why: why(index),
        because: None,
    };
    ReleasePlugin {
        path: locked.path.clone(),
        package: Some(locked.name.clone()),
        version: Some(locked.version.clone()),
        role: Some(locked.role),
        arguments: locked.args.iter().enumerate().map(argument).collect(),
        origin: locked.args_from.word(),
        sealed: locked.sealed.clone(),
    }
}

/// What a file of the configuration does, from its path.
pub fn input_kind(path: &str) -> InputKind {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut folders = path.split('/');
    if folders.next() == Some(PATCHES) {
        InputKind::Patch
    } else if path == BACKSTAGE {
        InputKind::Backstage
    } else if path.split('/').rev().skip(1).any(|folder| OVERLAYS.contains(&folder)) {
        InputKind::Overlay
    } else if name == SCALPRUM {
        InputKind::Scalprum
    } else if name == APP_CONFIG {
        InputKind::AppConfig
    } else {
        InputKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_place() {
        for (path, kind) in [
            ("patches/1-fix.patch", InputKind::Patch),
            ("plugins/todo/overlay/scalprum-config.json", InputKind::Overlay),
            ("overlay/src/index.ts", InputKind::Overlay),
            ("plugins/todo/scalprum-config.json", InputKind::Scalprum),
            ("plugins/todo/app-config.dynamic.yaml", InputKind::AppConfig),
            ("backstage.json", InputKind::Backstage),
            ("plugins/overlay", InputKind::Other),
        ] {
            assert_eq!(input_kind(path), kind, "{path}");
        }
    }
}
