//! `factory init`

use std::path::{Path, PathBuf};

use clap::Args;

use super::session::Session;
use super::source_options::{GivenRepo, SourceArgs, seen_from};
use super::{paths, resolve_step};
use crate::config::source_json::{self, NewSource};
use crate::config::variables::HOST_LOCKFILE;
use crate::config::{Config, ConfigLayout, ConfigOptions, Repo, path, plugins_list, workspaces};
use crate::error::{Error, Place, Result};
use crate::lock::arguments::Argument;
use crate::lock::companions::FOLDER_NAME;
use crate::lock::text::FILE_NAME;
use crate::resolve::survey::Survey;
use crate::store::git::SourceUrl;
use crate::store::{new_file, stays_beneath};
use crate::ui::count;

/// Options of `factory init`.
#[derive(Clone, Debug, Default, Args)]
pub struct InitArgs {
    /// Git repository of the plugins: a URL, or a path from the current directory. Asked for on a terminal
    #[arg(value_name = "REPO")]
    pub repository: Option<GivenRepo>,
    /// The same as REPO
    #[arg(long = "repo", id = "init_repo", value_name = "REPO", conflicts_with = "repository")]
    pub repo: Option<GivenRepo>,
    /// Branch, tag or commit [default: the default branch, by its name]
    #[arg(long = "ref", id = "init_ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Path of the yarn workspace in the repository [default: the only one that it has]
    #[arg(long = "workspace-path", id = "init_path", value_name = "PATH")]
    pub workspace_path: Option<String>,
    /// Write `NAME/source.json` in the configuration directory, as a directory of several workspaces has it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Write a plugins-list.yaml with all plugins of the workspace as well
    #[arg(long)]
    pub plugins: bool,
}

pub(super) fn run(session: &Session<'_>, args: &InitArgs) -> Result<()> {
    tokio::task::block_in_place(|| Init { session, args, config_dir: paths::config_dir(session.global) }.run())
}

struct Init<'a> {
    session: &'a Session<'a>,
    args: &'a InitArgs,
    config_dir: PathBuf,
}

/// What is to be written.
struct Answers {
    repo: Repo,
    reference: String,
    workspace: String,
    survey: Survey,
}

