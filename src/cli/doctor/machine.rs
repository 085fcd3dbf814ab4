//! The machine: programs, namespaces, cores and memory, folders and disk.

use std::path::{Path, PathBuf};

use super::Check;
use crate::cli::paths;
use crate::cli::session::{self, Session};
use crate::config::Config;
use crate::error::Result;
use crate::sandbox::held_overlay::HeldOverlay;
use crate::sandbox::probe::probe;
use crate::sandbox::root::{Isolation, IsolationChoice};
use crate::store::{Store, can_clone};
use crate::ui::count;

/// A frontend's workspace installs to about this many bytes.
const ROOM: u64 = 5 << 30;

pub(super) async fn checks(session: &Session<'_>, config: Option<&Config>, output: Option<&Path>) -> Vec<Check> {
    let mut checks = programs(config);
    match session.store() {
        Err(error) => checks.push(Check::of_error(&error)),
        Ok(store) => {
            let probed = probe(&store, IsolationChoice::Auto).await;
            let isolation = probed.as_ref().map_or(Isolation::None, |(isolation, _)| *isolation);
            checks.push(namespaces(probed));
            checks.push(layers(&store, isolation));
            checks.push(room("cache", store.dir()));
        }
    }
    checks.push(room("outputs", &paths::output_dir(output)));
    checks.push(Check::good(format!("steps at once: {}, by cores and memory", session::jobs())));
    checks
}

fn namespaces(probed: Result<(Isolation, Option<String>)>) -> Check {
    match probed {
        Err(error) => Check::of_error(&error),
        Ok((_, None)) => Check::good("namespaces: builds are isolated from this machine"),
        Ok((isolation, Some(why))) if isolation != Isolation::None => {
            Check::doubtful(format!("namespaces: {why}"), "allow mounts of /proc in the container's security profile")
        }
        Ok((_, Some(why))) => Check::doubtful(
            format!("namespaces: not available on this machine ({why})"),
            "allow unprivileged user namespaces; builds work without, but see the machine's files",
        ),
    }
}

/// Whether builds see the packages of earlier ones.
fn layers(store: &Store, isolation: Isolation) -> Check {
    let scratch = match store.scratch() {
        Ok(scratch) => scratch,
        Err(error) => return Check::of_error(&error),
    };
    let Err(why) = HeldOverlay::probe(isolation, scratch.path()) else {
        return Check::good("layers: installed packages are kept and shown to later builds (overlayfs)");
    };
    let Err(unclonable) = can_clone(scratch.path(), scratch.path()) else {
        return Check::good("layers: installed packages are kept and cloned for later builds (reflinks)");
    };
    let hint = if isolation == Isolation::None {
        "keep the cache on a file system that can clone files, such as XFS or Btrfs, with `--cache-dir`"
    } else {
        "keep the cache on a file system that overlayfs writes to, such as ext4, or that can clone files, such as XFS, \
         with `--cache-dir`; in a container, on a volume"
    };
    let what = format!("layers: each build installs its packages anew ({why}; nor can files be cloned: {unclonable})");
    Check::doubtful(what, hint)
}

fn programs(config: Option<&Config>) -> Vec<Check> {
    let inputs = config.iter().flat_map(|config| &config.workspaces).flat_map(|workspace| &workspace.inputs);
    let patches = inputs.filter(|input| input.path.starts_with("patches/")).count();
    let ssh = config.iter().flat_map(|config| &config.workspaces).any(|workspace| {
        let repo = workspace.source.repo.as_ref().map(crate::config::Repo::public).unwrap_or_default();
        repo.starts_with("ssh://") || (!repo.contains("://") && repo.contains('@'))
    });
    let mut checks = Vec::new();
    checks.push(match find("patch") {
        Some(path) => Check::good(format!("patch: {}", path.display())),
        None if patches > 0 => Check::bad(
            format!("patch: not found, and the configuration has {}", count(patches, "file") + " in patches/"),
            "install GNU patch",
        ),
        None => Check::doubtful("patch: not found; workspaces with patches need it", "install GNU patch"),
    });
    if ssh {
        checks.push(match find("ssh") {
            Some(path) => Check::good(format!("ssh: {}", path.display())),
            None => Check::bad("ssh: not found, and a repository is reached with it", "install OpenSSH's client"),
        });
    }
    let missing: Vec<&str> = ["python3", "make", "g++"].into_iter().filter(|name| find(name).is_none()).collect();
    checks.push(if missing.is_empty() {
        Check::good("compilers: packages with native code can be built")
    } else {
        Check::doubtful(
            format!("compilers: {} not found; packages with native code may not install", missing.join(", ")),
            "install python3, make and g++ if `yarn install` fails in node-gyp",
        )
    });
    checks
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Whether a folder, or the one it would be made in, can be written to and has room.
fn room(name: &str, folder: &Path) -> Check {
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let shown = folder.display();
    if nix::unistd::access(there, nix::unistd::AccessFlags::W_OK).is_err() {
        return Check::bad(
            format!("{name}: `{shown}` cannot be written to"),
            format!("change its owner, or name another folder with `--{}-dir`", name.trim_end_matches('s')),
        );
    }
    let free = nix::sys::statvfs::statvfs(there).map(|it| it.blocks_available().saturating_mul(it.fragment_size()));
    match free {
        Ok(free) if free < ROOM => Check::doubtful(
            format!("{name}: {} free in {shown}", gigabytes(free)),
            "free some space, `factory cache prune` for the cache; a workspace takes about 5 GB while it is built",
        ),
        Ok(free) => Check::good(format!("{name}: {} free in {shown}", gigabytes(free))),
        Err(_) => Check::good(format!("{name}: {shown}")),
    }
}

/// `12.3 GB`
fn gigabytes(bytes: u64) -> String {
    // Tenths are exact enough for people.
    let tenths = bytes / 100_000_000;
    format!("{}.{} GB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(gigabytes(12_345_678_901), "12.3 GB");
        assert_eq!(gigabytes(1), "0.0 GB");
    }

    #[test]
    fn the_flag_that_moves_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let check = room("outputs", &dir.path().join("a/b"));
        assert!(check.what.starts_with("outputs: "), "{check:?}");
        assert!(check.what.contains("a/b"), "{check:?}");
    }
}
