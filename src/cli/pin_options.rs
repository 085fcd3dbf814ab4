//! The options of `factory resolve` that move one pin, and what they write for the user: a pin stands where it was asked
//! for, so that the next resolve asks for the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::paths;
use super::session::Session;
use crate::config::env::{self, EnvOrigin};
use crate::config::source_json::{self, SourceJson};
use crate::config::{Config, Mode, WorkspaceConfig, text};
use crate::error::{Error, Place, Result};
use crate::lock::Lock;
use crate::resolve::{Repinned, configured_pins};
use crate::store::{atomic_edit, stays_beneath};

/// One pin at a time. Nothing else that is locked moves.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Move one pin, and nothing else")]
pub struct PinOptions {
    /// Branch, tag or commit of the named workspaces; written to `repo-ref` in source.json
    #[arg(
        long = "ref",
        id = "pin_ref",
        value_name = "REF",
        value_parser = NonEmptyStringValueParser::new(),
        conflicts_with_all = ["source_repo", "source_ref", "use_local"]
    )]
    pub reference: Option<String>,
    /// Version of Node.js; written to `NODE_VERSION` in .env
    #[arg(long = "node", id = "pin_node", value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    pub node: Option<String>,
    /// Version, range or dist-tag of rhdh-cli; written to `RHDH_CLI_VERSION` in .env
    #[arg(long = "rhdh-cli", id = "pin_cli", value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    pub rhdh_cli: Option<String>,
}

/// A file of the configuration with another value in it.
struct ChangedFile {
    text: String,
    changes: Vec<String>,
    /// Those who are asked for otherwise by it.
    workspaces: Vec<String>,
}

/// What the options write, by file.
#[derive(Default)]
pub struct ConfigEdits(BTreeMap<PathBuf, ChangedFile>);

impl PinOptions {
    /// What is to be pinned anew.
    pub fn repinned(&self) -> Repinned {
        Repinned { commits: self.reference.is_some(), node: self.node.is_some(), rhdh_cli: self.rhdh_cli.is_some() }
    }

    /// Asks for it in the configuration of the named workspaces, of all when none is named. The files are not written yet.
    pub fn apply(&self, config: &mut Config, names: &[String]) -> Result<ConfigEdits> {
        let mut edits = ConfigEdits::default();
        let is_named = |name: &String| names.is_empty() || names.contains(name);
        if let Some(reference) = &self.reference {
            if names.is_empty() && config.workspaces.len() > 1 {
                let first = config.workspaces.first().map_or("", |workspace| workspace.name.as_str());
                return Err(Error::usage(
                    "`--ref` requires the names of the workspaces that it is for",
                    format!("for instance: `factory resolve {first} --ref {reference}`"),
                ));
            }
            source_json::check_ref_option("--ref", reference)?;
            for workspace in config.workspaces.iter_mut().filter(|workspace| is_named(&workspace.name)) {
                edits.reference(workspace, reference)?;
            }
        }
        for (name, value) in [("NODE_VERSION", &self.node), ("RHDH_CLI_VERSION", &self.rhdh_cli)] {
            let Some(value) = value else { continue };
            check_version(if name == "NODE_VERSION" { "--node" } else { "--rhdh-cli" }, value)?;
            for at in 0..config.workspaces.len() {
                if is_named(&config.workspaces[at].name) {
                    let file = env_file(config, &config.workspaces[at], names, name);
                    edits.variable(&mut config.workspaces[at], file, (name, value))?;
                }
            }
        }
        for file in edits.0.keys() {
            stays_beneath(&config.dir, file)?;
        }
        Ok(edits)
    }
}

/// No version, range or dist-tag has a control character.
fn check_version(option: &str, value: &str) -> Result<()> {
    if value.chars().any(char::is_control) {
        let what = format!("`{}` is not a version for `{option}`", value.escape_debug());
        return Err(Error::usage(what, "give a version, such as `22.20.0`"));
    }
    Ok(())
}

/// The `.env` file that says a variable of a workspace, or that is to say it.
fn env_file(config: &Config, workspace: &WorkspaceConfig, names: &[String], variable: &str) -> PathBuf {
    let (root, own) = (config.dir.join(env::FILE_NAME), workspace.config_dir.join(env::FILE_NAME));
    let is_own = matches!(workspace.env.origin(variable), Some(EnvOrigin::File(place)) if place.path == own);
    let is_single = config.mode == Mode::Single;
    if is_single || (names.is_empty() && !is_own) { root } else { own }
}

