//! The command line. Most options have a `FACTORY_` variable.
//!
//! Each command has a file of its name, and none imports another's. What several need:
//!
//! ```text
//! restart                     the settings of a `.env` file that hold for the whole run
//! at_revision                 `REV:path` for what is read of a configuration and its lock
//! session, paths              one run: messages, cache, Ctrl-C; where files are
//! source_options, repo_path   what is built, and from which sources
//! lock_file, last_failure     the lock: read, check, write; and why there is none
//! resolve_step, renamed       the resolve of `resolve` and `run`; workspaces that have another name since the lock
//! pin_options                 one pin at a time, and what that writes in the configuration
//! build_options, build_step   the options of a build, and the build of `build`, `fetch`, `run` and `verify`
//! publish, attach             pushing images, and documents about them; registry_option is where to
//! cache_repo                  the repository that shares finished builds
//! summary, github_output      the end of a build, for people and for a workflow; timings is what ran when
//! complete, man, schema, help what is about the command line and the files themselves
//! failures                    the error and exit code of several failures
//! ```

mod at_revision;
mod attach;
mod audit;
mod audit_patch;
mod build;
mod build_options;
mod build_step;
mod cache;
mod cache_repo;
mod check_refs;
mod complete;
mod diff;
mod doctor;
mod dry_run;
mod failures;
mod fetch;
mod github_output;
pub mod help;
mod host_lock;
mod init;
mod join;
mod label_option;
mod last_failure;
mod lock;
mod lock_file;
mod man;
mod merged_files;
mod misplaced;
mod misspelt;
mod outdated;
mod paths;
mod pin_options;
mod plan;
mod publish;
mod registry_option;
mod renamed;
mod repo_path;
mod resolve;
mod resolve_step;
mod restart;
mod run;
mod sbom;
mod schema;
mod session;
mod source_options;
mod status;
mod summary;
mod timings;
mod verify;
mod version;
mod why;
mod workspace_locks;

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::error::full_disk::MovableFolder;
use crate::error::{Error, Result, exit_code};
use crate::tls;
use crate::ui::{ColourChoice, LogLevel, Ui};

pub use audit::AuditArgs;
pub use build::BuildArgs;
pub use cache::CacheArgs;
pub use check_refs::CheckRefsArgs;
pub use diff::DiffArgs;
pub use doctor::{Check, CheckStatus, DoctorArgs, DoctorReport};
pub use fetch::FetchArgs;
pub use init::InitArgs;
pub use join::JoinArgs;
pub use lock::LockArgs;
pub use outdated::OutdatedArgs;
pub use plan::PlanArgs;
pub use resolve::ResolveArgs;
pub use run::RunArgs;
pub use sbom::SbomArgs;
pub use status::StatusArgs;
pub use verify::{VerifyArgs, VerifyReport};
pub use why::WhyArgs;

