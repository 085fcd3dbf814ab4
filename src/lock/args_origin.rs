//! Where the arguments of a plugin come from: all from one place, or each from its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an argument comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArgsFrom {
    /// Written in `plugins-list.yaml`.
    PluginsList,
    /// Computed from the lockfiles.
    Computed,
    /// Added to what is listed, since a build without it would fail.
    Added,
}

/// Where the arguments of a plugin come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected `plugins-list`, `computed`, or an array of these and `added`")]
pub enum ArgsOrigin {
    /// All from one place.
    All(ArgsFrom),
    /// One for each, in the order of `args`.
    Each(Vec<ArgsFrom>),
}

impl ArgsOrigin {
    /// What says it of each argument, in the shortest form; `none` is for no argument at all.
    pub fn of(each: Vec<ArgsFrom>, none: ArgsFrom) -> Self {
        let first = each.first().copied().unwrap_or(none);
        if first != ArgsFrom::Added && each.iter().all(|from| *from == first) {
            Self::All(first)
        } else {
            Self::Each(each)
        }
    }

    /// Where the argument at `index` comes from.
    pub fn at(&self, index: usize) -> ArgsFrom {
        match self {
            Self::All(from) => *from,
            Self::Each(each) => each.get(index).copied().unwrap_or(ArgsFrom::PluginsList),
        }
    }

    /// True if some argument was computed, or all would be if there was one.
    pub fn is_computed(&self) -> bool {
        match self {
            Self::All(from) => *from == ArgsFrom::Computed,
            Self::Each(each) => each.contains(&ArgsFrom::Computed),
        }
    }

    /// The one word for all: `computed` if some are.
    pub fn word(&self) -> ArgsFrom {
        if self.is_computed() { ArgsFrom::Computed } else { ArgsFrom::PluginsList }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lock::text::tests::sample;
    use crate::lock::{Argument, Lock};

    #[test]
    fn it_is_said_of_each_argument_only_where_they_differ() {
        use ArgsFrom::{Added, Computed, PluginsList};
        assert_eq!(ArgsOrigin::of(vec![], Computed), ArgsOrigin::All(Computed));
        assert_eq!(ArgsOrigin::of(vec![PluginsList; 2], Computed), ArgsOrigin::All(PluginsList));
        let mixed = ArgsOrigin::of(vec![PluginsList, Computed], Computed);
        assert_eq!((mixed.at(0), mixed.at(1), mixed.is_computed()), (PluginsList, Computed, true));
        assert_eq!(ArgsOrigin::of(vec![Added], PluginsList), ArgsOrigin::Each(vec![Added]));
    }

    #[test]
    fn a_lock_has_one_line_for_each_argument() {
        let mut lock = sample();
        let plugin = &mut lock.workspace[0].plugin[1];
        plugin.args.push(Argument::new("--ignore-version-check", "@x/d"));
        plugin.why.push("listed in plugins-list.yaml".into());
        plugin.args_from = ArgsOrigin::Each(vec![ArgsFrom::Computed, ArgsFrom::Computed, ArgsFrom::PluginsList]);
        let text = lock.to_text();
        assert!(text.contains("\nversion = 1\nrevision = 6\n"), "{text}");
        let lines = "\nargs-from = [\n    \"computed\",\n    \"computed\",\n    \"plugins-list\",\n]\nargs = [\n";
        assert!(text.contains(lines), "{text}");
        let read = |text: &str| Lock::from_text(text, Path::new("factory.lock"));
        assert_eq!(read(&text).unwrap().to_text(), text);

        let short = text.replacen("    \"computed\",\n", "", 1);
        let error = read(&short).unwrap_err().to_string();
        assert!(error.ends_with(": `plugins/a` has 3 `args` and 2 `args-from`"), "{error}");
        let odd = text.replacen("\"plugins-list\"", "\"guessed\"", 1);
        let error = read(&odd).unwrap_err().to_string();
        assert!(error.contains("expected `plugins-list`, `computed`, or an array of these and `added`"), "{error}");
    }
}
