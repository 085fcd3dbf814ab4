//! The command line: one small file per command. Every flag has its `FACTORY_` variable.

mod build;
mod diff;
mod paths;
mod resolve;
mod run;
mod sbom;
mod session;
mod source;
mod status;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::error::{Error, Result, exit_code};
use crate::ui::{LogLevel, Ui};

pub use build::BuildArgs;
pub use diff::DiffArgs;
pub use resolve::ResolveArgs;
pub use run::RunArgs;
pub use sbom::SbomArgs;
pub use status::StatusArgs;

/// Pin, build, publish and audit RHDH dynamic plugins, reproducibly
///
/// Without a command, `factory` does what `factory run` does: it resolves what has no lock yet, then builds.
#[derive(Debug, Parser)]
#[command(name = "factory", version = version(), max_term_width = 100, disable_help_subcommand = true)]
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
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pin what the configuration asks for: commits, tools, build arguments → factory.lock
    Resolve(ResolveArgs),
    /// Replay factory.lock: build the plugins, their archives and images
    Build(BuildArgs),
    /// Resolve what is not locked yet, then build: the original's one command
    Run(RunArgs),
    /// What changed between two releases, and why
    Diff(DiffArgs),
    /// What is pinned, what is stale and why, what is sealed and built
    Status(StatusArgs),
    /// What is in a release: CycloneDX, SPDX, SLSA provenance
    Sbom(SbomArgs),
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct GlobalArgs {
    /// Folder of source.json, plugins-list.yaml, patches and overlays, or of one such folder per workspace
    /// [default: /config where it exists, else ./config]
    #[arg(long, global = true, env = "FACTORY_CONFIG_DIR", value_name = "DIR", help_heading = "Global options")]
    pub config_dir: Option<std::path::PathBuf>,
    /// The lock [default: factory.lock in the configuration directory]
    #[arg(long, global = true, env = "FACTORY_LOCK_FILE", value_name = "FILE", help_heading = "Global options")]
    pub lock_file: Option<std::path::PathBuf>,
    /// The cache [default: the user's cache folder]
    #[arg(long, global = true, env = "FACTORY_CACHE_DIR", value_name = "DIR", help_heading = "Global options")]
    pub cache_dir: Option<std::path::PathBuf>,
    /// How much is said on stderr
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
    /// Say where in factory's source each debug message comes from
    #[arg(long, global = true, env = "FACTORY_VERBOSE", help_heading = "Global options")]
    pub verbose: bool,
}

fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), "\nlock format 1.0")
}

/// Runs the command line of this process and returns its exit code.
pub fn main() -> u8 {
    let mut args = std::env::args();
    let _ = args.next();
    match args.next().as_deref() {
        Some("__enter") => return inside(crate::build::enter::enter, args.collect()),
        Some("__init") => return inside(crate::build::enter::init, args.collect()),
        _ => {}
    }
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(e) => e.exit(),
    };
    let ui = Ui::new(cli.global.log_level);
    start_log(&cli.global);
    match dispatch(&matches, cli, ui) {
        Ok(()) => exit_code::OK,
        Err((ui, error)) => {
            ui.error(&error);
            error.exit_code()
        }
    }
}

/// What runs as a stage of a build root: see [`crate::build::enter`].
fn inside(stage: fn(&str, &[String]) -> Result<u8, String>, args: Vec<String>) -> u8 {
    let (first, rest) = args.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    stage(first, rest).unwrap_or_else(|why| {
        crate::ui::complain(&why);
        crate::build::enter::CANNOT_ENTER
    })
}

fn start_log(global: &GlobalArgs) {
    let level = if global.log_level == LogLevel::Debug { "factory=debug" } else { "off" };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_file(global.verbose)
        .with_line_number(global.verbose)
        .with_ansi(false);
    // A second call in one process (tests) keeps the first.
    let _ = subscriber.try_init();
}

type Reported = (std::sync::Arc<Ui>, Error);

fn dispatch(matches: &clap::ArgMatches, cli: Cli, ui: Ui) -> Result<(), Reported> {
    let ui = std::sync::Arc::new(ui);
    let outcome = match cli.command {
        None => session::enter(&cli.global, &ui, async |session| run::run(session, &cli.run).await),
        Some(command) => misplaced(matches).and_then(|()| {
            session::enter(&cli.global, &ui, async |session| match &command {
                Command::Resolve(args) => resolve::run(session, args).await,
                Command::Build(args) => build::run(session, args).await,
                Command::Run(args) => run::run(session, args).await,
                Command::Diff(args) => diff::run(session, args),
                Command::Status(args) => status::run(session, args),
                Command::Sbom(args) => sbom::run(session, args),
            })
        }),
    };
    outcome.map_err(|error| (ui, error))
}

/// `factory --push-images build` would forget the flag: options of a command stand behind it.
fn misplaced(matches: &clap::ArgMatches) -> Result<()> {
    let own = RunArgs::augment_args(clap::Command::new("run"));
    let flag = own.get_arguments().find(|arg| {
        matches.try_contains_id(arg.get_id().as_str()).unwrap_or(false)
            && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    });
    match (flag, matches.subcommand_name()) {
        (Some(flag), Some(command)) => {
            let name = flag.get_long().map_or_else(|| flag.get_id().to_string(), |long| format!("--{long}"));
            Err(Error::usage(
                format!("`{name}` stands before `{command}`"),
                format!("write `factory {command} {name}`"),
            ))
        }
        _ => Ok(()),
    }
}