/// Pin, build, publish and audit RHDH dynamic plugins, reproducibly
///
/// Without a command, `factory` does what `factory run` does: it resolves what is not locked or is stale, then builds.
#[derive(Debug, Parser)]
#[command(name = "factory", version = version::text(), max_term_width = 100, disable_help_subcommand = true)]
// The original takes `-v`, and prefixes of options (`--push-image` is in its own examples).
#[command(disable_version_flag = true, infer_long_args = true)]
#[command(
    after_help = "Exit codes: 0 ok · 1 a build or push failed · 2 usage or configuration · 3 lock missing, stale or too \
                        new · 4 not reproducible · 5 network, registry or authentication · 130 interrupted"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    global: GlobalArgs,
    /// Print factory's version and the default versions of its tools
    #[arg(short = 'v', long, short_alias = 'V', action = ArgAction::Version, help_heading = None::<&str>)]
    version: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the source.json of a workspace, after a look at its repository
    Init(InitArgs),
    /// Pin what the configuration asks for (commits, tools, build arguments) in factory.lock
    Resolve(ResolveArgs),
    /// Show what has to be built and why, and divide it among machines
    Plan(PlanArgs),
    /// Build the plugins, archives and images that factory.lock pins
    Build(BuildArgs),
    /// Make one release of what several machines built with `factory build --shard`
    Join(JoinArgs),
    /// Download everything that `factory build --offline` needs
    Fetch(FetchArgs),
    /// Rebuild from scratch and compare with what the lock has sealed
    Verify(VerifyArgs),
    /// Resolve what is not locked or is stale, then build
    Run(RunArgs),
    /// Check what builds need: tools, namespaces, disk, registries, credentials
    Doctor(DoctorArgs),
    /// Show the size of the cache, or remove unused entries
    Cache(CacheArgs),
    /// Print the script with which a shell completes commands, options and workspaces
    Completions {
        /// Name of the shell
        shell: clap_complete::Shell,
    },
    /// Show what changed between two releases, and why
    Diff(DiffArgs),
    /// Show what has moved since it was locked, and what is pinned and has something newer
    Outdated(OutdatedArgs),
    /// Show what is pinned, what is stale and why, what is sealed and built
    Status(StatusArgs),
    /// Write bills of materials and provenance of a release
    Sbom(SbomArgs),
    /// Show which plugins ship a package, and why
    Why(WhyArgs),
    /// Check the references of plugin lists against registries and the lock
    CheckRefs(CheckRefsArgs),
    /// Show known advisories about what is shipped, and what helps
    Audit(AuditArgs),
    /// Show what a patch does to its workspace's lockfile, and whether it is shipped
    AuditPatch(audit_patch::AuditPatchArgs),
    /// Merge locks: a merge driver for git
    Lock(LockArgs),
    /// Print the manual page of factory or of one of its commands
    Man {
        /// The command whose page is printed, such as `build` or `cache prune` [default: that of factory]
        command: Vec<String>,
        /// Write the pages of all commands to this directory instead
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        output_dir: Option<std::path::PathBuf>,
    },
    /// Print the JSON schema of a file, for editors and other programs
    Schema {
        /// The file, or the command whose JSON it is; without it, the names are printed
        of: Option<schema::Described>,
    },
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct GlobalArgs {
    /// Configuration directory: source.json, plugins-list.yaml, patches and overlays, or one folder of them per workspace
    /// [default: /config where it exists, else ./config]
    #[arg(long, global = true, env = "FACTORY_CONFIG_DIR", value_name = "DIR", help_heading = "Global options")]
    pub config_dir: Option<std::path::PathBuf>,
    /// Lock file [default: factory.lock in the configuration directory, or in the output directory if that one is read-only]
    #[arg(long, global = true, env = "FACTORY_LOCK_FILE", value_name = "FILE", help_heading = "Global options")]
    pub lock_file: Option<std::path::PathBuf>,
    /// Cache directory [default: factory in the user's cache directory]
    #[arg(long, global = true, env = "FACTORY_CACHE_DIR", value_name = "DIR", help_heading = "Global options")]
    pub cache_dir: Option<std::path::PathBuf>,
    /// Log level of stderr
    #[arg(
        long,
        global = true,
        env = "FACTORY_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "INFO",
        ignore_case = true,
        help_heading = "Global options"
    )]
    pub log_level: LogLevel,
    /// Print errors only; what a command prints to stdout stays
    #[arg(short, long, global = true, env = "FACTORY_QUIET", help_heading = "Global options")]
    pub quiet: bool,
    /// Print nothing of steps that start and end
    #[arg(long, global = true, env = "FACTORY_NO_PROGRESS", help_heading = "Global options")]
    pub no_progress: bool,
    /// When to print colours
    #[arg(
        long,
        global = true,
        env = "FACTORY_COLOR",
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub color: ColourChoice,
    /// Longest time until a server is connected to; one that swallows connections is given up then
    #[arg(
        long,
        global = true,
        env = "FACTORY_CONNECT_TIMEOUT",
        value_name = "SECONDS",
        default_value = "5",
        value_parser = clap::value_parser!(u16).range(1..=600),
        help_heading = "Global options"
    )]
    pub connect_timeout: u16,
    /// Print the file and line of factory's source with each message
    #[arg(long, global = true, env = "FACTORY_VERBOSE", help_heading = "Global options")]
    pub verbose: bool,
    /// What of commits is laid out.
    #[arg(skip)]
    pub(crate) laid_out: at_revision::LaidOut,
}

impl GlobalArgs {
    /// How much is said.
    fn level(&self) -> LogLevel {
        if self.quiet { LogLevel::Error } else { self.log_level }
    }
}

/// The command line. A variable that is empty is as if it were not set, and flags are set by `1` and `yes` too: both come
/// from CI systems, where a variable cannot be left out.
pub fn command() -> clap::Command {
    let lenient = |arg: clap::Arg| {
        let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        // Their values may hold a password, and `--help` ends up in logs.
        let arg = complete::named(if empty { arg.env(None::<&str>) } else { arg }.hide_env_values(true));
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            arg.value_parser(clap::builder::BoolishValueParser::new())
        } else {
            arg
        }
    };
    let program = Cli::command().mut_args(lenient).mut_subcommands(move |command| command.mut_args(lenient));
    help::arranged(program)
}

/// What the arguments say. An error ends the program; the usage that it shows has none of what variables set.
fn matches(args: &[std::ffi::OsString]) -> clap::ArgMatches {
    let program = || command().color(help::colour(args));
    program().try_get_matches_from(args).unwrap_or_else(|error| {
        let unset = |arg: clap::Arg| arg.env(None::<&str>);
        let unset = program().mut_args(unset).mut_subcommands(move |command| command.mut_args(unset));
        match unset.try_get_matches_from(args) {
            Err(same) if error.use_stderr() && same.kind() == error.kind() => same.exit(),
            _ => error.exit(),
        }
    })
}

