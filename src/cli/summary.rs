//! The end of a build of several workspaces: one line each, and the log of what failed.

use std::fmt::Write as _;
use std::path::Path;

use crate::build::BuiltWorkspace;
use crate::build::report::WorkspaceReport;
use crate::ui::{Ui, count};

/// Says how each workspace came out; nothing where there is only one.
pub fn say(ui: &Ui, built: &[BuiltWorkspace], output_dir: &Path) {
    if built.len() > 1 {
        ui.note(text(built.iter().map(|workspace| &workspace.report), output_dir));
    }
}

fn text<'r>(reports: impl Iterator<Item = &'r WorkspaceReport>, output_dir: &Path) -> String {
    let lines: Vec<(bool, String)> = reports.map(|report| of(report, output_dir)).collect();
    let failed = lines.iter().filter(|(failed, _)| *failed).count();
    let mut text = format!("{}: {} succeeded, {failed} failed", count(lines.len(), "workspace"), lines.len() - failed);
    for (_, line) in lines {
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
    let good = count(report.plugins.len() - bad.len(), "plugin");
    let mut line = format!("{}: {good} built", report.name);
    for (plugin, error) in &bad {
        let _ = write!(line, "\n    {}: {}{}", plugin.path, short(error), see(&plugin.log));
    }
    (!bad.is_empty(), line)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::build::report::PluginReport;
    use crate::lock::Role;

    fn plugin(path: &str, error: Option<&str>) -> PluginReport {
        PluginReport {
            path: path.to_owned(),
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            role: Role::BackendPlugin,
            output: None,
            error: error.map(str::to_owned),
            kept: false,
            log: Some(format!("b/logs/{path}.log")),
            seconds: BTreeMap::new(),
        }
    }

    #[test]
    fn each_workspace_has_a_line_and_what_failed_its_log() {
        let workspace = |name: &str, error: Option<&str>, plugins| WorkspaceReport {
            name: name.to_owned(),
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
        insta::assert_snapshot!(text(reports.iter(), Path::new("/out")), @r"
        3 workspaces: 1 succeeded, 2 failed
          a: `yarn install` failed for workspace `a` (exit code 1); log: /out/a/logs/workspace.log
          b: 1 plugin built
            y: no; log: /out/b/logs/y.log
          c: 1 plugin built
        ");
    }
}
