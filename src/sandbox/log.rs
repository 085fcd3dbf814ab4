//! What children say, in a file that does not grow without end: its beginning and its end.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::answer::size;
use crate::error::{Error, Result};

/// The most bytes of a log.
const LONGEST: LogLength = LogLength { head: 32 << 20, tail: 32 << 20 };

/// What is shown of a line.
type ShownAs = dyn Fn(&str) -> String + Send + Sync;

/// The log of one workspace or plugin: every command and its output, up to 64 MiB. What is longer loses its middle.
#[derive(Clone)]
pub struct Log {
    path: PathBuf,
    file: Arc<Mutex<LogFile>>,
    shown: Option<Arc<ShownAs>>,
}

impl Log {
    /// A new log; an older one of that name is replaced.
    pub fn create(path: PathBuf) -> Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(true);
        let file = options.open(&path).map_err(Error::io("create", &path))?;
        Ok(Self { path, file: Arc::new(Mutex::new(LogFile::new(file, LONGEST))), shown: None })
    }

    /// The same log, with each line as `shown` makes it.
    #[must_use]
    pub fn through(&self, shown: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self { shown: Some(Arc::new(shown)), ..self.clone() }
    }

    /// What is written of a line.
    pub(super) fn shown(&self, text: &str) -> String {
        self.shown.as_ref().map_or_else(|| text.to_owned(), |shown| shown(text))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line. A full disk shows where it matters: when the output is written.
    pub fn line(&self, text: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = file.append(format!("{}\n", self.shown(text)).as_bytes());
    }
}

/// How much of the beginning is kept, and how much of the end: at least half of that, and at most all of it.
#[derive(Clone, Copy)]
struct LogLength {
    head: u64,
    tail: u64,
}

/// The file: whole lines from the beginning; once they are too many, a line that says how much is left out, and whole
/// lines up to the end. It is so on disk at any time.
struct LogFile {
    file: File,
    most: LogLength,
    /// Where the next line goes.
    end: u64,
    /// Where the beginning ends, once the middle is left out.
    head: Option<u64>,
    left_out: u64,
}

impl LogFile {
    fn new(file: File, most: LogLength) -> Self {
        Self { file, most, end: 0, head: None, left_out: 0 }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.head.is_none() && self.end + line.len() as u64 > self.most.head {
            self.head = Some(self.end);
        }
        if let Some(head) = self.head
            && self.end + line.len() as u64 > head + self.most.tail
        {
            self.cut(head)?;
        }
        self.file.write_all_at(line, self.end)?;
        self.end += line.len() as u64;
        Ok(())
    }

    /// Leaves out all but the last lines of what follows the beginning.
    fn cut(&mut self, head: u64) -> io::Result<()> {
        let kept_from = head.max(self.end.saturating_sub(self.most.tail / 2));
        let mut kept = vec![0; usize::try_from(self.end - kept_from).unwrap_or_default()];
        self.file.read_exact_at(&mut kept, kept_from)?;
        let first_line = kept.iter().position(|byte| *byte == b'\n').map_or(kept.len(), |at| at + 1);
        let kept = &kept[first_line..];
        let before = self.mark().len() as u64;
        self.left_out += self.end - head - kept.len() as u64 - if self.left_out == 0 { 0 } else { before };
        let mark = self.mark();
        self.file.set_len(head)?;
        self.file.write_all_at(mark.as_bytes(), head)?;
        self.file.write_all_at(kept, head + mark.len() as u64)?;
        self.end = head + (mark.len() + kept.len()) as u64;
        self.file.flush()
    }

    /// The line in place of what is left out, of one length whatever its number.
    fn mark(&self) -> String {
        let most = size(LONGEST.head + LONGEST.tail);
        format!("… {:>20} bytes are left out here: a log has at most {most} …\n", self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: usize, most: LogLength) -> (Vec<String>, u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut options = OpenOptions::new();
        let file = options.create_new(true).read(true).write(true).open(&path).unwrap();
        let mut log = LogFile::new(file, most);
        let (mut all, mut longest) = (0, 0);
        for number in 0..lines {
            let line = format!("line {number}\n");
            all += line.len() as u64;
            log.append(line.as_bytes()).unwrap();
            longest = longest.max(std::fs::metadata(&path).unwrap().len());
        }
        assert!(longest <= most.head + most.tail, "{longest}");
        let text = std::fs::read_to_string(&path).unwrap();
        let left_out = text.lines().find_map(|line| line.strip_prefix('…')?.split_whitespace().next()?.parse().ok());
        let marks: usize = text.lines().filter(|line| line.starts_with('…')).map(|line| line.len() + 1).sum();
        let left_out: u64 = left_out.unwrap_or(0);
        assert_eq!(text.len() as u64 - marks as u64 + left_out, all, "{text}");
        (text.lines().map(str::to_owned).collect(), left_out)
    }

    #[test]
    fn a_log_keeps_its_beginning_and_its_end() {
        let most = LogLength { head: 100, tail: 400 };
        let (lines, left_out) = written(10_000, most);
        assert_eq!(lines[..2], ["line 0", "line 1"]);
        assert_eq!(lines.last().unwrap(), "line 9999");
        let marks = lines.iter().filter(|line| line.contains("bytes are left out here: a log has at most 64 MiB"));
        assert_eq!((marks.count(), left_out > 0), (1, true));
        // Those before and after it follow each other.
        let at = lines.iter().position(|line| line.starts_with('…')).unwrap();
        let numbers = |lines: &[String]| -> Vec<usize> {
            lines.iter().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect()
        };
        for part in [numbers(&lines[..at]), numbers(&lines[at + 1..])] {
            assert!(part.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{part:?}");
        }
    }

    #[test]
    fn a_log_that_is_not_long_is_whole() {
        let (lines, left_out) = written(40, LogLength { head: 100, tail: 400 });
        assert_eq!((lines.len(), left_out), (40, 0));
    }

    #[test]
    fn a_line_longer_than_all_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::create(dir.path().join("logs/a.log")).unwrap();
        let line = "x".repeat(100_000);
        log.line(&line);
        log.through(|line| line.replace('a', "b")).line("a");
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), format!("{line}\nb\n"));
    }
}
