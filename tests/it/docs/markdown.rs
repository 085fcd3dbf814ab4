//! Pages of documentation: their links, code and samples.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// How a block begins that shows what `factory` prints.
const SAMPLE: &str = "```console\n$ factory ";

/// What stands above a block with parts of a file.
const PARTS: &str = "<!-- parts of ";

/// A Markdown file.
pub struct Page {
    /// From the repository's root.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
}

/// Every page that users or contributors read.
pub fn pages(root: &Path) -> Vec<Page> {
    let mut paths = vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("CHANGELOG.md")];
    let children = |folder: &str| fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    paths.extend(children("docs"));
    paths.extend(children("examples").map(|example| example.join("README.md")));
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

/// The first cells of the rows of a table, without its head.
pub fn first_cells(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).skip(1);
    rows.map(|row| row.split(" | ").next().unwrap().to_owned()).collect()
}

impl Page {
    pub fn read(path: &Path) -> Self {
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display().to_string();
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, path: path.to_path_buf(), text }
    }

    /// Lines outside of code blocks and tables.
    pub fn prose(&self) -> Vec<&str> {
        let mut inside = false;
        let mut lines = Vec::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside && !line.starts_with('|') {
                lines.push(line);
            }
        }
        lines
    }

    /// The text below a heading of the second level.
    pub fn section(&self, heading: &str) -> String {
        let (_, rest) = self.text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("{heading}"));
        rest.split("\n## ").next().unwrap().to_owned()
    }

    /// The code blocks of a language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let start = format!("```{language}\n");
        self.text.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
    }

    pub fn consoles(&self) -> Vec<String> {
        self.blocks("console")
    }

    /// Code in back-ticks, in prose and tables.
    pub fn spans(&self) -> Vec<String> {
        let mut inside = false;
        let mut spans = Vec::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                let line = line.replace("`` ", "`").replace(" ``", "`");
                spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
            }
        }
        spans
    }

    /// The targets of `[text](target)`.
    pub fn links(&self) -> Vec<String> {
        let prose = self.text.split("```").step_by(2);
        let links = prose.flat_map(|text| text.split("](").skip(1));
        links.filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
    }

    /// The anchors of the headings, made as GitHub makes them.
    pub fn anchors(&self) -> BTreeSet<String> {
        let headings = self.text.split("```").step_by(2).flat_map(str::lines).filter(|line| line.starts_with('#'));
        let slug = |heading: &str| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let text: String = heading.trim_start_matches('#').trim().chars().filter(kept).collect();
            text.to_lowercase().replace(' ', "-")
        };
        headings.map(slug).collect()
    }

    /// The command lines of `factory` in blocks and in back-ticks, as arguments. Of those with placeholders in brackets
    /// only the command is left.
    pub fn command_lines(&self) -> Vec<Vec<String>> {
        let blocks = self.consoles().join("\n").replace("\\\n", " ");
        let spans = self.spans().into_iter().filter(|span| span.starts_with("factory "));
        let lines = blocks.lines().map(str::to_owned).chain(spans);
        lines.flat_map(|line| commands(&line)).collect()
    }

    pub fn has_samples(&self) -> bool {
        self.text.contains(SAMPLE) || self.text.contains(PARTS)
    }

    /// The page with the blocks that show paragraphs of a file as they are there: `<!-- parts of FILE: FIRST LINE, … -->`.
    pub fn with_parts(self) -> Self {
        let mut out = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, after)) = rest.split_once(PARTS) {
            let (what, after) = after.split_once(" -->\n```text\n").unwrap();
            let (file, parts) = what.split_once(": ").unwrap();
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
            let part = |first: &str| text.split("\n\n").find(|part| part.lines().next() == Some(first)).unwrap();
            let parts: Vec<&str> = parts.split(", ").map(part).collect();
            let _ = write!(out, "{before}{PARTS}{what} -->\n```text\n{}\n```", parts.join("\n\n"));
            rest = &after[after.find("```").unwrap() + 3..];
        }
        out += rest;
        Self { text: out, ..self }
    }

    /// The page with the output of each `$ factory …` line of its blocks as `run` gives it, which is told the folder to
    /// run in and the arguments. `<!-- changed: FILE -->` above a block adds a line to that file first.
    pub fn with_samples(&self, run: impl Fn(&Path, &[String]) -> String) -> String {
        let mut out = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, block)) = rest.split_once(SAMPLE) {
            let (command, after) = block.split_once('\n').unwrap();
            let place = example();
            if let Some(file) =
                before.trim_end().rsplit_once("<!-- changed: ").and_then(|(_, it)| it.strip_suffix(" -->"))
            {
                let path = place.path().join(file);
                fs::write(&path, fs::read_to_string(&path).unwrap() + "\n").unwrap();
            }
            let printed = run(place.path(), &shlex(command));
            let _ = write!(out, "{before}{SAMPLE}{command}\n{}\n```", printed.trim_end());
            rest = &after[after.find("```").unwrap() + 3..];
        }
        out + rest
    }
}

/// The example's configuration with its sealed lock, where a fresh clone has it.
fn example() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let to = place.path().join("examples/greeting");
    copy(&root.join("examples/greeting"), &to);
    let lock = fs::read_to_string(root.join("factory.lock.example")).unwrap();
    fs::write(to.join("factory.lock"), lock.split_once('\n').unwrap().1).unwrap();
    place
}

/// The configuration alone: no source, and no lock that a build may have left.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if ["workspaces", "factory.lock", "factory.lock.d"].iter().any(|left_out| name == *left_out) {
        } else if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// The calls of `factory` in a line: behind variables, `unshare -n`, `podman run …`, `cargo run --release --`, `&&`.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.replace("cargo run --release -- ", "factory ");
    let mut all = Vec::new();
    for part in line.split("&&") {
        let words = shlex(part);
        let Some(at) = words.iter().rposition(|word| word == "factory") else { continue };
        if words.iter().any(|word| word == "build" || word == "docker") && words[0] == "podman" && at < 4 {
            continue;
        }
        let own =
            words[at..].iter().take_while(|word| !matches!(word.as_str(), "|" | ">" | ";") && !word.starts_with('#'));
        let line: Vec<String> = own.take_while(|word| !word.starts_with(['[', '<', '…'])).cloned().collect();
        all.push(line);
    }
    all
}

/// Words as a shell splits them, as far as the pages need it.
fn shlex(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| if word == "''" { String::new() } else { word.to_owned() }).collect()
}
