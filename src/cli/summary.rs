//! The end of a build or a fetch: a line for each workspace, and the log of what failed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::failures::code_of;
use crate::build::BuiltWorkspace;
use crate::build::report::{self, WorkspaceReport};
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::ui::{Ui, count};

/// Prints the end of `factory fetch`; an error names the workspaces that failed.
pub fn fetched(ui: &Ui, built: &[BuiltWorkspace]) -> Result<()> {
    let good = built.iter().filter(|workspace| workspace.error.is_none()).count();
    let what = format!("{} ready for `factory build --offline`", count(good, "workspace"));
    if built.iter().flat_map(BuiltWorkspace::errors).next().is_none() {
        ui.note(what);
        return Ok(());
    }
    let failed: Vec<_> = built.iter().filter(|w| w.error.is_some()).map(|w| format!("`{}`", w.name)).collect();
    Err(Error::Failed { what: format!("{what}, failed: {}", failed.join(", ")), code: code(built) })
}

/// The end of a build.
pub struct BuildOutcome<'a> {
    /// What was built.
    pub reports: Vec<&'a WorkspaceReport>,
    /// The workspaces and plugins that could not be built since they were not resolved: they stand in the summary, and
    /// their errors are reported apart.
    pub unresolved: &'a [(String, Error)],
    /// Where the outputs are.
    pub output_dir: &'a Path,
    /// Whether the report of this build is there.
    pub has_report: bool,
    /// The code that all failures share, else that of a failure.
    pub code: u8,
    /// The lock that was built, if its seals are of all that a build makes.
    pub sealed: Option<&'a Lock>,
}

impl BuildOutcome<'_> {
    /// Prints it; an error names the workspaces and plugins that failed.
    pub fn say(&self, ui: &Ui) -> Result<()> {
        let Self { reports, unresolved, output_dir, .. } = self;
        let unresolved: Vec<_> = unresolved.iter().map(|(name, error)| (name.as_str(), error.to_string())).collect();
        if reports.len() > 1 || unresolved.iter().any(|(name, _)| reports.iter().all(|built| built.name != *name)) {
            ui.note(text(reports.iter().copied(), &unresolved, output_dir));
        }
        let plugins = || reports.iter().flat_map(|workspace| &workspace.plugins);
        let good = plugins().filter(|plugin| plugin.output.is_some()).count();
        let is_good = plugins().all(|plugin| plugin.error.is_none());
        if is_good && reports.iter().all(|workspace| workspace.error.is_none()) {
            let kept = plugins().filter(|plugin| plugin.kept).count();
            let kept = if kept == 0 { String::new() } else { format!(", {kept} of them from the cache") };
            let equal = if good > 0 && self.is_sealed() { ", equal to the seals in the lock" } else { "" };
            ui.note(format!("{} built into {}{kept}{equal}", count(good, "plugin"), output_dir.display()));
            return Ok(());
        }
        let mut what = built_plugins(good);
        let unbuilt: Vec<String> = reports.iter().filter_map(|workspace| parts(workspace, false)).collect();
        let unpushed: Vec<String> = reports.iter().filter_map(|workspace| parts(workspace, true)).collect();
        for (how, names) in [("failed", unbuilt), ("not published", unpushed)] {
            if !names.is_empty() {
                let _ = write!(what, ", {how}: {}", names.join(", "));
            }
        }
        if self.has_report {
            let _ = write!(what, "; see {}", output_dir.join(report::FILE_NAME).display());
        }
        Err(Error::Failed { what, code: self.code })
    }

    /// True if all that was made had a seal, which it then was compared with.
    fn is_sealed(&self) -> bool {
        let is_sealed = |report: &WorkspaceReport| {
            let locked = self.sealed?.workspace.iter().find(|locked| locked.name == report.name)?;
            let sealed = locked.plugin.iter().filter(|plugin| plugin.sealed.is_some());
            let paths: Vec<&str> = sealed.map(|plugin| plugin.path.as_str()).collect();
            let mut made = report.plugins.iter().filter(|plugin| plugin.output.is_some());
            Some(!locked.source.local && made.all(|plugin| paths.contains(&plugin.path.as_str())))
        };
        self.reports.iter().all(|report| is_sealed(report) == Some(true))
    }
}

/// `2 plugins built`
fn built_plugins(good: usize) -> String {
    if good == 0 { "nothing built".into() } else { format!("{} built", count(good, "plugin")) }
}