/// Runs the command line of this process and returns its exit code.
pub fn main() -> u8 {
    let mut args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let first = args.get(1).and_then(|first| first.to_str()).unwrap_or_default();
    let rest = || args.iter().skip(2).map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>();
    match first {
        "__enter" => return inside(crate::sandbox::enter::enter, &rest()),
        "__init" => return inside(crate::sandbox::enter::init, &rest()),
        "__hold" => return inside(crate::sandbox::held_overlay::hold, &rest()),
        _ => {}
    }
    match complete::answer() {
        Ok(false) => {}
        Ok(true) => return exit_code::OK,
        Err(error) => {
            crate::ui::complain(&error.to_string());
            return error.exit_code();
        }
    }
    let is_restarted = first == restart::MARK;
    if is_restarted {
        args.remove(1);
    }
    // Secrets of the environment are not shown to other processes of the user.
    let _ = nix::sys::prctl::set_dumpable(false);
    let args = source_options::join_git_program(args);
    let matches = matches(&args);
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(e) => e.exit(),
    };
    cli.global.color.apply();
    tls::set_connect_timeout(std::time::Duration::from_secs(cli.global.connect_timeout.into()));
    let ui = Ui::new(cli.global.level()).verbose(cli.global.verbose).without_progress(cli.global.no_progress);
    if !is_restarted && let Err(error) = restart::with_env_file(&cli.global, args.get(1..).unwrap_or_default()) {
        ui.error(&error);
        return error.exit_code();
    }
    start_log(&cli.global);
    misspelt::variables(&ui);
    let cache = paths::cache_dir(&cli.global).ok();
    match dispatch(&matches, cli, ui) {
        Ok(()) => exit_code::OK,
        Err((ui, error)) => {
            let full = cache.as_deref().map(MovableFolder::cache).filter(|cache| cache.is_full(&error));
            let error = if let Some(cache) = full { cache.hinted(error, "") } else { error };
            ui.error(&error);
            error.exit_code()
        }
    }
}

/// What runs as a stage of a build root: see [`crate::sandbox::enter`].
fn inside(stage: fn(&str, &[String]) -> Result<u8, String>, args: &[String]) -> u8 {
    let (first, rest) = args.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    stage(first, rest).unwrap_or_else(|why| {
        crate::ui::complain(&why);
        crate::sandbox::enter::CANNOT_ENTER
    })
}

fn start_log(global: &GlobalArgs) {
    let level = match global.level() {
        LogLevel::Debug => LevelFilter::DEBUG,
        // Attempts that are repeated.
        LogLevel::Info | LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Critical => LevelFilter::ERROR,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_file(global.verbose)
        .with_line_number(global.verbose)
        .with_target(false)
        .without_time()
        .with_ansi(false)
        .with_filter(Targets::new().with_target("factory", level));
    // A second call in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

type Reported = (std::sync::Arc<Ui>, Error);

fn dispatch(matches: &clap::ArgMatches, mut cli: Cli, ui: Ui) -> Result<(), Reported> {
    let laid_out = at_revision::lay_out(&mut cli.global, cli.command.as_ref());
    let ui = std::sync::Arc::new(ui.naming(cli.global.laid_out.names()));
    if let Err(error) = laid_out {
        return Err((ui, error));
    }
    let outcome = match cli.command {
        None => session::enter(&cli.global, &ui, async |session| run::run(session, &cli.run).await),
        Some(command) => misplaced::check::<RunArgs>(matches).and_then(|()| {
            session::enter(&cli.global, &ui, async |session| match &command {
                Command::Init(args) => init::run(session, args),
                Command::Resolve(args) => resolve::run(session, args).await,
                Command::Plan(args) => plan::run(session, args).await,
                Command::Build(args) => build::run(session, args).await,
                Command::Join(args) => join::run(session, args),
                Command::Fetch(args) => fetch::run(session, args).await,
                Command::Verify(args) => verify::run(session, args).await,
                Command::Run(args) => run::run(session, args).await,
                Command::Doctor(args) => doctor::run(session, args).await,
                Command::Cache(args) => cache::run(session, args).await,
                Command::Completions { shell } => complete::script(*shell),
                Command::Man { command, output_dir } => man::run(command, output_dir.as_deref()),
                Command::Schema { of } => schema::run(*of),
                Command::Diff(args) => diff::run(session, args).await,
                Command::Outdated(args) => outdated::run(session, args).await,
                Command::Status(args) => status::run(session, args),
                Command::Sbom(args) => sbom::run(session, args),
                Command::Why(args) => why::run(session, args),
                Command::CheckRefs(args) => check_refs::run(session, args).await,
                Command::Audit(args) => audit::run(session, args).await,
                Command::AuditPatch(args) => audit_patch::run(session, args),
                Command::Lock(args) => lock::run(session, args),
            })
        }),
    };
    outcome.map_err(|error| (ui, error))
}