impl Init<'_> {
    fn run(&self) -> Result<()> {
        let layout = ConfigLayout::of(&self.config_dir)?;
        self.check_place(&layout)?;
        let answers = self.answers()?;
        let plugins = answers.survey.plugins(&answers.workspace)?;
        let folder = self.folder(&layout, &answers)?;
        let (source, list) = (folder.join(source_json::FILE_NAME), folder.join(plugins_list::FILE_NAME));
        let is_listed = self.args.plugins;
        for file in [Some(&source), Some(&list).filter(|_| is_listed)].into_iter().flatten() {
            if file.symlink_metadata().is_ok() {
                return Err(exists(file));
            }
        }
        let here = std::env::current_dir().map_err(Error::io("find", "the current directory"))?;
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Answers { repo, reference, workspace, survey } = &answers;
        let new = NewSource {
            repo: seen_from(&real(&here.join(&folder)), &here, repo.clone())?,
            reference: reference.clone(),
            workspace_path: workspace.clone(),
            backstage_version: if layout.is_overlays { survey.backstage(workspace)? } else { None },
        };
        let text = new.to_text(layout.is_overlays.then_some(name.as_str()));
        self.session.interrupt.check()?;
        if !new_file(&source, text.as_bytes())? {
            return Err(exists(&source));
        }
        if is_listed {
            let none: &[Argument] = &[];
            let text = plugins_list::generate(plugins.iter().map(|plugin| (plugin.path.as_str(), none)));
            let written = new_file(&list, text.as_bytes());
            if !matches!(written, Ok(true)) {
                // Both or none.
                let _ = std::fs::remove_file(&source);
                return written.and(Err(exists(&list)));
            }
        }
        let ui = &self.session.ui;
        let asked = if reference.is_empty() { "the default branch" } else { reference };
        let at =
            if *asked == survey.commit { survey.short().to_owned() } else { format!("{asked} ({})", survey.short()) };
        ui.note(format!("{} written: `{workspace}` of {repo} at {at}", source.display()));
        if is_listed {
            ui.note(format!("{} written: {}", list.display(), count(plugins.len(), "plugin")));
        } else {
            ui.note(format!(
                "it has {}; `factory resolve` lists them with their arguments",
                count(plugins.len(), "plugin")
            ));
        }
        let has_backends = plugins.iter().any(|plugin| plugin.role.is_backend());
        self.next(is_listed && has_backends, has_backends);
        Ok(())
    }

    /// What to do next, as commands that work here.
    fn next(&self, generate: bool, has_backends: bool) {
        let is_default = self.config_dir == paths::default_config_dir();
        let folder = self.config_dir.display().to_string();
        let folder = shlex::try_quote(&folder).map_or(folder.clone(), std::borrow::Cow::into_owned);
        let place = if is_default { String::new() } else { format!(" --config-dir {folder}") };
        let generate = if generate { " --generate-build-args" } else { "" };
        let ui = &self.session.ui;
        // A lock of other workspaces stays as it is.
        let keep = if self.config_dir.join(FILE_NAME).exists() { " --keep" } else { "" };
        ui.note(format!("\nnext:\n  factory resolve{keep}{place}{generate}\n  factory build{place}"));
        if has_backends && !self.is_host_given() {
            ui.note(
                "\nfor another RHDH than the newest, give `factory resolve` its\nversion with `--rhdh-version`, or its yarn.lock with\n\
                 `--host-lockfile`, for every run with FACTORY_HOST_LOCKFILE in .env",
            );
        }
    }

    /// Whether the configuration says by now what its plugins are computed against.
    fn is_host_given(&self) -> bool {
        let config = Config::read(&ConfigOptions::new(&self.config_dir));
        let is_given = |config: Config| {
            let host = resolve_step::host_lockfile(None, &config);
            host.is_some() || config.env.given("RHDH_VERSION").is_some()
        };
        std::env::var_os(HOST_LOCKFILE).is_some() || config.is_ok_and(is_given)
    }

    /// What can be said before anybody is asked.
    fn check_place(&self, layout: &ConfigLayout) -> Result<()> {
        let source = self.config_dir.join(source_json::FILE_NAME);
        if let Some(name) = &self.args.name {
            let is_name = path::inside(name).as_ref() == Ok(name)
                && !name.contains('/')
                && !name.starts_with('.')
                && name != FOLDER_NAME;
            if !is_name {
                return Err(Error::usage(
                    format!("`--name` is `{}`, which cannot be the name of a workspace", name.escape_debug()),
                    "give the name of a folder, such as `todo`",
                ));
            }
            let own = self.config_dir.join(name).join(source_json::FILE_NAME);
            if own.symlink_metadata().is_ok() {
                return Err(exists(&own));
            }
        }
        if source.symlink_metadata().is_ok() && layout.workspaces.is_empty() {
            return Err(match &self.args.name {
                None => exists(&source),
                Some(name) => Error::config(
                    Place::file(&source),
                    format!("would not be used any more if there were a workspace `{name}` beside it"),
                    "move it and the files of its workspace to a folder of their own first; a `repo` that is a relative path \
                     then starts one folder deeper",
                ),
            });
        }
        Ok(())
    }

    /// The folder of the new files: the configuration directory, or one in it where there are several workspaces.
    fn folder(&self, layout: &ConfigLayout, answers: &Answers) -> Result<PathBuf> {
        let name = match &self.args.name {
            Some(name) => Some(name.clone()),
            None if layout.is_several() => {
                let own = workspaces::own_name(&answers.workspace, || answers.repo.name());
                Some(own.filter(|name| !name.starts_with('.')).ok_or_else(|| {
                    Error::usage("the workspace has no name that could be that of a folder", "give one with `--name`")
                })?)
            }
            None => None,
        };
        let folder = name.map_or_else(|| self.config_dir.clone(), |name| self.config_dir.join(name));
        stays_beneath(&self.config_dir, &folder)?;
        Ok(folder)
    }

    fn answers(&self) -> Result<Answers> {
        let given = match self.args.repository.as_ref().or(self.args.repo.as_ref()) {
            Some(repo) => repo.read("")?,
            None => None,
        };
        let asks = given.is_none();
        let repo = match given {
            Some(repo) => repo,
            None => self.ask_repository()?,
        };
        if repo.public() != repo.with_credentials() {
            return Err(Error::usage(
                format!("the repository {repo} was given with a login, which source.json would show to everybody"),
                "leave the login out: factory uses the credential helpers of git, and a `.netrc`",
            ));
        }
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let reference = match given(&self.args.reference) {
            None if asks => self.ask("branch, tag or commit [the default branch]")?.unwrap_or_default(),
            given => given.unwrap_or_default(),
        };
        source_json::check_ref_option("--ref", &reference)?;
        let survey = self.survey(&repo, &reference)?;
        let workspace = match given(&self.args.workspace_path) {
            Some(given) => workspaces::workspace_path_option(&given)?,
            None => self.choose_workspace(&survey)?,
        };
        // By its name: another default branch is not what was looked at.
        let reference = if reference.is_empty() { survey.name.clone().unwrap_or_default() } else { reference };
        Ok(Answers { repo, reference, workspace, survey })
    }

    fn ask_repository(&self) -> Result<Repo> {
        let missing = || {
            let hint = "for instance: `factory init https://github.com/backstage/community-plugins`, or a path";
            Error::usage("the repository of the plugins is not given", hint)
        };
        let text = self.ask("repository (URL or path)")?.ok_or_else(missing)?;
        GivenRepo::from(text).read("")?.ok_or_else(missing)
    }

    fn survey(&self, repo: &Repo, reference: &str) -> Result<Survey> {
        let session = self.session;
        let here = std::env::current_dir().map_err(Error::io("find", "the current directory"))?;
        let url = SourceUrl::parse(repo.with_credentials(), &here)?;
        let store = session.store()?;
        let step = session.ui.step("source", format!("look at {repo}"));
        let network = SourceArgs::default().network(&session.ui);
        let survey = Survey::of(&store, &url, reference, &network, session.interrupt.flag())?;
        step.done(survey.short());
        Ok(survey)
    }

    fn choose_workspace(&self, survey: &Survey) -> Result<String> {
        let only = survey.only_workspace();
        if only.is_ok() || survey.workspaces().is_empty() || !self.session.ui.can_ask() {
            return only;
        }
        self.session.ui.note(format!("the workspaces are:\n  {}", survey.workspaces().join("\n  ")));
        let answer = self.ask("path of the workspace")?.unwrap_or_default();
        if answer.is_empty() { only } else { path::inside(&answer).or(Ok(answer)) }
    }

    /// An answer; none where there is no terminal, or nothing was written.
    fn ask(&self, question: &str) -> Result<Option<String>> {
        let answer = self.session.ui.ask_text(question, self.session.interrupt.flag());
        self.session.interrupt.check()?;
        Ok(answer)
    }
}

fn exists(file: &Path) -> Error {
    let hint = "edit it, or start another configuration with `--config-dir DIR`";
    Error::config(Place::file(file), "exists already, and is not overwritten", hint)
}

/// A folder that may not exist yet, without links and `..`.
fn real(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    let Some((there, real)) = there else { return folder.to_path_buf() };
    let rest = folder.strip_prefix(there).unwrap_or(Path::new(""));
    if rest.as_os_str().is_empty() { real } else { real.join(rest) }
}
