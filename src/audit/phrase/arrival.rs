//! Packages that arrived, in words.

use super::super::change::{ArrivedPackage, PluginPlace};
use super::span::{Phrase, PhraseLine, PhraseSpan, line, name, name_list, text};
use crate::ui::count;

/// Packages of one list; the JSON has all.
const SHOWN: usize = 20;
/// Plugins of one package.
const PLUGINS: usize = 3;

pub(super) fn licence<'a>(
    licence: Option<&str>,
    appeared: bool,
    known: usize,
    packages: &[ArrivedPackage],
) -> Phrase<'a> {
    let mut head = match licence {
        Some(licence) => vec![text("licence "), name(licence)],
        None => vec![text("no licence is stated")],
    };
    head.push(text(match (appeared, known) {
        (_, 0) => ": of no package of the old release it is known which it has".to_owned(),
        (true, known) => format!(" appeared: none of {} known of the old release has it", count(known, "package")),
        (false, _) => ": these packages had another one".to_owned(),
    }));
    Phrase::new("licence", head).with_lines(lines(packages))
}

pub(super) fn install_scripts<'a>(packages: &[ArrivedPackage]) -> Phrase<'a> {
    let said = format!("install scripts appeared in {}", count(packages.len(), "package"));
    Phrase::new("install script", vec![text(said)]).with_lines(lines(packages))
}

pub(super) fn published<'a>(since: &str, packages: &[ArrivedPackage]) -> Phrase<'a> {
    let day = since.split('T').next().unwrap_or(since);
    let said = format!("published after {day}: {}", count(packages.len(), "package"));
    Phrase::new("publication", vec![text(said)]).with_lines(lines(packages))
}

fn lines(packages: &[ArrivedPackage]) -> Vec<PhraseLine> {
    let mut lines: Vec<PhraseLine> = packages.iter().take(SHOWN).map(package).collect();
    if packages.len() > SHOWN {
        lines.push(line(vec![text(format!("and {} more", packages.len() - SHOWN))]));
    }
    lines
}

/// `lodash 4.17.21, before 4.17.20, in todo/plugins/todo-backend`
fn package(package: &ArrivedPackage) -> PhraseLine {
    let mut spans: Vec<PhraseSpan> = vec![name(package.package.clone()), text(" "), name(package.version.clone())];
    if !package.before.is_empty() {
        spans.push(text(", before "));
        spans.extend(name_list(package.before.iter().cloned()));
    }
    if !package.licences_before.is_empty() {
        spans.push(text(" with licence "));
        spans.extend(name_list(package.licences_before.iter().cloned()));
    }
    if let Some(published) = &package.published {
        spans.push(text(format!(", of {}", published.split('T').next().unwrap_or(published))));
    }
    let place = |place: &PluginPlace| format!("{}/{}", place.workspace, place.plugin);
    spans.push(text(", in "));
    spans.extend(name_list(package.plugins.iter().take(PLUGINS).map(place)));
    if package.plugins.len() > PLUGINS {
        spans.push(text(format!(" and {} more", package.plugins.len() - PLUGINS)));
    }
    line(spans)
}
