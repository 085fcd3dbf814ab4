//! The environment of a workspace: `.env` files over the process's variables over the defaults.
//!
//! Precedence, highest first, as in the original (`_load_env_for_workspace` in its `cli.py`, which loads both files
//! with `load_dotenv(override=True)`): the workspace's `.env`, the root `.env`, the process's environment,
//! `default.env`. So a `.env` file **wins over** what was exported before; only the defaults yield to it.
//! Each workspace has its own map, and nothing is ever put into the process's environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::warning::Warning;
use super::{text, variables};
use crate::Result;
use crate::error::Place;

pub mod dotenv;
pub mod edit;

/// The name of the file, at the root of the configuration and in each workspace's folder.
pub const FILE_NAME: &str = ".env";

/// The lowest layer, the original's `default.env`.
pub const DEFAULT_ENV: &str = "RHDH_CLI_VERSION=latest\n";

/// Variables by name, each with its origin. `Debug` shows no value of a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<String, EnvValue>);

/// A variable's value and where it comes from.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvValue {
    /// The text, after expansion.
    pub text: String,
    /// The layer that set it.
    pub origin: EnvOrigin,
}

/// The layer that set a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvOrigin {
    /// [`DEFAULT_ENV`].
    Default,
    /// The environment `factory` was started in.
    Process,
    /// A `.env` file, with the line.
    File(Place),
}

impl Env {
    /// The process's environment over the defaults. Variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        Self::new(
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// The given variables, as the process's environment, over the defaults.
    pub fn new(process: impl IntoIterator<Item = (String, String)>) -> Self {
        let (defaults, _) = dotenv::parse(DEFAULT_ENV);
        let mut env = Self::default();
        for binding in defaults {
            env.set(binding.key, binding.value.unwrap_or_default(), EnvOrigin::Default);
        }
        for (key, value) in process {
            env.set(key, value, EnvOrigin::Process);
        }
        env
    }

    /// This environment with the `.env` file of the configuration directory over it, and a warning for each line that
    /// cannot be read. A file that does not exist changes nothing.
    pub fn with_file(&self, path: &Path) -> Result<(Self, Vec<Warning>)> {
        let Some(text) = text::read(path)? else { return Ok((self.clone(), Vec::new())) };
        Ok(self.with_text(&text, path, true))
    }

    /// The same with the `.env` file of one workspace of several.
    pub fn with_workspace_file(&self, path: &Path) -> Result<(Self, Vec<Warning>)> {
        let Some(text) = text::read(path)? else { return Ok((self.clone(), Vec::new())) };
        Ok(self.with_text(&text, path, false))
    }

    /// Like [`Env::with_file`], or with `is_root` false [`Env::with_workspace_file`], of a text. A variable that has no
    /// effect there, or looks misspelt, is a warning too; one that other values refer to has its use.
    fn with_text(&self, text: &str, path: &Path, is_root: bool) -> (Self, Vec<Warning>) {
        let (bindings, broken) = dotenv::parse(text);
        let mut referred = BTreeSet::new();
        // A key without `=` is empty for the expansions behind it, and sets nothing in the end.
        let mut values: BTreeMap<String, Option<(String, usize)>> = BTreeMap::new();
        for dotenv::Binding { key, value, line } in bindings {
            let value = value.map(|value| {
                dotenv::expand(&value, |name| {
                    referred.insert(name.to_owned());
                    match values.get(name) {
                        Some(value) => Some(value.as_ref().map(|(text, _)| text.clone()).unwrap_or_default()),
                        None => self.get(name).map(str::to_owned),
                    }
                })
            });
            values.insert(key, value.map(|value| (value, line)));
        }
        let mut env = self.clone();
        let mut warnings: Vec<(usize, String)> =
            broken.into_iter().map(|line| (line, "this line is not `KEY=value` and is skipped".to_owned())).collect();
        for (key, value) in values {
            if let Some((text, line)) = value {
                let wrong = variables::wrong_in_env_file(&key, is_root).filter(|_| !referred.contains(&key));
                let is_used = wrong.is_none();
                warnings.extend(wrong.map(|wrong| (line, wrong)));
                warnings.extend(self.replaced(&key, &text).filter(|_| is_used).map(|what| (line, what)));
                env.set(key, text, EnvOrigin::File(Place::line(path, line)));
            }
        }
        warnings.sort();
        let warnings = warnings.into_iter().map(|(line, what)| Warning::new(Place::line(path, line), what)).collect();
        (env, warnings)
    }

    /// This environment with another value of a variable, as a `.env` file would set it.
    #[must_use]
    pub fn with_value(&self, name: &str, value: &str, place: Place) -> Self {
        let mut env = self.clone();
        env.set(name.to_owned(), value.to_owned(), EnvOrigin::File(place));
        env
    }

    /// What to say where a file has another value of a variable that factory reads than the environment; no secret.
    pub fn replaced(&self, name: &str, text: &str) -> Option<String> {
        let other = self.0.get(name).filter(|value| value.origin == EnvOrigin::Process && value.text != text)?;
        let is_read = variables::is_of_run(name) || variables::all().any(|known| known.name == name);
        is_read.then(|| {
            if variables::is_secret(name, text) || variables::is_secret(name, &other.text) {
                return format!("`{name}` has another value in the environment; the one of this line is used");
            }
            let [text, other] = [text, &other.text].map(str::escape_debug);
            format!("`{name}` is `{text}` here and `{other}` in the environment; the one of this line is used")
        })
    }

    fn set(&mut self, key: String, text: String, origin: EnvOrigin) {
        self.0.insert(key, EnvValue { text, origin });
    }

    /// A variable's value, which can be empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.text.as_str())
    }

    /// A variable's value unless it is unset or empty: the original takes both for "not given".
    pub fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// True for `true` in any case, as the original reads `REGISTRY_INSECURE`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// The layer that set a variable.
    pub fn origin(&self, name: &str) -> Option<&EnvOrigin> {
        self.0.get(name).map(|value| &value.origin)
    }

    /// What `.env` files say of the whole run: proxies, certificate authorities and npm's settings.
    pub fn of_run(&self) -> impl Iterator<Item = (&str, &str)> {
        self.from_files().filter(|(name, _)| variables::is_of_run(name))
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &EnvValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The variables that `.env` files set, sorted by name.
    pub fn from_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter()
            .filter(|(_, value)| matches!(value.origin, EnvOrigin::File(_)))
            .map(|(name, value)| (name, value.text.as_str()))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, value)| {
            let text = if variables::is_secret(name, &value.text) { "***" } else { value.text.as_str() };
            (name, (text, &value.origin))
        });
        f.debug_map().entries(shown).finish()
    }
}

impl fmt::Display for EnvOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Process => f.write_str("environment"),
            Self::File(place) => place.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
