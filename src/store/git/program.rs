//! The same through the `git` program, for what gix does not know: `.netrc`, `http.proxy`, `http.<url>.*`, servers of the
//! dumb protocol, …
//!
//! It gets the user's configuration and environment, as on a command line, except for what would lead it elsewhere, ask
//! on the terminal, run hooks or show secrets.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use gix::ObjectId;
use gix::bstr::ByteSlice;

use super::failure::GitFailure;
use super::limits::{GitLimits, LARGEST_OBJECT, LISTING_MEMORY, MEMORY};
use super::memory_watch::MemoryWatch;
use super::remote::{Advertised, RefScope, SSH_COMMAND, basic_header, has_own_ssh};
use super::repository::Repository;
use super::url::{SourceLocation, SourceUrl};

/// Variables by which a hook, or another git, would make ours use another repository or tell more than it should.
const REDIRECTING: [&str; 14] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_TEMPLATE_DIR",
    "GIT_CURL_VERBOSE",
    "GIT_REDIRECT_STDERR",
];
/// Beginnings of the names of variables that are not for git: traces of what it sends, and what other tools log in with.
const NOT_FOR_GIT: [&str; 6] = ["GIT_TRACE", "FACTORY_", "REGISTRY_", "NPM_", "YARN_", "NODE_"];
/// What `git` may speak, as far as the user lets it. `file` is for an `insteadOf`.
const PROTOCOLS: [&str; 4] = ["https", "http", "ssh", "file"];
/// The most bytes of what else it prints: a history of three million commits.
const LONGEST_ANSWER: u64 = 128 << 20;
/// The most bytes of what `git` says to people.
const LONGEST_TALK: u64 = 1 << 20;

/// Settings that hold whatever the user's configuration says.
const SETTINGS: [&str; 11] = [
    "core.useReplaceRefs=false",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.writeCommitGraph=false",
    // No byte in a minute.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    // All into a pack, whose size is watched; large files not through the memory.
    "fetch.unpackLimit=1",
    "core.bigFileThreshold=32m",
    // Each has up to three of the largest objects in memory.
    "pack.threads=1",
];

pub(super) fn list(
    repository: &Repository,
    scope: RefScope,
    limits: GitLimits,
    stop: &AtomicBool,
) -> Result<Vec<Advertised>, GitFailure> {
    let mut git = git_online(repository, stop)?;
    git.args(["ls-remote", "--symref", "--", &url(repository)]);
    if scope == RefScope::Usual {
        git.args(["HEAD", "refs/heads/*", "refs/tags/*"]);
    }
    run_within(git, (limits.answer, LISTING_MEMORY), stop).map(|stdout| parse_listing(&stdout))
}

/// Fetches `commit` alone; with its history from servers that cannot do otherwise, and everything from those that do not
/// give out what no ref points to.
pub(super) fn fetch(repository: &Repository, commit: ObjectId, stop: &AtomicBool) -> Result<(), GitFailure> {
    let wanted = commit.to_string();
    let fetch = |how: &[&str], wanted: &[&str]| {
        let mut git = git_online(repository, stop)?;
        git.args(FETCH).args(how).args(["--", &url(repository)]).args(wanted);
        run(git, stop).map(drop)
    };
    let alone = match fetch(&["--depth=1"], &[&wanted]) {
        Err(GitFailure::Protocol(_)) => fetch(&[], &[&wanted]),
        outcome => outcome,
    };
    match alone {
        Err(GitFailure::Unadvertised) => fetch(&[], &EVERYTHING),
        outcome => outcome,
    }
}

const FETCH: [&str; 6] =
    ["fetch", "--quiet", "--no-tags", "--no-auto-gc", "--no-write-fetch-head", "--no-recurse-submodules"];
const EVERYTHING: [&str; 2] = ["+refs/heads/*:refs/factory/heads/*", "+refs/tags/*:refs/factory/tags/*"];

/// The commits of a remote whose ids begin with `prefix`. This takes its history, though of commits only, where the
/// server can leave out trees; it goes to the empty bare repository `scratch`.
pub(super) fn commits_with_prefix(
    repository: &Repository,
    scratch: &Path,
    prefix: &str,
    stop: &AtomicBool,
) -> Result<Vec<String>, GitFailure> {
    let history = Repository { dir: scratch.to_path_buf(), ..repository.clone() };
    let mut fetch = git_online(&history, stop)?;
    fetch.args(FETCH).args(["--filter=tree:0", "--", &url(repository)]).args(EVERYTHING);
    run(fetch, stop)?;
    let mut list = git(&history);
    list.args(["rev-list", "--all"]);
    let all = run(list, stop)?;
    Ok(all.lines().filter(|commit| commit.starts_with(prefix)).map(str::to_owned).collect())
}

