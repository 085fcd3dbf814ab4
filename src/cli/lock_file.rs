//! The lock as the commands read, check and write it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::session::Session;
use super::source_options::SourceArgs;
use super::{last_failure, paths};
use crate::audit::git_index::{UnmergedFile, unmerged};
use crate::build::new_seals::SealedLock;
use crate::config::Config;
use crate::error::{Error, Place, Result};
use crate::lock::Lock;
use crate::lock::companions::FOLDER_NAME;
use crate::lock::conflict;
use crate::lock::merge::merge;
use crate::lock::stale::{self, StaleReason};
use crate::lock::text::FILE_NAME;
use crate::resolve::configured_pins;
use crate::resolve::renamed::Renames;
use crate::store::{atomic_file, file_beneath};
use crate::user_file;

/// The most bytes a lock may have: that of RHDH's 65 workspaces has half a megabyte.
const LIMIT: u64 = user_file::DOCUMENT;

/// The lock; none when there is no such file.
pub fn read(path: &Path) -> Result<Option<Lock>> {
    text(path)?.map(|text| Lock::from_text(&text, path)).transpose()
}

/// A lock that a resolve may carry on: of a merge that could not be ended, what is left to resolve.
pub struct CarriedLock {
    /// The lock, of a merge with ours where both sides changed something.
    pub lock: Lock,
    /// The merge with theirs there.
    pub theirs: Option<Lock>,
    /// The text of the file.
    pub text: String,
    /// Whether it is of a merge that is not ended.
    pub merges: bool,
    /// The workspaces that both sides of the merge changed.
    pub unmerged: Vec<String>,
}

/// The lock with what a merge left of it; none when there is no such file. The sides are those of git's index, where it
/// has them, else those between conflict markers.
pub fn read_unmerged(path: &Path) -> Result<Option<CarriedLock>> {
    let Some(text) = text(path)? else { return Ok(None) };
    let side = |name: &str, text: &str| {
        Lock::from_text(text, path).map_err(|error| Error::Lock {
            place: Place::file(path),
            what: format!("cannot be merged, since {name} side of its conflict is no lock: {error}"),
            hint: "take one side with `git checkout --ours` or `--theirs`, and run `factory resolve --keep`".into(),
        })
    };
    let merged = if let Some(UnmergedFile { base, ours, theirs }) = unmerged_in_git(path, &text) {
        let base = base.map(|base| side("the first", &base)).transpose()?;
        merge(base.as_ref(), &side("our", &ours)?, &side("their", &theirs)?)
    } else if let Some(sides) = conflict::sides(&text) {
        merge(None, &side("our", &sides.ours)?, &side("their", &sides.theirs)?)
    } else {
        let lock = Lock::from_text(&text, path)?;
        return Ok(Some(CarriedLock { lock, theirs: None, text, merges: false, unmerged: vec![] }));
    };
    Ok(Some(CarriedLock {
        lock: merged.ours,
        theirs: Some(merged.theirs),
        text,
        merges: true,
        unmerged: merged.workspaces,
    }))
}

/// The sides of a lock that git's index has unmerged, as long as nobody ended the merge in the file: it has markers, or is
/// ours alone, as git leaves it where it could not start the merge driver.
fn unmerged_in_git(path: &Path, text: &str) -> Option<UnmergedFile> {
    let has_markers = conflict::first_line(text).is_some();
    unmerged(path, LIMIT).filter(|sides| has_markers || sides.ours == *text)
}

/// Says that a lock is ours alone in a merge that is not ended. One with markers is an error of its reader.
fn warn_of_merge(session: &Session<'_>, path: &Path) {
    let Ok(Some(text)) = text(path) else { return };
    let sides = || unmerged_in_git(path, &text).filter(|sides| !has_all(path, &text, sides));
    if conflict::first_line(&text).is_none() && sides().is_some() {
        session.ui.warn(format!(
            "{} is unmerged in git, and has nothing of the branch that is merged: run `factory resolve --keep`, which merges \
             it, or `git add` it if it is as it should be",
            path.display()
        ));
    }
}

