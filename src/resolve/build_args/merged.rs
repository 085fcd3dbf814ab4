//! What a user listed for a plugin and what is computed, as one.

use super::args::{ComputedArgs, Fate};
use super::diagnostic::{Diagnostic, DiagnosticKind, NativeProblem};
use super::listed::{self, ListedArgs, check_value, is_wanted, misspelt, stands, useless};
use crate::lock::arguments::words;
use crate::lock::{ArgsFrom, ArgsOrigin, Argument};

/// The reason of an argument that a user wrote.
pub const LISTED: &str = "listed in plugins-list.yaml";

/// The computed arguments, and those of a list that no computation makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedArgs {
    /// The arguments.
    pub args: Vec<Argument>,
    /// Where each comes from.
    pub origin: ArgsOrigin,
    /// The reason of each.
    pub why: Vec<String>,
    /// What there is to say: of what is computed, unless the list settles it, and of what is listed and does nothing.
    pub diagnostics: Vec<Diagnostic>,
}

/// Makes one of `listed` and `computed`. What is computed comes first, unless the list has the same arguments in another
/// order. `was_computed` tells what stands in the list since it was computed once: it goes when it is computed no more.
pub fn merge(listed: &[Argument], computed: &ComputedArgs, was_computed: impl Fn(&Argument) -> bool) -> MergedArgs {
    let listed = mended(listed);
    let made: Vec<(Argument, String)> =
        computed.args.iter().map(|arg| (arg.argument(), arg.reason.to_string())).collect();
    let is_made = |argument: &Argument| made.iter().any(|(made, _)| made == argument);
    let mut mine: Vec<Argument> = Vec::new();
    for argument in listed.iter().filter(|argument| !is_made(argument) && !was_computed(argument)) {
        if !mine.contains(argument) {
            mine.push(argument.clone());
        }
    }
    let own_words = words(&mine);
    let own = listed::read(&own_words, &mut Vec::new());
    let mut all: Vec<(Argument, ArgsFrom, String)> = computed
        .args
        .iter()
        .zip(&made)
        .filter(|(arg, _)| is_wanted(arg, &own))
        .map(|(_, (argument, why))| (argument.clone(), ArgsFrom::Computed, why.clone()))
        .collect();
    all.extend(mine.iter().map(|argument| (argument.clone(), ArgsFrom::PluginsList, LISTED.to_owned())));
    let place = |argument: &Argument| listed.iter().position(|other| other == argument);
    if all.len() == listed.len() && all.iter().all(|(argument, ..)| place(argument).is_some()) {
        all.sort_by_key(|(argument, ..)| place(argument));
    }
    let all_words = words(&all.iter().map(|(argument, ..)| argument.clone()).collect::<Vec<_>>());
    let whole = listed::read(&all_words, &mut Vec::new());
    let holds = |diagnostic: &&Diagnostic| holds(&diagnostic.kind, (&own, &whole), computed);
    let mut diagnostics: Vec<Diagnostic> = computed.diagnostics.iter().filter(holds).cloned().collect();
    diagnostics.extend(needless(&own, computed));
    let origin = all.iter().map(|(_, from, _)| *from).collect();
    MergedArgs {
        origin: ArgsOrigin::of(origin, ArgsFrom::Computed),
        why: all.iter().map(|(.., why)| why.clone()).collect(),
        args: all.into_iter().map(|(argument, ..)| argument).collect(),
        diagnostics,
    }
}

/// Listed arguments without slips in flags, each once.
fn mended(listed: &[Argument]) -> Vec<Argument> {
    let mut out = Vec::new();
    for argument in listed {
        let mended = match misspelt(&argument.flag) {
            Some(flag) => argument.values.iter().map(|value| Argument::new(flag, value)).collect(),
            None => vec![argument.clone()],
        };
        for argument in mended {
            if !out.contains(&argument) {
                out.push(argument);
            }
        }
    }
    out
}

/// True if a computed diagnostic is not settled by what a user wrote.
fn holds(kind: &DiagnosticKind, (own, whole): (&ListedArgs<'_>, &ListedArgs<'_>), computed: &ComputedArgs) -> bool {
    match kind {
        DiagnosticKind::Native(NativeProblem::Mandatory { name, .. } | NativeProblem::Unknown { name, .. }) => {
            !own.settles_native(name)
        }
        kind => stands(kind, whole, computed),
    }
}

/// What a user wrote and does nothing.
fn needless(own: &ListedArgs<'_>, computed: &ComputedArgs) -> Vec<Diagnostic> {
    let refused = |name: &str| {
        let is_of =
            |one: &Diagnostic| matches!(&one.kind, DiagnosticKind::VersionConflict { name: of, .. } if of == name);
        computed.diagnostics.iter().any(is_of)
    };
    let mut out = Vec::new();
    for (flag, value) in own.values.iter().flat_map(|(flag, values)| values.iter().map(move |value| (*flag, *value))) {
        if !computed.is_backend {
            out.push(useless(flag, value, "a frontend plugin bundles what it needs"));
        } else if flag == "--ignore-version-check" {
            let why = "rhdh-cli refuses no range of this package";
            out.extend((!refused(value)).then(|| useless(flag, value, why)));
        } else if flag == "--embed-package" && computed.packages.get(value) == Some(&Fate::Embedded) {
            // Another choice of the user's has it embedded.
        } else {
            out.extend(check_value(flag, value, computed));
        }
    }
    out
}