fn url(repository: &Repository) -> String {
    match repository.url.location() {
        SourceLocation::Remote { url, .. } => url.to_bstring().to_str_lossy().into_owned(),
        SourceLocation::Local(path) => path.display().to_string(),
    }
}

/// `git -C <bare repository>`, confined.
fn git(repository: &Repository) -> Command {
    let mut git = Command::new("git");
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if REDIRECTING.contains(&upper.as_str()) || NOT_FOR_GIT.iter().any(|start| upper.starts_with(start)) {
            git.env_remove(name);
        }
    }
    git.arg("-C").arg(&repository.dir);
    // The cache may be somebody else's, as in a container.
    git.arg("-c").arg(format!("safe.directory={}", repository.dir.display()));
    for setting in SETTINGS {
        git.args(["-c", setting]);
    }
    git.env("GIT_TERMINAL_PROMPT", "0").env("GCM_INTERACTIVE", "never").env("LC_ALL", "C");
    git.env("GIT_ALLOC_LIMIT", LARGEST_OBJECT.to_string());
    git.env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_ALLOW_PROTOCOL", protocols(std::env::var("GIT_ALLOW_PROTOCOL").ok().as_deref()));
    git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    git
}

/// What may be spoken, when the user allows `allowed`.
fn protocols(allowed: Option<&str>) -> String {
    let is_allowed = |name: &&str| allowed.is_none_or(|list| list.split(':').any(|one| one == *name));
    PROTOCOLS.into_iter().filter(is_allowed).collect::<Vec<_>>().join(":")
}

/// The same for talking to the remote. The account of the URL is handed over in the environment: arguments can be read by
/// everyone on the machine.
fn git_online(repository: &Repository, stop: &AtomicBool) -> Result<Command, GitFailure> {
    let mut git = git(repository);
    if !has_own_ssh(repository) {
        git.env("GIT_SSH_COMMAND", SSH_COMMAND);
    }
    if repository.url.is_ssh() {
        return Ok(git);
    }
    let header = match repository.url.location() {
        SourceLocation::Remote { account: Some(account), .. } => basic_header(account),
        _ => None,
    };
    let address = effective_url(repository, stop)?;
    let settings = http_settings(repository, &address, stop)?;
    let is_set = |key: &str| {
        settings.lines().any(|line| line.split_once(' ').is_some_and(|(name, value)| name == key && !value.is_empty()))
    };
    // git sends such headers to wherever a redirect leads.
    if header.is_some() || is_set("http.extraheader") {
        git.args(["-c", "http.followRedirects=false", "-c", &format!("http.{address}.followRedirects=false")]);
    }
    if let Some(file) = std::env::var_os("SSL_CERT_FILE")
        && !file.is_empty()
        && !is_set("http.sslcainfo")
        && std::env::var_os("GIT_SSL_CAINFO").is_none()
    {
        git.env("GIT_SSL_CAINFO", file);
    }
    if let Some(header) = header {
        let set = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0_usize);
        git.env("GIT_CONFIG_COUNT", (set + 1).to_string());
        git.env(format!("GIT_CONFIG_KEY_{set}"), format!("http.{}/.extraHeader", origin(&repository.url)));
        git.env(format!("GIT_CONFIG_VALUE_{set}"), header);
    }
    Ok(git)
}

/// `scheme://host:port`.
fn origin(url: &SourceUrl) -> String {
    let SourceLocation::Remote { url, .. } = url.location() else { return String::new() };
    let origin = format!("{}://{}", url.scheme, url.host().unwrap_or_default());
    url.port.map_or(origin.clone(), |port| format!("{origin}:{port}"))
}

/// What the user's `insteadOf` makes of the address.
fn effective_url(repository: &Repository, stop: &AtomicBool) -> Result<String, GitFailure> {
    let mut effective = git(repository);
    effective.args(["ls-remote", "--get-url", "--", &url(repository)]);
    run(effective, stop).map(|address| address.trim().to_owned())
}

