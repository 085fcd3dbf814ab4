//! What `factory resolve` found that cannot be built, kept in the lock so that every later run says it: plugins that
//! cannot be exported, and workspaces that could not be resolved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Sha256;
use crate::error::{Error, exit_code};

/// The longest reason and hint, in characters.
pub(super) const LONGEST: usize = 4096;

/// Why a plugin cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PluginProblem {
    /// Its folder from the workspace. The lock has no plugin of this path if nothing is known of it.
    pub plugin: String,
    /// What is wrong.
    pub what: String,
    /// The next step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl PluginProblem {
    /// As it is reported; the other plugins of the workspace are none the worse.
    pub fn error(&self, workspace: &str) -> Error {
        Error::build(format!("{workspace}: {}", one_line(&self.what)), one_line(&self.hint))
    }
}

/// A workspace that could not be resolved; the others are none the worse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UnresolvedWorkspace {
    /// Its name.
    pub name: String,
    /// Digest of what the configuration asked for. When it asks for something else, the reason may be gone.
    pub requested: Sha256,
    /// What is wrong.
    pub what: String,
    /// The next step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The exit code of commands that repeat it; absent for that of a failed build.
    #[serde(default = "failed", skip_serializing_if = "is_failed")]
    pub exit_code: u8,
}

/// A text of a lock, which is from outside, without line breaks and what steers a terminal.
fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

fn failed() -> u8 {
    exit_code::FAILED
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks like this
fn is_failed(code: &u8) -> bool {
    *code == exit_code::FAILED
}

impl UnresolvedWorkspace {
    /// What is wrong with a workspace, as it was reported.
    pub fn new(name: &str, requested: Sha256, error: &Error) -> Self {
        let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
        let what = error.to_string();
        let what = cut(what.strip_prefix(&format!("{name}: ")).unwrap_or(&what));
        let hint = cut(&error.hint().unwrap_or_default());
        // Of the others nothing can be repeated: the code is that of a failure.
        let is_known = |code: &u8| [exit_code::USAGE, exit_code::NETWORK].contains(code);
        let exit_code = Some(error.exit_code()).filter(is_known).unwrap_or(exit_code::FAILED);
        Self { name: name.to_owned(), requested, what, hint, exit_code }
    }

    /// As a later run reports it.
    pub fn error(&self) -> Error {
        let Self { name, what, hint, exit_code, .. } = self;
        let stop = if hint.is_empty() { "" } else { "; then " };
        let what = format!("{name}: not resolved: {}", one_line(what));
        let hint = format!("{}{stop}run `factory resolve {name}`", one_line(hint));
        match *exit_code {
            exit_code::USAGE => Error::usage(what, hint),
            exit_code::NETWORK => Error::network(what, hint),
            _ => Error::build(what, hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lock::Lock;
    use crate::lock::text::tests::sample;

    #[test]
    fn problems_are_blocks_and_need_a_newer_reader() {
        let mut lock = sample();
        lock.workspace[1].problem.push(PluginProblem {
            plugin: "plugins/c".into(),
            what: "plugin `plugins/c` is not in the workspace".into(),
            hint: String::new(),
        });
        let text = lock.to_text();
        assert!(text.contains("\nversion = 1\nrevision = 2\n"), "{text}");
        let block = "\n[[workspace.problem]]\nplugin = \"plugins/c\"\n\
                     what = \"plugin `plugins/c` is not in the workspace\"\n";
        assert!(text.contains(block), "{text}");
        let read = Lock::from_text(&text, Path::new("factory.lock")).unwrap();
        assert_eq!(read.workspace[0].problem, lock.workspace[1].problem);
        let [(workspace, error)] = &read.problems(&["acr".to_owned()])[..] else { panic!("one problem") };
        assert_eq!((workspace.as_str(), error.exit_code()), ("acr", 1));
        assert_eq!(error.to_string(), "acr: plugin `plugins/c` is not in the workspace");
        assert!(read.problems(&["todo".to_owned()]).is_empty());
    }

    #[test]
    fn a_workspace_that_could_not_be_resolved_is_a_block() {
        let mut lock = sample();
        for name in ["zoo", "bar"] {
            let error = Error::build(format!("`{name}.patch` does not apply"), "update it");
            lock.unresolved.push(UnresolvedWorkspace::new(name, Sha256::of("requested"), &error));
        }
        let text = lock.to_text();
        assert!(text.contains("\nversion = 1\nrevision = 2\n"), "{text}");
        let block = format!(
            "\n[[unresolved]]\nname = \"bar\"\nrequested = \"{}\"\nwhat = \"`bar.patch` does not apply\"\n\
             hint = \"update it\"\n\n[[unresolved]]\nname = \"zoo\"\n",
            Sha256::of("requested")
        );
        assert!(text.contains(&block), "{text}");
        let read = Lock::from_text(&text, Path::new("factory.lock")).unwrap();
        let [(name, error)] = &read.problems(&["zoo".to_owned()])[..] else { panic!("one workspace") };
        assert_eq!((name.as_str(), error.exit_code()), ("zoo", 1));
        assert_eq!(error.to_string(), "zoo: not resolved: `zoo.patch` does not apply");
        assert_eq!(error.hint().unwrap(), "update it; then run `factory resolve zoo`");
        assert_eq!(read.problems(&[]).len(), 2);
        lock.unresolved[0].name = "todo".into();
        let error = Lock::from_text(&lock.to_text(), Path::new("factory.lock")).unwrap_err().to_string();
        assert!(error.ends_with("`todo` stands twice among the workspaces"), "{error}");
    }
}
