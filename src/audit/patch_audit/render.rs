//! A [`PatchAudit`] as lines for people and as JSON.

use std::fmt::Write as _;

use super::{ChecksumChange, ChecksumFault, PatchAudit, SourceMove};
use crate::audit::change::{PackageChange, PackageMove};
use crate::audit::json;
use crate::audit::version_step::VersionStep;
use crate::ui::{controls_escaped, count};

impl PatchAudit {
    /// The JSON, with a final newline.
    pub fn to_json(&self) -> String {
        json::render(self)
    }

    /// What changes, what yarn would refuse, and what is shipped.
    pub fn to_text(&self) -> String {
        let mut text = format!("{} of workspace `{}`", self.patch, self.workspace);
        if let Some(commit) = &self.commit {
            let _ = write!(text, " at commit {}", &commit[..commit.len().min(12)]);
        }
        let files = if self.files.is_empty() { "nothing".to_owned() } else { self.files.join(", ") };
        let _ = writeln!(text, "\n  changes {files}");
        section(&mut text, &self.heading(), self.packages.iter().map(line));
        section(&mut text, "! from another source", self.sources.iter().map(source));
        let scripts = self.scripts.iter();
        let scripts = scripts.map(|one| {
            format!("{}: `{}` runs `{}`", controls_escaped(&one.file), one.script, controls_escaped(&one.command))
        });
        section(&mut text, "! scripts that run by themselves", scripts);
        self.checksums(&mut text);
        section(&mut text, "yarn refuses the lockfile (YN0028)", self.refused.iter().cloned());
        let beyond = "not in the range of their keys, which yarn takes unless it checks resolutions";
        section(&mut text, beyond, self.out_of_range.iter().cloned());
        let shipped = self
            .shipped
            .iter()
            .map(|one| format!("{} in `{}`, sealed with {}", one.package, one.plugin, one.sealed.join(", ")));
        section(&mut text, "shipped", shipped);
        let unknown = self.unknown.iter().map(|one| format!("`{}`: {}", one.plugin, one.why));
        section(&mut text, "not known what is shipped", unknown);
        let verdict = match self.changes_shipped {
            Some(true) => "something that is shipped changes",
            Some(false) => "nothing that is shipped changes",
            None => "it is not known whether something that is shipped changes",
        };
        let _ = writeln!(text, "\n{verdict}");
        text
    }

    fn checksums(&self, text: &mut String) {
        let of = |is_of: fn(ChecksumFault) -> bool| {
            self.checksums.iter().filter(|one| is_of(one.what)).map(checksum).collect::<Vec<_>>().into_iter()
        };
        section(text, "yarn refuses checksums (YN0018)", of(ChecksumFault::is_refused));
        let changed = "! other checksums of the same archives, which yarn refuses unless they changed too (YN0018)";
        section(text, changed, of(|what| what == ChecksumFault::Changed));
        section(text, "! no checksums any more", of(|what| what == ChecksumFault::Missing));
    }

    fn heading(&self) -> String {
        let is_major = |change: &&PackageChange| matches!(change.step, Some(VersionStep::Major));
        let majors = self.packages.iter().filter(is_major).count();
        let majors = if majors == 0 { String::new() } else { format!(", {majors} by a major version") };
        format!("{} of the lockfile{majors}", count(self.packages.len(), "package"))
    }
}

fn section(text: &mut String, heading: &str, lines: impl ExactSizeIterator<Item = String>) {
    if lines.len() == 0 {
        return;
    }
    let _ = writeln!(text, "\n{heading}");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

fn source(one: &SourceMove) -> String {
    let (package, to) = (controls_escaped(&one.package), controls_escaped(&one.to));
    if one.from.is_empty() {
        return format!("{package} {}: `{to}`, which is new", controls_escaped(&one.version));
    }
    let from: Vec<String> = one.from.iter().map(|from| format!("`{}`", controls_escaped(from))).collect();
    format!("{package} {}: {} → `{to}`", controls_escaped(&one.version), from.join(", "))
}

fn checksum(one: &ChecksumChange) -> String {
    let package = format!("{} {}", controls_escaped(&one.package), controls_escaped(&one.version));
    match (one.what, &one.of) {
        (ChecksumFault::Kept, Some(of)) => format!("{package} has that of {}", controls_escaped(of)),
        (ChecksumFault::Malformed, _) => format!("{package} has one that is not of 128 hexadecimal digits"),
        _ => package,
    }
}

fn line(change: &PackageChange) -> String {
    let (from, to) = (change.from.join(", "), change.to.join(", "));
    let name = &change.package;
    let step = change.step.and_then(VersionStep::word).map(|word| format!(" ({word})")).unwrap_or_default();
    match (change.change, from.is_empty(), to.is_empty()) {
        (PackageMove::Added, ..) => format!("+ {name} {to}"),
        (PackageMove::Removed, ..) => format!("- {name} {from}"),
        (PackageMove::Changed, true, _) => format!("~ {name} also {to}{step}"),
        (PackageMove::Changed, _, true) => format!("~ {name} no longer {from}{step}"),
        (PackageMove::Changed, ..) => format!("~ {name} {from} → {to}{step}"),
    }
}
