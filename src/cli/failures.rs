//! Failures of several workspaces → one error with one exit code.

use super::session::Session;
use crate::config::{Config, Mode};
use crate::error::{Error, Result, exit_code};
use crate::ui::count;

/// Takes the errors of workspaces whose configuration cannot be read, by name.
pub fn broken(config: &mut Config, names: &[String]) -> Vec<(String, Error)> {
    let wanted = |name: &String| names.is_empty() || names.contains(name);
    let broken = std::mem::take(&mut config.broken).into_iter().filter(|broken| wanted(&broken.name));
    broken.map(|broken| (broken.name, broken.error)).collect()
}

/// An error of one workspace, which it names where there are several.
pub fn of_workspace(config: &Config, name: &str, error: Error) -> Error {
    if config.mode == Mode::Multi { error.in_workspace(name) } else { error }
}

/// The error of a command that failed for some workspaces, of which one may have several errors; each error is printed
/// first. `others` counts the workspaces that did not fail: the error of the only one is the command's own.
pub fn failures(session: &Session<'_>, mut failed: Vec<(String, Error)>, others: usize) -> Result<()> {
    match failed.len() {
        0 => Ok(()),
        1 if others == 0 => Err(failed.remove(0).1),
        _ => {
            for (_, error) in &failed {
                session.ui.error(error);
            }
            let mut names: Vec<String> = Vec::new();
            for name in failed.iter().map(|(name, _)| format!("`{name}`")) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            Err(Error::Failed {
                what: format!("{} failed: {}", count(names.len(), "workspace"), names.join(", ")),
                code: code_of(failed.iter().map(|(_, error)| error)),
            })
        }
    }
}

/// The end of a command that failed for some workspaces before it built the others: both are said, and the code is the
/// one they share, else that of a failure.
pub fn both(session: &Session<'_>, before: Result<()>, built: Result<()>) -> Result<()> {
    match (before, built) {
        (_, Err(Error::Interrupted)) => Err(Error::Interrupted),
        (Err(before), Err(built)) => {
            session.ui.error(&before);
            let code = code_of([&before, &built].into_iter());
            if code == built.exit_code() { Err(built) } else { Err(Error::Failed { what: built.to_string(), code }) }
        }
        (before, built) => before.and(built),
    }
}

/// The code that all errors share, else that of a failure.
pub fn code_of<'e>(errors: impl Iterator<Item = &'e Error>) -> u8 {
    exit_code::shared(errors.map(Error::exit_code))
}
