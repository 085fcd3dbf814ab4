//! Arguments a user wrote, held against the computed ones. They stay as they are: all that comes out is warnings.

use std::collections::{BTreeMap, BTreeSet};

use super::args::{Arg, ArgReason, ComputedArgs, Fate, Flag};
use super::diagnostic::{Diagnostic, DiagnosticKind, ListedProblem, NativeProblem, Severity};
use crate::lock::arguments::VARIADIC;

/// Flags that take one value.
const SINGLE: [&str; 2] = ["--dynamic-plugins-root", "--scalprum-config"];

/// Flags without a value.
const SWITCHES: [&str; 10] = [
    "--minify",
    "--no-install",
    "--no-build",
    "--clean",
    "--dev",
    "--track-dynamic-manifest-and-lock-file",
    "--generate-scalprum-assets",
    "--no-generate-scalprum-assets",
    "--generate-module-federation-assets",
    "--no-generate-module-federation-assets",
];

/// The values of each variadic flag.
#[derive(Default)]
pub(super) struct ListedArgs<'l> {
    pub(super) values: BTreeMap<&'static str, BTreeSet<&'l str>>,
    /// Those of them that stand behind a misspelt flag.
    guessed: BTreeSet<(&'static str, &'l str)>,
}

impl<'l> ListedArgs<'l> {
    /// Each value with its flag, those of misspelt flags left out: one slip, one warning.
    fn sure(&self) -> impl Iterator<Item = (&'static str, &'l str)> {
        let all = self.values.iter().flat_map(|(flag, values)| values.iter().map(|value| (*flag, *value)));
        all.filter(|one| !self.guessed.contains(one))
    }

    pub(super) fn has(&self, flag: &str, value: &str) -> bool {
        self.values.get(flag).is_some_and(|values| values.contains(value))
    }

    /// True when a native package is taken care of, one way or the other.
    pub(super) fn settles_native(&self, name: &str) -> bool {
        ["--allow-native-package", "--shared-package", "--suppress-native-package"]
            .into_iter()
            .any(|flag| self.has(flag, name))
    }
}

/// Warnings about the arguments listed for a plugin, already split into words: misspelt flags, doubled, missing and
/// useless values, and those of the computed diagnostics that the list leaves standing.
///
/// Everything is a warning: a user may know better. A package a user embeds or shares on purpose is left alone
/// wherever it does something.
pub fn check_listed(words: &[String], computed: &ComputedArgs) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let listed = read(words, &mut out);
    if computed.is_backend {
        for (flag, value) in listed.sure() {
            out.extend(check_value(flag, value, computed));
        }
        out.extend(missing(&listed, computed));
        out.extend(
            computed.diagnostics.iter().filter(|diagnostic| stands(&diagnostic.kind, &listed, computed)).cloned(),
        );
    } else {
        let is_useless = |(flag, value)| useless(flag, value, "a frontend plugin bundles what it needs");
        out.extend(listed.sure().map(is_useless));
    }
    for diagnostic in &mut out {
        diagnostic.severity = Severity::Warning;
    }
    out
}

/// The warnings that need no host and no lockfile: misspelt flags, missing and doubled values.
pub fn check_words(words: &[String]) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    read(words, &mut out);
    out
}

