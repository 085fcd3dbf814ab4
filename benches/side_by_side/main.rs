//! A configuration built as the Python factory builds it and as `factory` does, one after the other on this machine:
//! `cargo bench --bench side_by_side -- --config-dir examples/greeting`.
//!
//! Prints a row of seconds and their ratio for each of: everything cold, warm caches and built again, one plugin
//! changed, unchanged. Needs git, Node.js, npm, patch and buildah, and the npm registry. docs/benchmarks.md has the
//! method.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod original;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use factory::lock::{Lock, Plugin, Workspace};

use crate::original::Original;
use crate::source::Source;

#[derive(Parser)]
struct Options {
    /// Configuration of one workspace, as `factory run` takes it
    #[arg(long, value_name = "DIR", default_value = "examples/greeting")]
    config_dir: PathBuf,
    /// Number of times that each row is measured; its median is printed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Folder for sources, caches, outputs and the log of every step, which stays [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Options of `factory run` besides, such as `--rhdh-version 1.9`
    #[arg(last = true, value_name = "OPTION")]
    factory: Vec<String>,
    /// Of `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured, in this order: each finds what those before it left.
const ROWS: [&str; 4] = ["everything cold", "warm caches, built again", "one plugin changed", "unchanged"];

fn main() {
    let options = Options::parse();
    harness::needs(&["git", "node", "npm", "patch", "buildah"]);
    let temporary = tempfile::tempdir().unwrap();
    let work = options.work_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut rows: [Vec<Measured>; ROWS.len()] = Default::default();
    for round in 1..=options.rounds {
        let dir = work.join(format!("round-{round}"));
        assert!(!dir.exists(), "`{}` is there from another run: remove it", dir.display());
        for (row, measured) in rows.iter_mut().zip(round_of(&options, &dir)) {
            row.push(measured);
        }
        if options.work_dir.is_none() {
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
    println!("\n| | the original | factory | ratio |\n|---|---|---|---|");
    for (name, row) in ROWS.iter().zip(&rows) {
        let median = |of: fn(&Measured) -> Duration| {
            let mut all: Vec<_> = row.iter().map(of).collect();
            all.sort();
            all[all.len() / 2].as_secs_f64()
        };
        let (theirs, ours) = (median(|row| row.original), median(|row| row.factory));
        println!("| {name} | {theirs:.1} | {ours:.2} | {:.1} |", theirs / ours);
    }
}

/// The seconds of both for one row.
struct Measured {
    original: Duration,
    factory: Duration,
}

/// All rows, once.
fn round_of(options: &Options, dir: &Path) -> Vec<Measured> {
    let source = Source::clone_of(&options.config_dir, dir);
    let ours = Factory { dir, options };
    let cold = ours.timed(&[&["run"]]);
    let lock = ours.lock();
    let [workspace] = lock.workspace.as_slice() else { panic!("it measures configurations of one workspace") };
    let mut original = Original::new(dir, &source, &lock, workspace);
    let mut rows = vec![Measured { original: original.timed(ROWS[0]), factory: cold }];

    let factory = ours.timed(&[&["build", "--rebuild"]]);
    rows.push(Measured { original: original.timed(ROWS[1]), factory });

    source.change(Path::new(&workspace.source.path), &changed(workspace).path);
    let factory = ours.timed(&[&["resolve"], &["build"]]);
    rows.push(Measured { original: original.timed(ROWS[2]), factory });

    let factory = ours.timed(&[&["build"]]);
    rows.push(Measured { original: original.timed(ROWS[3]), factory });
    rows
}

/// The plugin that is changed: a frontend, if there is one, since no other plugin embeds it.
fn changed(workspace: &Workspace) -> &Plugin {
    let plugins = &workspace.plugin;
    plugins.iter().find(|plugin| !plugin.role.is_backend()).or(plugins.last()).expect("a workspace with plugins")
}

/// `factory` with a cache and outputs of its own.
struct Factory<'a> {
    dir: &'a Path,
    options: &'a Options,
}

impl Factory<'_> {
    /// The time that these commands take, one after the other.
    fn timed(&self, commands: &[&[&str]]) -> Duration {
        let start = Instant::now();
        for arguments in commands {
            let mut command = Command::new(env!("CARGO_BIN_EXE_factory"));
            command.current_dir(self.dir).args(*arguments);
            command.args(["--config-dir", "config", "--cache-dir", "cache"]);
            if arguments[0] != "resolve" {
                command.args(["--output-dir", "outputs"]);
            }
            if arguments[0] == "run" {
                command.args(&self.options.factory);
            }
            assert!(command.status().unwrap().success(), "factory {} failed", arguments.join(" "));
        }
        start.elapsed()
    }

    fn lock(&self) -> Lock {
        let path = self.dir.join("config/factory.lock");
        Lock::from_text(&std::fs::read_to_string(&path).unwrap(), &path).unwrap()
    }
}
