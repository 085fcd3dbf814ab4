//! The files of a package, as they go into its archives: checked, sorted, nothing but regular files.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::limits::{self, LargeFile, MAX_FILE};
use super::mf_types;
use crate::store::{open_unlinked, real_path};
use crate::{Error, Result};

/// One file of a package.
#[derive(Clone, Debug)]
pub struct PackageFile {
    /// From the package's root, `/` between the segments.
    pub path: String,
    /// Written as mode 0755 instead of 0644.
    pub executable: bool,
    /// Its bytes.
    pub content: Content,
}

impl PackageFile {
    /// Its bytes, if it is what was selected: a regular file of that length.
    pub fn read(&self) -> Result<Cow<'_, [u8]>> {
        let (path, len) = match &self.content {
            Content::Bytes(bytes) => return Ok(Cow::Borrowed(bytes)),
            Content::File(path, len) => (path, *len),
        };
        let io = || Error::io("read", path);
        // Something else may be there by now; a FIFO is not waited for.
        let file = open_unlinked(path).map_err(io())?;
        let is_regular = file.metadata().map_err(io())?.is_file();
        let mut bytes = Vec::new();
        if is_regular {
            file.take(len.saturating_add(1)).read_to_end(&mut bytes).map_err(io())?;
        }
        if !is_regular || bytes.len() as u64 != len {
            return Err(Error::build(
                format!("`{}` changed while it was read", self.path),
                "something still writes to the package: let it finish, then build again",
            ));
        }
        Ok(Cow::Owned(bytes))
    }
}

/// Where the bytes of an entry are.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file on disk and its length in bytes; packing fails if it has changed since.
    File(PathBuf, u64),
    /// Bytes that replace what is on disk.
    Bytes(Vec<u8>),
}

impl Content {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::File(_, len) => *len,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// True for an empty file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Entries that can be packed: sorted by the raw bytes of their paths, without duplicates, and none of them
/// points outside the package.
#[derive(Clone, Debug)]
pub struct PackageFiles(Vec<PackageFile>);

impl PackageFiles {
    /// Sorts the entries and refuses, by name: absolute paths, `..`, `.` or empty segments, NUL, two entries of one
    /// path, and a path that is a file here and a folder there.
    pub fn new(mut entries: Vec<PackageFile>) -> Result<Self> {
        for entry in &entries {
            check_path(&entry.path)?;
        }
        entries.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(refused(&pair[0].path, "is in the package twice"));
        }
        let folders: HashSet<&str> = entries.iter().flat_map(|entry| folders(&entry.path)).collect();
        if let Some(entry) = entries.iter().find(|entry| folders.contains(entry.path.as_str())) {
            return Err(refused(&entry.path, "is a file and a folder at once"));
        }
        Ok(Self(entries))
    }

    /// Reads what `npm pack` selected: `files` are paths from `root` with their executable bit.
    ///
    /// Symbolic links that end at a regular file inside `root` are followed; other links, and whatever is not a
    /// regular file, are refused by name, since the installers drop them without a word. `@mf-types.zip` is
    /// rewritten with fixed times ([`mf_types::normalise`]).
    pub fn select<P: Into<String>>(root: &Path, files: impl IntoIterator<Item = (P, bool)>) -> Result<Self> {
        let root = real_path(root).map_err(Error::io("read", root))?;
        let mut entries = Vec::new();
        for (path, executable) in files {
            let path = path.into();
            check_path(&path)?;
            let on_disk = regular_file(&root, &path)?;
            let content = content(&path, on_disk)?;
            entries.push(PackageFile { path, executable, content });
        }
        Self::new(entries)
    }

    /// The entries, sorted.
    pub fn entries(&self) -> &[PackageFile] {
        &self.0
    }

    /// Refuses a package no RHDH can install; returns the files that RHDH 1.9 and older refuse.
    pub fn check_limits(&self) -> Result<Vec<LargeFile>> {
        limits::check(self.0.iter().map(|file| (file.path.as_str(), file.content.len())))
    }

    /// The bytes of one entry, if the package has it.
    pub fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>> {
        let Ok(index) = self.0.binary_search_by(|entry| entry.path.as_bytes().cmp(path.as_bytes())) else {
            return Ok(None);
        };
        self.0[index].read().map(Some)
    }
}

