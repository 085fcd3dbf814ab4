//! A file that a merge left unmerged: git's index has what each side has of it, whatever is in the work tree.

use std::path::Path;

use gix::index::entry::Stage;

use super::git_revision;

/// The largest index that is read: that of a hundred thousand files has a tenth of it.
const LARGEST_INDEX: u64 = 128 << 20;

/// What the sides of a merge have of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmergedFile {
    /// What both began with; none where both added it.
    pub base: Option<String>,
    /// That of the branch that is checked out.
    pub ours: String,
    /// That of the branch that is merged.
    pub theirs: String,
}

/// The sides of a file that is unmerged in the repository it lies in, each of at most `limit` bytes. None for any other
/// file: outside a repository, merged, or removed by a side.
pub fn unmerged(path: &Path, limit: u64) -> Option<UnmergedFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().ok()?;
    let repo = git_revision::discover(&folder)?;
    let below = folder.strip_prefix(repo.workdir()?.canonicalize().ok()?).ok()?.join(path.file_name()?);
    if repo.index_path().metadata().ok()?.len() > LARGEST_INDEX {
        return None;
    }
    let index = repo.open_index().ok()?;
    let side = |stage| {
        let id = index.entry_by_path_and_stage(below.to_str()?.into(), stage)?.id;
        let is_small = repo.find_header(id).ok()?.size() <= limit;
        String::from_utf8(is_small.then(|| repo.find_blob(id).ok())??.take_data()).ok()
    };
    Some(UnmergedFile { base: side(Stage::Base), ours: side(Stage::Ours)?, theirs: side(Stage::Theirs)? })
}