/// Whether the text of a lock is the merge of its sides: where both changed a workspace, each asks for something of its own,
/// of which the configuration says what it is.
fn has_all(path: &Path, text: &str, sides: &UnmergedFile) -> bool {
    let lock = |text: &str| Lock::from_text(text, path);
    let (Ok(ours), Ok(theirs)) = (lock(&sides.ours), lock(&sides.theirs)) else { return false };
    let Ok(base) = sides.base.as_deref().map(lock).transpose() else { return false };
    let merged = merge(base.as_ref(), &ours, &theirs);
    let asked = |lock: &Lock, name: &str| {
        let workspace = lock.workspace.iter().find(|one| one.name == name)?;
        let tools = lock.tools_of(workspace);
        let [node, npm, cli] =
            [&tools.node.requested, &tools.npm.requested, &tools.rhdh_cli.requested].map(Clone::clone);
        Some([workspace.source.requested.clone(), node, npm, cli])
    };
    merged.ours.to_text() == text && merged.workspaces.iter().all(|name| asked(&ours, name) != asked(&theirs, name))
}

/// The text of a lock; none when there is no such file.
pub fn text(path: &Path) -> Result<Option<String>> {
    let Some(file) = crate::config::text::open(path)? else { return Ok(None) };
    let broken = |what: String| Error::Lock {
        place: Place::file(path),
        what,
        hint: "restore the file from version control, or remove it and run `factory resolve` to write it anew".into(),
    };
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > LIMIT {
        return Err(broken(format!("is larger than {LIMIT} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| broken("is not UTF-8".into()))
}

/// Where the lock that a command reads is. That it is not merged is said.
pub fn place(session: &Session<'_>, output: Option<&Path>) -> PathBuf {
    let file = find(session, output);
    warn_of_merge(session, &file);
    file
}

/// The same of a command that may merge it. That it is not beside a configuration that can only be read is said.
pub fn find(session: &Session<'_>, output: Option<&Path>) -> PathBuf {
    let file = paths::lock_file(session.global, output);
    let config_dir = paths::config_dir(session.global);
    let beside = config_dir.join(FILE_NAME);
    if session.global.lock_file.is_some() || file == beside {
        return file;
    }
    session.ui.note(format!("`{}` is read-only: the lock is {}", config_dir.display(), file.display()));
    if let (Ok(Some(other)), Ok(Some(used))) = (read(&beside), read(&file))
        && other.identity() != used.identity()
    {
        session.ui.warn(format!(
            "{} has other pins and is not used; remove {}, or name the one to use with `--lock-file`",
            beside.display(),
            file.display()
        ));
    }
    file
}

/// Where a lock that was read from `lock_file` is written. What lies beside it goes along when that is another place.
pub fn written(session: &Session<'_>, lock_file: &Path, output: Option<&Path>) -> Result<PathBuf> {
    let written = paths::written_lock(session.global, output);
    if written == lock_file || !lock_file.exists() {
        return Ok(written);
    }
    let (from, to) = (paths::folder_of(lock_file), paths::folder_of(&written));
    session.ui.note(format!("`{}` is read-only: the lock goes to {}", from.display(), written.display()));
    copy(&from.join(FOLDER_NAME), &to, &to.join(FOLDER_NAME))?;
    atomic_file(&written, &user_file::read(lock_file, user_file::DOCUMENT).map_err(Error::io("read", lock_file))?)?;
    Ok(written)
}

/// Copies the files of a folder that may not exist to one beneath `root`.
pub fn copy(from: &Path, root: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(from).map_err(Error::io("read", from))? {
        let entry = entry.map_err(Error::io("read", from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, root, &to)?;
        } else {
            file_beneath(root, &to, &user_file::read(&from, user_file::DOCUMENT).map_err(Error::io("read", &from))?)?;
        }
    }
    Ok(())
}

/// The error of a command that needs a lock where there is none.
pub fn missing(path: &Path, hint: &str) -> Error {
    Error::Lock { place: Place::file(path), what: "there is no lock".into(), hint: hint.into() }
}

/// The lock, which must exist and match the configuration, and the configuration.
pub fn read_fresh(
    session: &Session<'_>,
    lock_file: &Path,
    source: &SourceArgs,
    names: &[String],
) -> Result<(Lock, Config)> {
    let config = source.config(session, names)?;
    config.check_names(names)?;
    let Some(lock) = read(lock_file)? else {
        last_failure::repeat(session, lock_file, &config, names);
        return Err(missing(lock_file, "run `factory resolve` first, or `factory run` for both"));
    };
    let reasons = stale_reasons(&config, &lock, names);
    if !reasons.is_empty() {
        return Err(Error::Stale {
            reasons: reasons.iter().map(ToString::to_string).collect(),
            hint: renewal(&reasons),
        });
    }
    Ok((lock, config))
}

/// What renews a stale lock, and moves nothing that is not stale.
pub fn renewal(reasons: &[StaleReason]) -> String {
    let first = reasons.first().map(StaleReason::workspace).unwrap_or_default();
    // A workspace that the configuration no longer has cannot be named.
    let has_no_name = |reason: &StaleReason| {
        matches!(reason, StaleReason::Removed { .. } | StaleReason::Renamed { .. } | StaleReason::Unclear { .. })
    };
    let is_one = |reason: &StaleReason| reason.workspace() == first && !has_no_name(reason);
    let name = if reasons.iter().all(is_one) { format!(" {first}") } else { String::new() };
    format!("run `factory resolve --keep{name}`, which moves nothing else")
}

/// Why the lock is stale; workspaces that cannot be read are reported on their own.
pub fn stale_reasons(config: &Config, lock: &Lock, names: &[String]) -> Vec<StaleReason> {
    let all = names.is_empty() && config.broken.is_empty();
    let mut requested = configured_pins::of(config, lock);
    requested.workspaces.retain(|workspace| names.is_empty() || names.contains(&workspace.name));
    let mut reasons = stale::reasons(lock, &requested, all);
    name_renamed(&mut reasons, &Renames::of(config, lock));
    reasons
}

/// What only has another name is neither gone nor new.
fn name_renamed(reasons: &mut Vec<StaleReason>, names: &Renames) {
    let is_new_name = |name: &str| names.certain.iter().any(|renamed| renamed.to == name);
    reasons.retain(|reason| !matches!(reason, StaleReason::Added { workspace } if is_new_name(workspace)));
    for reason in reasons {
        let StaleReason::Removed { workspace } = reason else { continue };
        let renamed = names.certain.iter().find(|renamed| renamed.from == *workspace);
        let unclear = names.unclear.iter().find(|(gone, _)| gone == workspace);
        let workspace = workspace.clone();
        if let Some(renamed) = renamed {
            *reason = StaleReason::Renamed { workspace, to: renamed.to.clone() };
        } else if let Some((_, to)) = unclear {
            *reason = StaleReason::Unclear { workspace, to: to.clone() };
        }
    }
}

/// Writes a lock with its new seals and what lies beside it, if there are any, and says so.
pub fn write_sealed(session: &Session<'_>, lock_file: &Path, sealed: &SealedLock) -> Result<()> {
    let Some(news) = sealed.news() else { return Ok(()) };
    sealed.write_companions(&paths::folder_of(lock_file))?;
    write(lock_file, &sealed.lock)?;
    session.ui.note(format!("{}: {news}", lock_file.display()));
    Ok(())
}

/// Writes a lock, when its text changes. One that could not be read again is not written.
pub fn write(lock_file: &Path, lock: &Lock) -> Result<()> {
    let text = lock.to_text();
    if let Err(unreadable) = Lock::from_text(&text, lock_file) {
        return Err(Error::build(
            format!("the lock is not written, since it could not be read again: {unreadable}"),
            "correct what it names in the repository or with a patch; the lock there was is unchanged",
        ));
    }
    if user_file::read_text(lock_file, LIMIT).is_ok_and(|there| there == text) {
        return Ok(());
    }
    atomic_file(lock_file, text.as_bytes())
}
