//! Arguments of `rhdh-cli plugin export`: split once, where they are read, and typed from there to the child process.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Flags of `rhdh-cli plugin export` that take several values: each value becomes an argument of its own.
pub const VARIADIC: [&str; 5] = [
    "--embed-package",
    "--shared-package",
    "--suppress-native-package",
    "--allow-native-package",
    "--ignore-version-check",
];

/// A flag and its values, written `--flag value` with quotes only where a shell needs them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Argument {
    /// `--embed-package`, `--no-build`, …; any word where the user wrote one that is not a flag.
    pub flag: String,
    /// None for a switch, one for each of [`VARIADIC`], more only where the flag is not known.
    pub values: Vec<String>,
}

/// A text that cannot be split into words as a shell would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// `'` or `"` without its second one, or nothing behind the last backslash.
    #[error("has a quote that is not closed, or ends in a backslash")]
    OpenQuote,
    /// No program can be given it.
    #[error("contains a NUL character")]
    Nul,
    /// No word at all.
    #[error("is empty")]
    Empty,
}

impl Argument {
    /// `flag value`
    pub fn new(flag: &str, value: &str) -> Self {
        Self { flag: flag.to_owned(), values: vec![value.to_owned()] }
    }

    /// Words → arguments: one per value of a variadic flag. A flag that is not known (a misspelt one, say) keeps all its
    /// values.
    pub fn from_words(words: &[String]) -> Vec<Self> {
        let mut arguments = Vec::new();
        let mut rest = words;
        while let Some((flag, after)) = rest.split_first() {
            let end = after.iter().position(|word| word.starts_with('-')).unwrap_or(after.len());
            let (values, after) = after.split_at(end);
            if VARIADIC.contains(&flag.as_str()) && !values.is_empty() {
                arguments.extend(values.iter().map(|value| Self::new(flag, value)));
            } else {
                arguments.push(Self { flag: flag.clone(), values: values.to_vec() });
            }
            rest = after;
        }
        arguments
    }

    /// Splits a line of arguments, as one stands in a `plugins-list.yaml`. An empty line has none.
    pub fn from_line(line: &str) -> Result<Vec<Self>, ArgumentError> {
        split(line).map(|words| Self::from_words(&words))
    }

    /// The flag and its values, as a program is given them.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.flag.as_str()).chain(self.values.iter().map(String::as_str))
    }
}

/// The words of `arguments`, as a program is given them.
pub fn words(arguments: &[Argument]) -> Vec<String> {
    arguments.iter().flat_map(Argument::words).map(str::to_owned).collect()
}

/// Splits a text into words as a shell would.
fn split(text: &str) -> Result<Vec<String>, ArgumentError> {
    if text.contains('\0') {
        return Err(ArgumentError::Nul);
    }
    shlex::split(text).ok_or(ArgumentError::OpenQuote)
}

/// A word that a shell-like split gives back as it is.
fn quoted(word: &str) -> String {
    if shlex::split(word).is_some_and(|split| split == [word]) {
        return word.to_owned();
    }
    shlex::try_quote(word).map_or_else(|_| String::from("''"), std::borrow::Cow::into_owned)
}

/// The text with its control characters escaped; quotes stay, since they are what a message is about.
fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.flag))?;
        self.values.iter().try_for_each(|value| write!(f, " {}", quoted(value)))
    }
}

impl FromStr for Argument {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = split(text)?.into_iter();
        let flag = words.next().ok_or(ArgumentError::Empty)?;
        Ok(Self { flag, values: words.collect() })
    }
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArgumentVisitor;

        impl Visitor<'_> for ArgumentVisitor {
            type Value = Argument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Argument, E> {
                text.parse().map_err(|e| E::custom(format!("the argument `{}` {e}", printable(text))))
            }
        }

        deserializer.deserialize_str(ArgumentVisitor)
    }
}

impl JsonSchema for Argument {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Argument".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        Argument::from_line(line).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_value_of_a_variadic_flag_is_an_argument() {
        assert_eq!(
            texts("--embed-package @a/b @c/d --shared-package '!@a/b' --suppress-native-package x"),
            ["--embed-package @a/b", "--embed-package @c/d", "--shared-package !@a/b", "--suppress-native-package x"]
        );
        assert_eq!(texts("--embed-package"), ["--embed-package"]);
    }

    #[test]
    fn what_is_misspelt_stays_as_it_is() {
        assert_eq!(texts("-embed-package @a/b c --no-build"), ["-embed-package @a/b c", "--no-build"]);
        assert_eq!(texts("stray words --no-build"), ["stray words", "--no-build"]);
    }

    #[test]
    fn a_text_reads_back_as_the_same_argument() {
        for value in ["/^@x y$/", "it's", "", "#x", "!@a/b", "a\nb", "\\"] {
            let argument = Argument::new("--shared-package", value);
            assert_eq!(argument.to_string().parse(), Ok(argument));
        }
    }

    #[test]
    fn what_no_shell_could_split_is_refused() {
        for text in ["--embed-package '@a/b", "--embed-package \"@a/b", "--embed-package @a/b\\"] {
            assert_eq!(text.parse::<Argument>(), Err(ArgumentError::OpenQuote), "{text}");
        }
        assert_eq!("--embed-package a\0".parse::<Argument>(), Err(ArgumentError::Nul));
        assert_eq!(" ".parse::<Argument>(), Err(ArgumentError::Empty));
        assert_eq!(Argument::from_line(" "), Ok(vec![]));
    }

    #[test]
    fn an_argument_is_a_string_to_readers_and_schemas() {
        let error = serde_json::from_str::<Argument>("1").unwrap_err().to_string();
        assert_eq!(error, "invalid type: integer `1`, expected a string at line 1 column 1");
        let schema = schemars::schema_for!(Vec<Argument>);
        assert_eq!(schema.get("items"), Some(&serde_json::json!({ "type": "string" })));
    }
}