/// The folders above a path, outermost first: `a/b/c` → `a`, `a/b`.
pub(super) fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn check_path(path: &str) -> Result<()> {
    let what = if path.contains('\0') {
        "has a NUL in its name"
    } else if path.starts_with('/') {
        "is an absolute path"
    } else if path.split('/').any(|segment| segment == "..") {
        "points outside the package"
    } else if path.split('/').any(|segment| segment.is_empty() || segment == ".") {
        "has an empty or `.` segment"
    } else {
        return Ok(());
    };
    Err(refused(path, what))
}

/// The canonical path of a regular file inside `root`, which is canonical itself, and its length.
fn regular_file(root: &Path, path: &str) -> Result<(PathBuf, u64)> {
    let named = root.join(path);
    let meta = fs::symlink_metadata(&named).map_err(Error::io("read", &named))?;
    let Ok(real) = real_path(&named) else {
        return Err(refused(path, "is a symbolic link to nothing"));
    };
    if !real.starts_with(root) {
        return Err(refused(path, "is a symbolic link to something outside the package"));
    }
    let target = fs::symlink_metadata(&real).map_err(Error::io("read", &real))?;
    if target.is_file() {
        return Ok((real, target.len()));
    }
    Err(refused(
        path,
        if meta.is_symlink() {
            "is a symbolic link to something that is not a regular file"
        } else {
            "is not a regular file"
        },
    ))
}

fn content(path: &str, (on_disk, len): (PathBuf, u64)) -> Result<Content> {
    if !mf_types::is_named(path) || len > MAX_FILE {
        return Ok(Content::File(on_disk, len));
    }
    let mut bytes = Vec::new();
    let file = open_unlinked(&on_disk).map_err(Error::io("read", &on_disk))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(Error::io("read", &on_disk))?;
    Ok(Content::Bytes(mf_types::normalise(bytes)))
}

