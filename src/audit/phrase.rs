//! A change in words, once for all renderers.

mod arrival;
mod host;
mod package;
mod plugin;
mod span;
mod summary;
pub mod support;
mod workspace;

use super::change::{Change, ChangeKind};
pub use package::{package_mark, package_spans};
pub use plugin::{is_headline, plugin_spans};
pub use span::{Phrase, PhraseLine, PhraseSpan};
pub use summary::{review, summary};

/// Puts a change into words.
pub fn describe(change: &Change) -> Phrase<'_> {
    match &change.what {
        ChangeKind::Host { from, to } => host::host(from.as_ref(), to.as_ref()),
        ChangeKind::Backstage { from, to, step } => {
            host::backstage(change.workspace.is_some(), from.as_deref(), to.as_deref(), *step)
        }
        ChangeKind::HostPackage { package, affects } => host::host_package(package, affects),
        ChangeKind::Tool { tool, from, to, step } => host::tool(tool, from.as_ref(), to.as_ref(), *step),
        ChangeKind::ToolPackages { tool, packages } => host::tool_packages(tool, packages),
        ChangeKind::Licence { licence, appeared, known, packages } => {
            arrival::licence(licence.as_deref(), *appeared, *known, packages)
        }
        ChangeKind::InstallScripts { packages } => arrival::install_scripts(packages),
        ChangeKind::Published { since, packages } => arrival::published(since, packages),
        ChangeKind::WorkspaceAdded { source, plugins, moved } => workspace::added(source, *plugins, *moved),
        ChangeKind::WorkspaceRemoved { source, plugins, moved } => workspace::removed(source, *plugins, moved),
        ChangeKind::WorkspaceMoved { from, to, evidence } => workspace::moved(from, to, *evidence),
        ChangeKind::Commit { from, to, link, command, back } => {
            let link = link.iter().map(|link| PhraseSpan::Link(link.clone()));
            let command = command.iter().map(|command| PhraseSpan::Command(command.clone()));
            workspace::commit(from, to, *back).with_lines(link.chain(command).map(|see| span::line(vec![see])))
        }
        ChangeKind::YarnLock { .. } => workspace::yarn_lock(),
        ChangeKind::EffectiveYarnLock { from, to } => workspace::effective_yarn_lock(from.is_some(), to.is_some()),
        ChangeKind::Problem { what, solved } => plugin::problem(what, *solved),
        ChangeKind::Unlisted { plugins } => workspace::unlisted(plugins),
        ChangeKind::Input { path, input, change } => workspace::input(path, *input, *change),
        ChangeKind::PluginAdded { package, version, arguments } => {
            plugin::added(package.as_deref(), version.as_deref(), arguments)
        }
        ChangeKind::PluginRemoved { package, version } => plugin::removed(package.as_deref(), version.as_deref()),
        ChangeKind::PluginMoved { from, to, evidence } => plugin::moved(from, to, *evidence),
        ChangeKind::PluginVersion { from, to, step } => plugin::version(from, to, *step),
        ChangeKind::PluginPackage { from, to } => Phrase::new("package", span::labelled_arrow("package ", from, to)),
        ChangeKind::PluginRole { from, to } => {
            Phrase::new("role", span::labelled_arrow("role ", from.as_str(), to.as_str()))
        }
        ChangeKind::Arguments { added, removed, reordered, origin } => {
            plugin::arguments(added, removed, *reordered, origin)
        }
        ChangeKind::Dependencies { packages } => plugin::dependencies(packages),
        ChangeKind::Output { verdict, inputs, sources, outputs, first, same_version, .. } => {
            let version = same_version.iter().map(|version| plugin::same_version(version));
            let reasons = plugin::reasons(sources, first.as_ref());
            plugin::output(*verdict, inputs, outputs).with_lines(version.chain(reasons))
        }
    }
}