/// What the user's configuration says for this address: `http.<setting> <value>` lines, names in lower case.
fn http_settings(repository: &Repository, address: &str, stop: &AtomicBool) -> Result<String, GitFailure> {
    let mut settings = git(repository);
    settings.args(["config", "--get-urlmatch", "http", address]);
    match run(settings, stop) {
        Err(failure @ (GitFailure::NoProgram | GitFailure::Interrupted)) => Err(failure),
        // There is none.
        settings => Ok(settings.unwrap_or_default()),
    }
}

/// Runs `git` and waits for it; kills it when `stop` is set.
fn run(git: Command, stop: &AtomicBool) -> Result<String, GitFailure> {
    run_within(git, (LONGEST_ANSWER, MEMORY), stop)
}

/// The same with limits of what it prints and of its memory.
fn run_within(mut git: Command, (longest, memory): (u64, u64), stop: &AtomicBool) -> Result<String, GitFailure> {
    let mut child = git.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => GitFailure::NoProgram,
        _ => GitFailure::Other(format!("cannot start `git`: {error}")),
    })?;
    let stdout = reader(child.stdout.take(), longest);
    let stderr = reader(child.stderr.take(), LONGEST_TALK);
    let mut memory = MemoryWatch::new(child.id(), memory);
    let status = loop {
        if stop.load(Ordering::Relaxed) {
            // What it has started ends with it: it reads from git, and writes to it.
            let _ = child.kill();
            let _ = child.wait();
            return Err(GitFailure::Interrupted);
        }
        if let Err(failure) = memory.look() {
            memory.kill();
            let _ = child.wait();
            return Err(failure);
        }
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(GitFailure::Other(format!("cannot wait for `git`: {error}"))),
        }
    };
    let broken = |_| GitFailure::Other("cannot read what `git` says".to_owned());
    let (stdout, is_whole) = stdout.join().map_err(broken)?;
    let (stderr, _) = stderr.join().map_err(broken)?;
    if !is_whole {
        return Err(GitFailure::too_large("the server's answer", longest));
    }
    if status.success() { Ok(stdout) } else { Err(GitFailure::from_git(&stderr)) }
}

/// Reads a pipe, its first `limit` bytes, and whether these were all. What comes then is dropped, so that nobody waits.
fn reader(pipe: Option<impl Read + Send + 'static>, limit: u64) -> thread::JoinHandle<(String, bool)> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut left = 0;
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(limit).read_to_end(&mut bytes);
            left = std::io::copy(&mut pipe, &mut std::io::sink()).unwrap_or(0);
        }
        (String::from_utf8_lossy(&bytes).into_owned(), left == 0)
    })
}

/// Reads `git ls-remote --symref`: `ref: <target>\t<name>` and `<id>\t<name>`, `<name>^{}` for what is behind a tag.
fn parse_listing(text: &str) -> Vec<Advertised> {
    let mut refs: Vec<Advertised> = Vec::new();
    let mut symbolic: Option<(String, String)> = None;
    for (left, name) in text.lines().filter_map(|line| line.split_once('\t')) {
        if let Some(target) = left.strip_prefix("ref: ") {
            symbolic = Some((name.to_owned(), target.to_owned()));
        } else if let Some(tag) = name.strip_suffix("^{}") {
            if let Some(last) = refs.last_mut().filter(|last| last.name == tag) {
                last.peeled = Some(left.to_owned());
            }
        } else {
            let symbolic = symbolic.take_if(|(of, _)| of == name).map(|(_, target)| target);
            refs.push(Advertised { name: name.to_owned(), target: left.to_owned(), peeled: None, symbolic });
        }
    }
    refs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_listing() {
        let a = "a".repeat(40);
        let b = "b".repeat(40);
        let listing = format!(
            "ref: refs/heads/main\tHEAD\n{a}\tHEAD\n{a}\trefs/heads/main\n{b}\trefs/tags/v1\n{a}\trefs/tags/v1^{{}}\nnoise\n"
        );
        let refs = parse_listing(&listing);
        let names: Vec<_> = refs.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
        assert_eq!(refs[0].symbolic.as_deref(), Some("refs/heads/main"));
        assert_eq!(refs[1].symbolic, None);
        assert_eq!((refs[2].target.as_str(), refs[2].peeled.as_deref()), (b.as_str(), Some(a.as_str())));
    }
}