/// The name of a workspace in which something could not be built, or was built and not published, with these plugins when
/// there are others.
fn parts(report: &WorkspaceReport, published: bool) -> Option<String> {
    if report.error.is_some() {
        return (!published).then(|| format!("`{}`", report.name));
    }
    let plugins = report.plugins.iter().filter(|plugin| plugin.error.is_some());
    let paths: Vec<_> =
        plugins.filter(|plugin| plugin.output.is_some() == published).map(|plugin| plugin.path.as_str()).collect();
    (!paths.is_empty()).then(|| format!("`{}` ({})", report.name, paths.join(", ")))
}

/// The code that all failures of a build share, else that of a failure.
pub fn code(built: &[BuiltWorkspace]) -> u8 {
    code_of(built.iter().flat_map(BuiltWorkspace::errors))
}

fn text<'r>(
    reports: impl Iterator<Item = &'r WorkspaceReport>,
    unresolved: &[(&str, String)],
    output_dir: &Path,
) -> String {
    let mut lines: BTreeMap<&str, (bool, String)> =
        reports.map(|report| (report.name.as_str(), of(report, output_dir))).collect();
    for (name, error) in unresolved {
        let line = lines.entry(name).or_insert_with(|| (true, format!("{name}: not resolved")));
        line.0 = true;
        // The first line says what failed; the rest is said with the error.
        let _ = write!(line.1, "\n    {}", error.lines().next().unwrap_or_default());
    }
    let failed = lines.values().filter(|(failed, _)| *failed).count();
    let mut text = format!("{}: {} succeeded, {failed} failed", count(lines.len(), "workspace"), lines.len() - failed);
    for (_, line) in lines.into_values() {
        text.push_str("\n  ");
        text.push_str(&line);
    }
    text
}

/// Whether a workspace failed, and what is said of it.
fn of(report: &WorkspaceReport, output_dir: &Path) -> (bool, String) {
    let see = |log: &Option<String>| {
        log.as_ref().map(|log| format!("; log: {}", output_dir.join(log).display())).unwrap_or_default()
    };
    // The first line says what failed; the rest was said when it did.
    let short = |error: &str| error.lines().next().unwrap_or_default().to_owned();
    if let Some(error) = &report.error {
        return (true, format!("{}: {}{}", report.name, short(error), see(&report.log)));
    }
    let bad: Vec<_> = report.plugins.iter().filter_map(|plugin| Some((plugin, plugin.error.as_ref()?))).collect();
    let unbuilt = bad.iter().filter(|(plugin, _)| plugin.output.is_none()).count();
    let mut line = format!("{}: {}", report.name, built_plugins(report.plugins.len() - unbuilt));
    for (plugin, error) in &bad {
        let how = if plugin.output.is_some() { "not published: " } else { "" };
        let _ = write!(line, "\n    {}: {how}{}{}", plugin.path, short(error), see(&plugin.log));
    }
    (!bad.is_empty(), line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::report::PluginReport;
    use crate::lock::Role;

    fn plugin(path: &str, error: Option<&str>) -> PluginReport {
        PluginReport {
            path: path.to_owned(),
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            role: Role::BackendPlugin,
            earlier: false,
            output: None,
            error: error.map(str::to_owned),
            left_out: vec![],
            warnings: Vec::new(),
            kept: false,
            log: Some(format!("b/logs/{path}.log")),
            seconds: BTreeMap::new(),
        }
    }

    #[test]
    fn each_workspace_has_a_line_and_what_failed_its_log() {
        let workspace = |name: &str, error: Option<&str>, plugins| WorkspaceReport {
            name: name.to_owned(),
            earlier: false,
            error: error.map(str::to_owned),
            log: Some(format!("{name}/logs/workspace.log")),
            install_scripts: crate::build::report::InstallScripts::default(),
            seconds: BTreeMap::new(),
            plugins,
        };
        let reports = [
            workspace("a", Some("`yarn install` failed for workspace `a` (exit code 1)\nmore"), vec![]),
            workspace("b", None, vec![plugin("x", None), plugin("y", Some("no"))]),
            workspace("c", None, vec![plugin("z", None)]),
        ];
        let unresolved = [("b", "b: `q` cannot be exported".to_owned()), ("d", "d/source.json:1: no\nmore".to_owned())];
        insta::assert_snapshot!(text(reports.iter(), &unresolved, Path::new("/out")), @r"
        4 workspaces: 1 succeeded, 3 failed
          a: `yarn install` failed for workspace `a` (exit code 1); log: /out/a/logs/workspace.log
          b: 1 plugin built
            y: no; log: /out/b/logs/y.log
            b: `q` cannot be exported
          c: 1 plugin built
          d: not resolved
            d/source.json:1: no
        ");
    }
}