fn refused(path: &str, what: &str) -> Error {
    Error::build(
        format!("`{}` {what}", path.escape_debug()),
        "RHDH's installers take regular files with plain relative paths only: leave it out of the package's `files`",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn entry(path: &str) -> PackageFile {
        PackageFile { path: path.to_owned(), executable: false, content: Content::Bytes(vec![]) }
    }

    fn paths(set: &PackageFiles) -> Vec<&str> {
        set.entries().iter().map(|entry| entry.path.as_str()).collect()
    }

    #[test]
    fn entries_are_sorted_by_raw_bytes() {
        let set = ["é", "b", "a/b", "a-b", "Z", "a.b"].map(entry).to_vec();
        assert_eq!(paths(&PackageFiles::new(set).unwrap()), ["Z", "a-b", "a.b", "a/b", "b", "é"]);
    }

    #[test]
    fn paths_that_leave_the_package_or_are_no_plain_paths_are_refused_by_name() {
        for (path, why) in [
            ("/etc/passwd", "is an absolute path"),
            ("a/../../b", "points outside the package"),
            ("..", "points outside the package"),
            ("./a", "has an empty or `.` segment"),
            ("a//b", "has an empty or `.` segment"),
            ("a/", "has an empty or `.` segment"),
            ("", "has an empty or `.` segment"),
            ("a\0b", "has a NUL in its name"),
        ] {
            let error = PackageFiles::new(vec![entry("ok"), entry(path)]).unwrap_err();
            assert_eq!(error.to_string(), format!("`{}` {why}", path.escape_debug()));
            assert_eq!(error.exit_code(), 1);
        }
        let twice = PackageFiles::new(vec![entry("a"), entry("b"), entry("a")]).unwrap_err();
        assert_eq!(twice.to_string(), "`a` is in the package twice");
        let both = PackageFiles::new(vec![entry("a"), entry("a-b"), entry("a/b/c")]).unwrap_err();
        assert_eq!(both.to_string(), "`a` is a file and a folder at once");
        let deep = PackageFiles::new(vec![entry("a/b"), entry("a/b/c")]).unwrap_err();
        assert_eq!(deep.to_string(), "`a/b` is a file and a folder at once");
    }

    #[test]
    fn links_inside_the_package_are_followed_and_all_others_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("package");
        fs::create_dir_all(root.join("dist")).unwrap();
        fs::write(root.join("dist/real.js"), "real").unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        symlink("real.js", root.join("dist/inside.js")).unwrap();
        symlink("../../secret", root.join("dist/outside.js")).unwrap();
        symlink("nowhere", root.join("dist/dangling.js")).unwrap();
        symlink("loop.js", root.join("dist/loop.js")).unwrap();
        symlink("dist", root.join("folder")).unwrap();

        let set = PackageFiles::select(&root, [("dist/inside.js", true), ("dist/real.js", false)]).unwrap();
        assert_eq!(paths(&set), ["dist/inside.js", "dist/real.js"]);
        assert!(set.entries()[0].executable && !set.entries()[1].executable);
        assert_eq!(set.read("dist/inside.js").unwrap().unwrap().as_ref(), b"real");
        assert!(set.read("dist/none.js").unwrap().is_none());

        for (path, why) in [
            ("dist/outside.js", "is a symbolic link to something outside the package"),
            ("dist/dangling.js", "is a symbolic link to nothing"),
            ("dist/loop.js", "is a symbolic link to nothing"),
            ("folder", "is a symbolic link to something that is not a regular file"),
            ("dist", "is not a regular file"),
            ("../secret", "points outside the package"),
        ] {
            let error = PackageFiles::select(&root, [(path, false)]).unwrap_err();
            assert_eq!(error.to_string(), format!("`{path}` {why}"));
        }
        let missing = PackageFiles::select(&root, [("none", false)]).unwrap_err();
        assert!(matches!(missing, Error::Io { .. }), "{missing}");
    }

    #[test]
    fn a_fifo_is_refused_without_being_opened() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let error = PackageFiles::select(dir.path(), [("pipe", false)]).unwrap_err();
        assert_eq!(error.to_string(), "`pipe` is not a regular file");
    }

    #[test]
    fn only_an_archive_of_types_that_is_not_too_large_is_read_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("@mf-types.zip");
        fs::write(&file, "no zip").unwrap();
        let read = |path: &str, len: u64| match content(path, (file.clone(), len)).unwrap() {
            Content::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            Content::File(on_disk, len) => format!("{} bytes of {}", len, on_disk.file_name().unwrap().display()),
        };
        assert_eq!(read("dist/@mf-types.zip", 6), "no zip");
        assert_eq!(read("dist/@mf-types.zip", MAX_FILE), "no zip");
        let large = MAX_FILE + 1;
        assert_eq!(read("dist/@mf-types.zip", large), format!("{large} bytes of @mf-types.zip"));
        assert_eq!(read("dist/index.js", 6), "6 bytes of @mf-types.zip");
    }

    #[test]
    fn an_archive_that_grows_is_read_up_to_where_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("@mf-types.zip");
        fs::File::create(&file).unwrap().set_len(MAX_FILE + 3).unwrap();
        let grown = content("@mf-types.zip", (file, 6)).unwrap();
        let Content::Bytes(bytes) = &grown else { panic!("{grown:?}") };
        assert_eq!(bytes.len() as u64, MAX_FILE + 1);
        let files = vec![PackageFile { path: "@mf-types.zip".to_owned(), executable: false, content: grown }];
        let error = PackageFiles::new(files).unwrap().check_limits().unwrap_err();
        let refused = "`@mf-types.zip` is 40000001 bytes, and RHDH refuses files over 40000000 bytes";
        assert_eq!(error.to_string(), refused);
    }

    #[test]
    fn a_file_that_is_another_by_the_time_it_is_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.js");
        fs::write(&file, "four").unwrap();
        let set = PackageFiles::select(dir.path(), [("a.js", false)]).unwrap();
        assert_eq!(set.read("a.js").unwrap().unwrap().as_ref(), b"four");
        let read = || set.entries()[0].read().map(drop).unwrap_err().to_string();
        fs::write(&file, "longer").unwrap();
        assert_eq!(read(), "`a.js` changed while it was read");
        fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(read(), "`a.js` changed while it was read");
        fs::remove_file(&file).unwrap();
        symlink("/etc/passwd", &file).unwrap();
        let error = read();
        assert!(
            error.starts_with("cannot read `") && error.contains("/a.js`: Too many levels of symbolic links"),
            "{error}"
        );
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        assert!(Content::Bytes(Vec::new()).is_empty() && Content::File("a".into(), 0).is_empty());
        assert!(!Content::Bytes(vec![0]).is_empty() && !Content::File("a".into(), 1).is_empty());
    }
}
