use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Plants {
    dir: tempfile::TempDir,
    tree: UntrustedTree,
}

/// Every plant in a tree, and a victim outside.
fn plants() -> Plants {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tree");
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::write(root.join("file"), "good").unwrap();
    fs::create_dir(dir.path().join("host")).unwrap();
    fs::write(dir.path().join("host/secret"), "secret").unwrap();
    symlink("../host/secret", root.join("out")).unwrap();
    symlink(dir.path().join("host/secret"), root.join("absolute")).unwrap();
    symlink("/dev/zero", root.join("zero")).unwrap();
    symlink("/dev/tty", root.join("tty")).unwrap();
    symlink("../host", root.join("outer")).unwrap();
    symlink("file", root.join("inner")).unwrap();
    symlink("gone", root.join("dangling")).unwrap();
    nix::unistd::mkfifo(&root.join("fifo"), Mode::S_IRWXU).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    File::create(root.join("sparse")).unwrap().set_len(1 << 40).unwrap();
    let tree = UntrustedTree::open(&root, "todo").unwrap();
    Plants { dir, tree }
}

fn said<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    error.to_string()
}

const READS: &str = "factory reads only regular files that a build left";
const WRITES: &str = "factory writes only where there is none in the way";

#[test]
fn only_regular_files_of_the_tree_are_read() {
    let Plants { tree, dir } = plants();
    assert_eq!(tree.read(Path::new("file"), 4).unwrap(), b"good");
    for path in ["none", "folder/none"] {
        let Err(Error::Io { source, .. }) = tree.read(Path::new(path), 4) else { panic!("{path}") };
        assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    }
    let link = "is a symbolic link";
    for (path, at, what) in [
        ("out", "out", link),
        ("absolute", "absolute", link),
        ("zero", "zero", link),
        ("tty", "tty", link),
        ("inner", "inner", link),
        ("dangling", "dangling", link),
        ("outer/secret", "outer", link),
        ("file/below", "file", "is a file"),
        ("folder", "folder", "is a folder"),
        ("fifo", "fifo", "is a FIFO, a socket or a device"),
        ("socket", "socket", "is a FIFO, a socket or a device"),
    ] {
        assert_eq!(said(tree.read(Path::new(path), 1 << 20)), format!("todo: `{at}` {what}; {READS}"));
    }
    for (path, limit) in [("sparse", 1 << 20), ("file", 3)] {
        let large = format!("todo: `{path}` is larger than {limit} bytes, which is the most that factory reads of it");
        assert_eq!(said(tree.read(Path::new(path), limit)), large);
    }
    for path in ["../host/secret", "/etc/passwd", "folder/../../host/secret"] {
        assert_eq!(said(tree.read(Path::new(path), 9)), format!("todo: `{path}` leads out of its folder"));
    }
    drop(dir);
}

#[test]
fn links_are_followed_as_far_as_they_stay_in_the_tree_where_that_is_asked_for() {
    let Plants { tree, dir } = plants();
    assert_eq!(tree.find_linked(Path::new("inner"), 4).unwrap().unwrap(), b"good");
    for path in ["none", "dangling"] {
        assert_eq!(tree.find_linked(Path::new(path), 4).unwrap(), None);
    }
    for path in ["out", "absolute", "zero", "outer/secret"] {
        let out = format!("todo: `{path}` is a symbolic link that leads out of the source");
        assert_eq!(said(tree.find_linked(Path::new(path), 9)), out);
    }
    let fifo = said(tree.find_linked(Path::new("fifo"), 9));
    assert_eq!(fifo, format!("todo: `fifo` is a FIFO, a socket or a device; {READS}"));
    assert_eq!(said(tree.folder(Path::new("outer"))), "todo: `outer` is a symbolic link that leads out of the source");
    drop(dir);
}

#[test]
fn nothing_is_written_through_a_link() {
    let Plants { tree, dir } = plants();
    for path in ["out", "absolute", "dangling", "fifo", "file", "new/deep/file"] {
        tree.write(Path::new(path), b"ours", 0o640).unwrap();
        let written = tree.path.join(path);
        assert_eq!(fs::read(&written).unwrap(), b"ours");
        let meta = written.symlink_metadata().unwrap();
        assert!(meta.is_file() && meta.permissions().mode() & 0o7777 == 0o640, "{path}");
    }
    for (path, at, what) in [
        ("outer/secret", "outer", "is a symbolic link"),
        ("outer/new/file", "outer", "is a symbolic link"),
        ("file/below", "file", "is a file"),
        ("folder", "folder", "is a folder"),
    ] {
        let refused = said(tree.write(Path::new(path), b"ours", 0o644));
        assert_eq!(refused, format!("todo: `{at}` {what}; {WRITES}"));
    }
    assert_eq!(said(tree.make_folder(Path::new("../made"))), "todo: `../made` leads out of its folder");
    assert_eq!(said(tree.remove(Path::new("outer/secret"))), format!("todo: `outer` is a symbolic link; {READS}"));
    tree.remove(Path::new("zero")).unwrap();
    assert_eq!(fs::read(dir.path().join("host/secret")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(dir.path().join("host")).unwrap().count(), 1);
}

#[test]
fn what_lies_in_a_folder_is_said_without_following_it() {
    let Plants { tree, dir } = plants();
    let kinds = tree.entries(Path::new("")).unwrap();
    for (name, kind) in
        [("file", LeftKind::File), ("folder", LeftKind::Folder), ("outer", LeftKind::Link), ("fifo", LeftKind::Special)]
    {
        assert!(kinds.contains(&(name.to_owned(), kind)), "{kinds:?}");
        assert_eq!(tree.kind(Path::new(name)), Some(kind));
    }
    assert_eq!(tree.kind(Path::new("outer/secret")), None);
    assert_eq!(said(tree.entries(Path::new("outer"))), format!("todo: `outer` is a symbolic link; {READS}"));
    drop(dir);
}

#[test]
fn a_kernel_without_openat2_gives_the_same() {
    let Plants { tree, dir } = plants();
    let root = tree.root.as_fd();
    assert!(walk(root, Path::new("file"), READ).is_ok() && walk(root, Path::new("folder"), LIST).is_ok());
    assert!(walk(root, Path::new("."), LIST).is_ok() && walk(root, Path::new("./folder"), FOLDER).is_ok());
    for path in ["out", "absolute", "inner", "outer/secret", "../host/secret", "/etc/passwd", "none"] {
        assert!(walk(root, Path::new(path), READ).is_err(), "{path}");
    }
    drop(dir);
}
