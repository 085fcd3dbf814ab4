//! How factory talks: stdout carries data, stderr the talk.
//!
//! On a terminal each running step is a live line with its elapsed time; elsewhere (CI, a pipe, `TERM=dumb`) every
//! step is one plain line when it starts and one when it ends. Colour follows the terminal, `NO_COLOR` and `--color`.
//! Lines that are too long for a terminal are broken between words by [`wrap`].

mod step;
mod words;
mod wrap;

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::panic::Location;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::error::Error;
use crate::timeline::Timeline;

pub use step::Step;
pub use words::{controls_escaped, count, cut, megabytes, plural, some, some_names};

/// How much is said, from `--log-level`. Python's names, since the original has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum LogLevel {
    /// Everything, with what each child process is given.
    Debug,
    /// Steps as they start and end.
    #[default]
    Info,
    /// Only what may be wrong.
    Warning,
    /// Only what is wrong.
    Error,
    /// The same as `ERROR`.
    Critical,
}

/// When there are colours, from `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Also in a pipe or a file
    Always,
    /// Nowhere
    Never,
}

impl ColourChoice {
    /// Holds for all that this process writes from now on.
    pub fn apply(self) {
        match self {
            Self::Auto => {}
            Self::Always => anstream::ColorChoice::Always.write_global(),
            Self::Never => anstream::ColorChoice::Never.write_global(),
        }
    }
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// The talk of one run. Shared by all workspaces and plugins; each line is written whole.
pub struct Ui {
    level: LogLevel,
    /// Name the place in factory's source that each line comes from.
    verbose: bool,
    /// Say when steps start and end.
    steps: bool,
    live: Option<MultiProgress>,
    warnings: Mutex<Vec<String>>,
    /// Paths, and what they are called.
    names: Vec<(String, String)>,
    timeline: Timeline,
}

impl Ui {
    /// Live lines when stderr is a terminal that can draw them.
    pub fn new(level: LogLevel) -> Self {
        let capable = io::stderr().is_terminal()
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
            && std::env::var_os("CI").is_none();
        let live = (capable && level <= LogLevel::Info)
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)));
        Self { level, steps: level <= LogLevel::Info, live, ..Self::silent() }
    }

    /// With `--verbose`, each line names the file and line of factory's source that says it.
    #[must_use]
    pub fn verbose(self, verbose: bool) -> Self {
        Self { verbose, ..self }
    }

    /// With `--no-progress`, nothing is said of steps: neither live nor line by line.
    #[must_use]
    pub fn without_progress(self, quiet: bool) -> Self {
        if quiet { Self { steps: false, live: None, ..self } } else { self }
    }

    /// Lines name paths as the user did.
    #[must_use]
    pub fn naming<'n>(self, names: impl Iterator<Item = (String, &'n str)>) -> Self {
        Self { names: names.map(|(path, name)| (path, name.to_owned())).collect(), ..self }
    }

    /// Says nothing; for library use and tests.
    pub fn silent() -> Self {
        Self {
            level: LogLevel::Critical,
            verbose: false,
            steps: false,
            live: None,
            warnings: Mutex::default(),
            names: vec![],
            timeline: Timeline::default(),
        }
    }

    /// What ran when.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// How much is said.
    pub fn level(&self) -> LogLevel {
        self.level
    }

    /// Something the user wants to know but need not act on.
    #[track_caller]
    pub fn note(&self, text: impl Display) {
        if self.level <= LogLevel::Info {
            self.line(&clean(&text.to_string()));
        }
    }

    /// Something that may be wrong. The same warning is said once a run.
    #[track_caller]
    pub fn warn(&self, text: impl Display) {
        let text = clean(&text.to_string());
        let mut said = self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !said.contains(&text) {
            if self.level <= LogLevel::Warning {
                self.line(&format!("{YELLOW}warning{YELLOW:#}: {text}"));
            }
            said.push(text);
        }
    }

    /// Asks a question that is answered with y or n, on the terminal or through a pipe (`echo y | factory …`); none when
    /// nobody answers. What is piped is waited for [`ANSWER`], since some machines leave a pipe open that nobody writes to.
    pub fn ask(&self, question: &str) -> Option<bool> {
        let is_terminal = io::stdin().is_terminal();
        let can_answer = if is_terminal { io::stderr().is_terminal() } else { can_be_piped() };
        if !can_answer {
            return None;
        }
        let ask = || {
            let _ = write!(anstream::stderr(), "{} [y/N] ", clean(question));
            let answer = if is_terminal { read_answer() } else { read_piped_answer() };
            if !is_terminal {
                let _ = writeln!(anstream::stderr(), "{}", clean(answer.as_deref().unwrap_or_default().trim()));
            }
            answer.map(|answer| matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
        };
        match &self.live {
            Some(live) => live.suspend(ask),
            None => ask(),
        }
    }

    /// True where somebody at a terminal can answer.
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for a text, on a terminal alone; none where there is none, for an empty answer, and after an interrupt.
    pub fn ask_text(&self, question: &str, interrupt: &AtomicBool) -> Option<String> {
        if !self.can_ask() {
            return None;
        }
        let ask = || {
            let _ = write!(anstream::stderr(), "{}: ", clean(question));
            let (sender, answer) = std::sync::mpsc::channel();
            std::thread::spawn(move || sender.send(read_answer()));
            while !interrupt.load(Ordering::Relaxed) {
                match answer.recv_timeout(Duration::from_millis(100)) {
                    Ok(answer) => return answer,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return None,
                }
            }
            None
        };
        let answer = match &self.live {
            Some(live) => live.suspend(ask),
            None => ask(),
        };
        answer.map(|answer| answer.trim().to_owned()).filter(|answer| !answer.is_empty())
    }

    /// The warnings of this run, for its report.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// An error with its hint, as the last word or for one workspace of many.
    #[track_caller]
    pub fn error(&self, error: &Error) {
        self.line(&format!("{RED}error{RED:#}: {}", clean(&error.to_string())));
        if let Error::Build { tail, .. } = error {
            for line in tail {
                self.line(&format!("  {DIM}|{DIM:#} {}", clean(line)));
            }
        }
        if let Some(hint) = error.hint() {
            self.line(&format!("\n{CYAN}hint{CYAN:#}: {}", clean(&hint)));
        }
    }

    #[track_caller]
    fn line(&self, text: &str) {
        let text = self.names.iter().fold(text.to_owned(), |text, (path, name)| text.replace(path, name));
        let place = if self.verbose {
            let caller = Location::caller();
            format!(" {DIM}({}:{}){DIM:#}", caller.file(), caller.line())
        } else {
            String::new()
        };
        let text = wrap::wrapped(&format!("{text}{place}"), columns_of(io::stderr()));
        let write = || {
            // A closed stderr is no reason to fail a build.
            let _ = writeln!(anstream::stderr(), "{text}");
        };
        match &self.live {
            Some(live) => live.suspend(write),
            None => write(),
        }
    }
}