impl ConfigEdits {
    fn reference(&mut self, workspace: &mut WorkspaceConfig, reference: &str) -> Result<()> {
        let file = workspace.config_dir.join(source_json::FILE_NAME);
        let text = self.text(&file)?.ok_or_else(|| {
            Error::config(
                Place::file(&file),
                format!("does not exist, so that `--ref` has nothing to change for `{}`", workspace.name),
                "write one with `factory init`",
            )
        })?;
        let before = std::mem::replace(&mut workspace.source.requested, reference.to_owned());
        if before != reference {
            let was = if before.is_empty() { "the default branch".to_owned() } else { format!("`{before}`") };
            let text = SourceJson::with_ref(&text, &file, reference)?;
            self.change(&workspace.name, file, text, format!("`repo-ref` is now `{reference}`, it was {was}"))?;
        }
        Ok(())
    }

    fn variable(&mut self, workspace: &mut WorkspaceConfig, file: PathBuf, (name, value): (&str, &str)) -> Result<()> {
        let before = workspace.env.given(name).map(str::to_owned);
        let is_written = matches!(workspace.env.origin(name), Some(EnvOrigin::File(_)));
        workspace.env = workspace.env.with_value(name, value, Place::file(&file));
        if is_written && before.as_deref() == Some(value) {
            return Ok(());
        }
        let text = self.text(&file)?.unwrap_or_default();
        let text = env::edit::with_variable(&text, name, value).ok_or_else(|| {
            Error::usage(format!("`{value}` cannot be written to a `.env` file"), "give a version, such as `22.20.0`")
        })?;
        let was = before.filter(|_| is_written).map_or("was not set".to_owned(), |before| format!("was `{before}`"));
        self.change(&workspace.name, file, text, format!("`{name}` is now `{value}`, it {was}"))
    }

    /// The text of a file as it will be.
    fn text(&self, file: &Path) -> Result<Option<String>> {
        match self.0.get(file) {
            Some(changed) => Ok(Some(changed.text.clone())),
            None => text::read(file),
        }
    }

    fn change(&mut self, workspace: &str, file: PathBuf, text: String, change: String) -> Result<()> {
        if paths::is_read_only(&paths::folder_of(&file)) {
            let hint = "change it where the configuration comes from, and run `factory resolve --keep`";
            return Err(Error::config(Place::file(&file), "is in a read-only folder and cannot be changed", hint));
        }
        let none = || ChangedFile { text: String::new(), changes: vec![], workspaces: vec![] };
        let changed = self.0.entry(file).or_insert_with(none);
        changed.text = text;
        changed.workspaces.push(workspace.to_owned());
        if !changed.changes.contains(&change) {
            changed.changes.push(change);
        }
        Ok(())
    }

    /// Says the changes, and writes them unless the lock is not written either. Those of workspaces that could not be
    /// resolved are left: a pin that was not found is not asked for again.
    pub fn finish(&self, session: &Session<'_>, config: &Config, lock: &Lock, is_written: bool) -> Result<()> {
        let took = |name: &String| {
            let configured = config.workspaces.iter().find(|configured| configured.name == *name);
            let locked = lock.workspace.iter().find(|locked| locked.name == *name);
            configured.zip(locked).is_some_and(|(configured, locked)| {
                let (asked, tools) = (configured_pins::tools(config, configured), lock.tools_of(locked));
                let is_same = |asked: Option<String>, locked: &String| asked.is_none_or(|asked| asked == *locked);
                locked.source.requested == configured.source.requested
                    && is_same(asked.node, &tools.node.requested)
                    && is_same(asked.cli, &tools.rhdh_cli.requested)
            })
        };
        for (file, ChangedFile { text, changes, workspaces }) in &self.0 {
            if !workspaces.iter().any(took) {
                continue;
            }
            if is_written {
                atomic_edit(file, text.as_bytes())?;
            }
            let not = if is_written { "" } else { "not written: " };
            session.ui.note(format!("{not}{}: {}", file.display(), changes.join("; ")));
        }
        Ok(())
    }
}
