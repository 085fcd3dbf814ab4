//! Options of the sources: what is built, and how repositories are reached.

use std::ffi::OsString;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::paths;
use super::session::Session;
use crate::config::env::EnvOrigin;
use crate::config::{Config, ConfigOptions, Repo, variables};
use crate::error::{Error, Result};
use crate::store::git::{GitProgram, Network, Refusals, SourceUrl};
use crate::ui::Ui;

/// What is built, when source.json does not say it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Source options")]
pub struct SourceArgs {
    /// Path of the yarn workspace in the repository; overrides source.json
    #[arg(long, env = "FACTORY_WORKSPACE_PATH", value_name = "PATH")]
    pub workspace_path: Option<String>,
    /// Git repository to build from, instead of the one in source.json; a path is relative to the current directory
    #[arg(long, env = "FACTORY_SOURCE_REPO", value_name = "URL")]
    pub source_repo: Option<GivenRepo>,
    /// Branch, tag or commit of `--source-repo` [default: its default branch]
    #[arg(long, env = "FACTORY_SOURCE_REF", value_name = "REF")]
    pub source_ref: Option<String>,
    /// Directory of the local source code for `--use-local`, else of a copy of the patched source [default: /source]
    #[arg(long, env = "FACTORY_REPO_PATH", value_name = "DIR")]
    pub repo_path: Option<PathBuf>,
    /// Build a copy of the local code in `--repo-path`, which is never changed; its lock entry does not pin it
    #[arg(long, env = "FACTORY_USE_LOCAL")]
    pub use_local: bool,
    /// When the `git` program reaches repositories: `auto` where factory itself is refused (it reads .netrc and
    /// `http.<url>.*`), `always`, or `never`; `--git-program` alone is `always`
    #[arg(
        long,
        env = "FACTORY_GIT_PROGRAM",
        value_name = "WHEN",
        default_value = "auto",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "always",
        value_parser = git_program
    )]
    pub git_program: GitProgram,
}

/// The words of `--git-program`, and those of the flag that it was.
const GIT_PROGRAM: [(GitProgram, &[&str]); 3] = [
    (GitProgram::WhenRefused, &["auto"]),
    (GitProgram::Always, &["always", "1", "true", "yes", "on", "y", "t"]),
    (GitProgram::Never, &["never", "0", "false", "no", "off", "n", "f"]),
];

fn git_program(text: &str) -> Result<GitProgram, String> {
    let text = text.to_ascii_lowercase();
    let known = GIT_PROGRAM.into_iter().find(|(_, words)| words.contains(&text.as_str()));
    known.map(|(program, _)| program).ok_or_else(|| "it is `auto`, `always` or `never`".to_owned())
}

/// The arguments, with a value of `--git-program` that is a word of its own joined to it. Any other word after it is the
/// name of a workspace.
pub fn join_git_program(args: Vec<OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::with_capacity(args.len());
    for arg in args {
        match joined.last_mut() {
            Some(last) if last == "--git-program" && ["auto", "always", "never"].iter().any(|word| arg == *word) => {
                last.push("=");
                last.push(arg);
            }
            _ => joined.push(arg),
        }
    }
    joined
}

/// A word after `--git-program` that is no workspace was meant as its value.
fn check_git_program(config: &Config, names: &[String]) -> Result<()> {
    let mut args = std::env::args_os().skip_while(|arg| arg != "--git-program").skip(1);
    let Some(word) = args.next().and_then(|word| word.into_string().ok()) else { return Ok(()) };
    if !names.contains(&word) || config.names().any(|name| name == word) {
        return Ok(());
    }
    let what = format!("`{}` is not a value of `--git-program`, nor a workspace", word.escape_debug());
    Err(Error::usage(what, "it is `auto`, `always` or `never`"))
}

/// The value of `--source-repo`, as it was written: clap would repeat one that it refuses, with the password in it.
#[derive(Clone)]
pub struct GivenRepo(String);

impl fmt::Debug for GivenRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenRepo")
    }
}

impl GivenRepo {
    /// What it says; an empty one says nothing. `of` is put behind `the repository` in an error.
    pub fn read(&self, of: &str) -> Result<Option<Repo>> {
        let text = self.0.trim();
        let read = || Repo::parse(text).map_err(|why| Error::usage(format!("the repository{of} {why}"), ""));
        if text.is_empty() { Ok(None) } else { read().map(Some) }
    }
}

impl From<String> for GivenRepo {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A path that was written by someone who stands in `here`, as source.json in `config_dir` would say it: so it is in the
/// lock, which names no folder of this machine. Whatever is not the path of a folder stays as it is.
pub fn seen_from(config_dir: &Path, here: &Path, repo: Repo) -> Result<Repo> {
    let written = repo.with_credentials();
    if !SourceUrl::is_path(written) || Path::new(written).is_absolute() {
        return Ok(repo);
    }
    let Ok(folder) = here.join(written).canonicalize() else {
        if written.starts_with('.') {
            return Err(Error::usage(
                format!("cannot use the repository `{written}`: there is no such folder in `{}`", here.display()),
                "the path of `--source-repo` is relative to the current directory",
            ));
        }
        // Perhaps `owner/name`, about which there is more to say.
        return Ok(repo);
    };
    let config_dir = here.join(config_dir);
    let base = config_dir.canonicalize().unwrap_or(config_dir);
    let shared = folder.components().zip(base.components()).take_while(|(a, b)| a == b).count();
    let up = base.components().skip(shared).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(folder.components().skip(shared)).collect();
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
    let text = path.to_str().ok_or_else(|| {
        Error::usage(format!("cannot use the repository `{written}`: its path is not UTF-8"), "rename the folder")
    })?;
    Repo::parse(text).map_err(|why| Error::usage(format!("the repository {why}"), "rename the folder"))
}

impl SourceArgs {
    /// Reads the configuration and says its warnings: those of all, and those of the workspaces that are named (of all
    /// workspaces when none is).
    pub fn config(&self, session: &Session<'_>, names: &[String]) -> Result<Config> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let config_dir = paths::config_dir(session.global);
        let here = std::env::current_dir().map_err(Error::io("find", "the current directory"))?;
        let source_repo = self.source_repo.as_ref().map_or(Ok(None), |repo| repo.read(" of `--source-repo`"))?;
        let options = ConfigOptions {
            repo_path: Some(self.repo_path.clone().unwrap_or_else(|| PathBuf::from("/source"))),
            workspace_path: given(&self.workspace_path),
            source_repo: source_repo.map(|repo| seen_from(&config_dir, &here, repo)).transpose()?,
            source_ref: given(&self.source_ref),
            use_local: self.use_local,
            ..ConfigOptions::new(config_dir)
        };
        let config = Config::read(&options)?;
        check_git_program(&config, names)?;
        for workspace in &config.workspaces {
            for (name, value) in workspace.env.iter().filter(|(_, value)| value.origin != EnvOrigin::Process) {
                let shown = if variables::is_secret(name, &value.text) { "***" } else { &value.text };
                tracing::debug!("{}: {name}={shown} from {}", workspace.name, value.origin);
            }
        }
        for warning in &config.warnings {
            session.ui.warn(warning);
        }
        for workspace in config.workspaces.iter().filter(|one| names.is_empty() || names.contains(&one.name)) {
            for warning in &workspace.warnings {
                session.ui.warn(format!("{}: {warning}", workspace.name));
            }
        }
        Ok(config)
    }

    /// How repositories are reached.
    pub fn network(&self, ui: &Arc<Ui>) -> Network {
        Network { git_program: self.git_program, refusals: Refusals::told_to(ui), ..Network::default() }
    }
}