pub(super) fn read<'l>(words: &'l [String], out: &mut Vec<Diagnostic>) -> ListedArgs<'l> {
    let mut listed = ListedArgs::default();
    let mut warn = |kind| out.push(problem(kind));
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            warn(ListedProblem::StrayWord { word: word.to_owned() });
            continue;
        }
        let (name, inline) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let Some(flag) = known(name) else {
            // Another version of rhdh-cli may have flags not known here: only what looks like a slip is one.
            if let Some(flag) = closest(name, VARIADIC.into_iter().chain(SINGLE).chain(SWITCHES)) {
                warn(ListedProblem::MisspeltFlag { word: name.to_owned(), flag: flag.to_owned() });
                // The values are counted as if it were right: one slip, one warning.
                if let Some(flag) = VARIADIC.into_iter().find(|variadic| *variadic == flag) {
                    let values = listed.values.entry(flag).or_default();
                    let following = std::iter::from_fn(|| words.next_if(|word| !word.starts_with('-')));
                    for value in inline.into_iter().chain(following) {
                        if values.insert(value) {
                            listed.guessed.insert((flag, value));
                        }
                    }
                    continue;
                }
            }
            while words.next_if(|word| !word.starts_with('-')).is_some() {}
            continue;
        };
        if SINGLE.contains(&flag) {
            if inline.is_none() && words.next_if(|word| !word.starts_with('-')).is_none() {
                warn(ListedProblem::NoValue { flag: flag.to_owned() });
            }
        } else if VARIADIC.contains(&flag) {
            let values = listed.values.entry(flag).or_default();
            let following = std::iter::from_fn(|| words.next_if(|word| inline.is_none() && !word.starts_with('-')));
            let mut given = inline.into_iter().chain(following).peekable();
            if given.peek().is_none() {
                warn(ListedProblem::NoValue { flag: flag.to_owned() });
            }
            for value in given {
                if !values.insert(value) {
                    warn(ListedProblem::Doubled { arg: format!("{flag} {value}") });
                }
            }
        }
    }
    listed
}

fn known(name: &str) -> Option<&'static str> {
    VARIADIC.into_iter().chain(SINGLE).chain(SWITCHES).find(|flag| *flag == name)
}

/// What is odd about a listed value, if anything.
pub(super) fn check_value(flag: &str, value: &str, computed: &ComputedArgs) -> Option<Diagnostic> {
    let name = value.strip_prefix('!').unwrap_or(value);
    let is_computed = || {
        // A stub for what the plugin needs is a choice to be reminded of.
        let is_good = |arg: &&Arg| !matches!(arg.reason, ArgReason::MissingNative { .. });
        computed.args.iter().filter(is_good).any(|arg| arg.flag.as_str() == flag && arg.value == value)
    };
    // `--shared-package` takes regular expressions between slashes as well.
    if flag == "--ignore-version-check" || name.starts_with('/') || is_computed() {
        return None;
    }
    let Some(fate) = computed.packages.get(name) else {
        return Some(problem(ListedProblem::NotADependency {
            arg: format!("{flag} {value}"),
            suggestion: closest(name, computed.packages.keys().map(String::as_str)).map(str::to_owned),
        }));
    };
    match (flag, fate) {
        ("--embed-package", Fate::Sibling) => {
            Some(useless(flag, value, "rhdh-cli embeds the `-common` and `-node` of a plugin by itself"))
        }
        ("--embed-package", Fate::Shared) => Some(problem(ListedProblem::Useless {
            arg: format!("{flag} {value}"),
            reason: "the host provides the package".to_owned(),
        })),
        ("--shared-package", Fate::Shared) if value == name && name.starts_with("@backstage/") => {
            Some(useless(flag, value, "`@backstage` packages are shared anyway"))
        }
        ("--suppress-native-package", Fate::Native) => {
            let path = computed.diagnostics.iter().find_map(|diagnostic| match &diagnostic.kind {
                DiagnosticKind::Native(NativeProblem::Mandatory { name: native, path, .. }) if native == name => {
                    Some(path.clone())
                }
                _ => None,
            })?;
            Some(problem(ListedProblem::SuppressedMandatory { name: name.to_owned(), path }))
        }
        ("--suppress-native-package", Fate::Shared) => {
            let path = computed.args.iter().find_map(|arg| match &arg.reason {
                ArgReason::HostNative { path, .. } if arg.value == name => Some(path.clone()),
                _ => None,
            })?;
            Some(problem(ListedProblem::SuppressedMandatory { name: name.to_owned(), path }))
        }
        ("--suppress-native-package" | "--allow-native-package", Fate::Private { .. })
            if !computed.manifest_requests.iter().any(|request| request.name == name) =>
        {
            Some(useless(flag, value, "the package is not native"))
        }
        _ => None,
    }
}

/// False for a computed argument in whose place the list has another choice.
pub(super) fn is_wanted(arg: &Arg, listed: &ListedArgs<'_>) -> bool {
    let value = arg.value.as_str();
    match (&arg.reason, arg.flag) {
        (ArgReason::NeedsHostNative { native, .. }, _) => {
            !listed.has("--allow-native-package", native) && !listed.has("--suppress-native-package", native)
        }
        (_, Flag::Embed) => !listed.has("--shared-package", value),
        (_, Flag::Share | Flag::Suppress) => match value.strip_prefix('!') {
            Some(name) => !listed.has("--shared-package", name),
            None => !listed.settles_native(value),
        },
    }
}

