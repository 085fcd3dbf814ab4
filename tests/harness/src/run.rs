//! Runs the tests of a binary.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};
use std::thread;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::skip::Skip;

/// A function with `#[harness::test]`.
pub struct Case {
    /// With its modules, the binary's own first.
    pub name: &'static str,
    pub run: fn(),
    pub kind: Kind,
}

/// When a test is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It takes minutes, so it is begun before the others.
    Long,
    Usual,
    /// Only when it is asked for, by `--ignored`.
    Ignored,
}

inventory::collect!(Case);

/// What cargo says to a binary of tests alone.
pub struct Built {
    /// `CARGO_BIN_EXE_factory`.
    pub program: &'static str,
    /// `CARGO_TARGET_TMPDIR`.
    pub tmp: &'static str,
    /// Threads beyond one a core, for tests that wait.
    pub waiting: usize,
}

static BUILT: OnceLock<Built> = OnceLock::new();

/// The program that is tested.
pub fn program() -> &'static str {
    BUILT.get().expect("`harness::run` runs").program
}

/// A folder below `target` that stays from run to run.
pub fn tmp() -> PathBuf {
    BUILT.get().expect("`harness::run` runs").tmp.into()
}

static RUN_FOLDER: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);

/// A folder for all tests of a run, removed at its end.
pub fn run_folder() -> PathBuf {
    let mut folder = RUN_FOLDER.lock().unwrap();
    folder.get_or_insert_with(|| tempfile::tempdir().unwrap()).path().to_path_buf()
}

/// The folder of the project.
pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

static SKIPPED: Mutex<Vec<(&str, Skip)>> = Mutex::new(Vec::new());

/// Runs the tests that the arguments select, and says at the end which of them were skipped.
pub fn run(built: Built) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(cores + built.waiting);
    let _ = BUILT.set(built);
    let mut cases: Vec<&Case> = inventory::iter::<Case>.into_iter().collect();
    cases.sort_by_key(|case| (case.kind, case.name));
    let trial = |case: &'static Case| {
        Trial::ignorable_test(short(case.name), move || attempt(case)).with_ignored_flag(case.kind == Kind::Ignored)
    };
    let trials = cases.into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(RUN_FOLDER.lock().unwrap().take());
    tell_skipped();
    conclusion.exit_code()
}

/// Without the binary's name.
fn short(name: &'static str) -> &'static str {
    name.split_once("::").map_or(name, |(_, rest)| rest)
}

/// One test in a thread of its name, as libtest does it.
fn attempt(case: &'static Case) -> Result<Completion, Failed> {
    let name = short(case.name);
    let ended = thread::Builder::new().name(name.to_owned()).spawn(case.run)?.join();
    let Err(payload) = ended else { return Ok(Completion::Completed) };
    let message = match payload.downcast::<Skip>() {
        Ok(skip) if is_strict() && !skip.is_agreed => {
            format!("{} (FACTORY_TEST_STRICT=1 forbids to skip)", skip.reason)
        }
        Ok(skip) => {
            let completion = Completion::ignored_with(&skip.reason);
            SKIPPED.lock().unwrap().push((name, *skip));
            return Ok(completion);
        }
        Err(payload) => match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "panicked".to_owned(),
        },
    };
    Err(message.into())
}

fn is_strict() -> bool {
    std::env::var_os("FACTORY_TEST_STRICT").is_some_and(|value| value == "1")
}

/// By what they miss.
fn tell_skipped() {
    let skipped = SKIPPED.lock().unwrap();
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, skip) in skipped.iter() {
        reasons.entry(&skip.reason).or_default().push(name);
    }
    let mut text = String::new();
    for (reason, names) in &mut reasons {
        names.sort_unstable();
        let noun = if names.len() == 1 { "test" } else { "tests" };
        text += &format!("skipped {} {noun}: {reason}\n    {}\n", names.len(), names.join("\n    "));
    }
    let packages: BTreeSet<_> = skipped.iter().flat_map(|(_, skip)| skip.packages.iter().copied()).collect();
    if !packages.is_empty() {
        let packages = packages.into_iter().collect::<Vec<_>>().join(" ");
        text += &format!("to run those that miss a program: apt-get install {packages}\n");
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
}