/// How long an answer through a pipe is waited for.
const ANSWER: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const ANSWER_LENGTH: u64 = 1024;

/// True if stdin is a pipe, a socket or a file: not `/dev/null`, and not closed.
fn can_be_piped() -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = std::fs::metadata("/proc/self/fd/0").map(|meta| meta.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket() || kind.is_file())
}

/// A line of stdin; none at its end.
fn read_answer() -> Option<String> {
    let mut line = Vec::new();
    let mut stdin = io::stdin().lock().take(ANSWER_LENGTH);
    stdin.read_until(b'\n', &mut line).ok().filter(|read| *read > 0)?;
    Some(String::from_utf8_lossy(&line).into_owned())
}

fn read_piped_answer() -> Option<String> {
    let (sender, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(read_answer()));
    answer.recv_timeout(ANSWER).ok().flatten()
}

/// Writes data to stdout, with its colours where they are wanted. A closed pipe ends the data, not the program.
pub fn data(text: impl Display) -> io::Result<()> {
    // Stripped before it is written: between colours, pieces would go out one by one.
    let mut out = AutoStream::new(Vec::new(), AutoStream::choice(&io::stdout()));
    write!(out, "{text}")?;
    write_data(&out.into_inner())
}

/// Writes data to stdout without taking what looks like a colour out of it.
pub fn data_as_it_is(text: &str) -> io::Result<()> {
    write_data(text.as_bytes())
}

fn write_data(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes text for people to stdout: on a terminal, lines that are too long for it are broken between words.
pub fn text(text: &str) -> io::Result<()> {
    write_data(wrap::wrapped(text, columns()).as_bytes())
}

/// The columns of the terminal that stdout is; none when it is something else.
pub fn columns() -> Option<usize> {
    columns_of(io::stdout())
}

fn columns_of(stream: impl std::os::fd::AsFd) -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(stream)?;
    (width.0 > 0).then(|| width.0.into())
}

/// What stands in a live line besides its scope and its message: a spinner, spaces and the time.
const ELAPSED: usize = 10;

/// Says why a stage of a build root failed; its parent reads it from stderr.
pub fn complain(why: &str) {
    let _ = writeln!(io::stderr(), "{}", clean(why));
}

/// `12.3s` or `2m03s`.
pub fn seconds(time: Duration) -> String {
    let s = time.as_secs_f64();
    if s < 60.0 { format!("{s:.1}s") } else { format!("{}m{:02}s", time.as_secs() / 60, time.as_secs() % 60) }
}

/// Replaces control characters: names and output from outside must not steer the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\tc\nd\r"), "a\u{fffd}[2Jb\tc\nd\u{fffd}");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2s");
        assert_eq!(seconds(Duration::from_secs(123)), "2m03s");
    }
}