/// The computed arguments that the list lacks and does not replace.
fn missing(listed: &ListedArgs<'_>, computed: &ComputedArgs) -> Vec<Diagnostic> {
    let is_missing = |arg: &Arg| {
        let value = arg.value.as_str();
        match (&arg.reason, arg.flag) {
            _ if listed.has(arg.flag.as_str(), value) => false,
            // What is said of it is a diagnostic of its own; or it is added.
            (ArgReason::MissingNative { .. } | ArgReason::NotPublished { .. }, _) => false,
            (ArgReason::OptionalNotInHost { .. }, _) => true,
            // What is embedded is not shared, with or without `!`: rhdh-cli sees to it.
            (_, Flag::Share) if value.starts_with('!') => false,
            _ => is_wanted(arg, listed),
        }
    };
    computed
        .args
        .iter()
        .filter(|arg| is_missing(arg))
        .map(|arg| problem(ListedProblem::Missing { arg: arg.to_string(), reason: arg.reason.to_string() }))
        .collect()
}

/// True when a computed diagnostic holds for the list too: it is not settled by it, nor about a package that would
/// be embedded, and is not.
pub(super) fn stands(kind: &DiagnosticKind, listed: &ListedArgs<'_>, computed: &ComputedArgs) -> bool {
    let is_embedded = |name: &String| {
        let is_computed = computed.args.iter().any(|arg| arg.flag == Flag::Embed && arg.value == *name);
        !is_computed || listed.has("--embed-package", name)
    };
    match kind {
        DiagnosticKind::Native(NativeProblem::Mandatory { name, .. } | NativeProblem::Unknown { name, .. }) => {
            !listed.settles_native(name)
        }
        DiagnosticKind::Native(NativeProblem::Embedded { name, .. }) => {
            is_embedded(name) && !listed.has("--allow-native-package", name)
        }
        DiagnosticKind::VersionConflict { name, parent, .. } => {
            is_embedded(parent) && !listed.has("--ignore-version-check", name)
        }
        DiagnosticKind::WorkspaceFromRegistry { name, .. } => !listed.has("--embed-package", name),
        DiagnosticKind::NpmAlias { name, .. }
        | DiagnosticKind::PatchedDependency { name, embedded: true, .. }
        | DiagnosticKind::OutsideRange { name, .. }
        | DiagnosticKind::HiddenPackageJson { name, .. }
        | DiagnosticKind::Bundled { name }
        | DiagnosticKind::OptionalEmbedded { name, .. }
        | DiagnosticKind::SeveralVersions { name, .. } => is_embedded(name),
        DiagnosticKind::PatchedDependency { parent, embedded: false, .. }
        | DiagnosticKind::MissingPeer { parent, .. }
        | DiagnosticKind::OptionalShared { parent, .. } => is_embedded(parent),
        _ => true,
    }
}

fn problem(problem: ListedProblem) -> Diagnostic {
    Diagnostic::warning(DiagnosticKind::Listed(problem))
}

pub(super) fn useless(flag: &str, value: &str, reason: &str) -> Diagnostic {
    problem(ListedProblem::Useless { arg: format!("{flag} {value}"), reason: reason.to_owned() })
}

/// The variadic flag that a word with a slip in it means.
pub(super) fn misspelt(word: &str) -> Option<&'static str> {
    if known(word).is_some() {
        return None;
    }
    let flag = closest(word, VARIADIC.into_iter().chain(SINGLE).chain(SWITCHES))?;
    VARIADIC.into_iter().find(|variadic| *variadic == flag)
}

/// The name that differs from `word` by a slip: at most two letters of many.
fn closest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const SLIPS: usize = 2;
    // Shorter words are like too many names; no package has a longer name.
    if !(4..=214).contains(&word.len()) {
        return None;
    }
    names
        .filter(|name| name.len().abs_diff(word.len()) <= SLIPS)
        .map(|name| (strsim::levenshtein(word, name), name))
        .filter(|(distance, _)| *distance <= SLIPS)
        .min()
        .map(|(_, name)| name)
}
