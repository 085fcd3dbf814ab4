//! Finished builds: a plugin that the lock has sealed, and whose bytes the cache still has, is not built again.
//!
//! They are stored by the digest of their inputs. Nothing is trusted: what is taken out must be what was put in, and what
//! is sealed. What is not there may be in a cache repository, which `cache_repo` lays down here.

use std::fs;
use std::path::{Path, PathBuf};

use super::artefact::{self, Artefact, PackageRecord};
use super::context::{PluginTarget, Shared};
use super::verdict;
use crate::error::{Error, Result};
use crate::lock::{Sha256, Workspace};
use crate::store::{CacheEntry, CacheKind, CheckedEntry, Reading};

/// The `.tgz` in the entry's folder.
pub(super) const ARCHIVE: &str = "package.tgz";
/// The compressed layer.
pub(super) const LAYER: &str = "layer";
/// [`PackageRecord`] as JSON.
const RECORD: &str = "made.json";

/// Where the archive of a finished build is in the folder that the cache has of them, by the digest of its inputs.
pub fn finished_archive(builds: &Path, inputs: Sha256) -> PathBuf {
    builds.join(inputs.hex()).join(ARCHIVE)
}

/// Whether builds of this workspace are of the kind that a seal is about: our own images of pinned sources.
pub(super) fn is_sealable(shared: &Shared, workspace: &Workspace) -> bool {
    let options = &shared.options;
    !workspace.source.local && !options.verify_mode && options.makes_sealed_images()
}

/// Whether finished builds of this workspace are taken in place of new ones.
pub(super) fn are_wanted(shared: &Shared, workspace: &Workspace) -> bool {
    let options = &shared.options;
    // A copy of the patched source is asked for: it has to be made.
    options.reuse_cache && options.source_copy.is_none() && is_sealable(shared, workspace)
}

/// The plugins of a workspace that need not be built, in the order of the lock; their files are written to the output.
/// The inner error is that of a plugin whose package did not pass the checks: built again, it would be the same.
pub(super) fn all(shared: &Shared, workspace: &Workspace) -> Result<Vec<Option<Result<Artefact>>>> {
    let wanted = are_wanted(shared, workspace);
    let one = |plugin| {
        let target = PluginTarget { shared, workspace, plugin };
        if wanted && shared.options.chooses(plugin) { find(target, true) } else { Ok(None) }
    };
    workspace.plugin.iter().map(one).collect()
}

/// The finished build of a sealed plugin. `has_list` is false where its files are not listed beside the lock yet.
pub(super) fn find(target: PluginTarget<'_>, has_list: bool) -> Result<Option<Result<Artefact>>> {
    let PluginTarget { shared, workspace, plugin } = target;
    let Some(sealed) = &plugin.sealed else { return Ok(None) };
    let flag = shared.interrupt.flag();
    let key = target.inputs(sealed.closure).hex();
    let entry = match shared.store.sound_entry(CacheKind::Builds, &key, Reading::All, flag)? {
        CheckedEntry::Sound(entry) => entry,
        CheckedEntry::Missing => return Ok(None),
        CheckedEntry::Damaged(what) => {
            shared.ui.warn(format!("damaged in the cache: {what}; `{}` is built again", plugin.path));
            return Ok(None);
        }
    };
    let facts = entry.path().join(RECORD);
    let bytes = fs::read(&facts).map_err(Error::io("read", &facts))?;
    let found = match serde_json::from_slice::<PackageRecord>(&bytes) {
        Ok(record) => artefact::reuse(target, &record, &entry.path().join(ARCHIVE), &entry.path().join(LAYER))?,
        // Another version of factory kept other facts.
        Err(_) => None,
    };
    match &found {
        // The list of its files, too, must be that of what was built.
        Some(Ok(artefact)) if has_list => verdict::check_sealed(&shared.options, workspace, plugin, artefact)?,
        Some(_) => {}
        None => {
            let what = format!(
                "the cache has another build of `{}` than the one sealed in the lock: it is built again",
                plugin.path
            );
            shared.ui.note(format!("{}: {what}", workspace.name));
        }
    }
    Ok(found)
}

/// Stores what was built. A cache that cannot be written to is only a warning: the plugin is built again next time.
pub(super) fn keep(target: PluginTarget<'_>, artefact: &Artefact) -> Option<CacheEntry> {
    let PluginTarget { shared, workspace, plugin } = target;
    if !is_sealable(shared, workspace) {
        return None;
    }
    let key = target.inputs(artefact.sealed.closure).hex();
    let archive = shared.options.output_dir.join(&artefact.output.tgz);
    match store(shared, &key, &artefact.record, [&archive, &artefact.image.layer_file]) {
        Ok(entry) => Some(entry),
        Err(Error::Interrupted) => None,
        Err(error) => {
            shared.ui.warn(format!("`{}` cannot be stored in the cache: {error}", plugin.path));
            None
        }
    }
}

/// Stores a finished build: a copy of its archive and layer, in that order.
///
/// # Panics
/// Never: what was made has a JSON form.
pub(super) fn store(shared: &Shared, key: &str, record: &PackageRecord, files: [&Path; 2]) -> Result<CacheEntry> {
    let text = serde_json::to_vec(record).expect("what was made is plain data");
    let flag = shared.interrupt.flag();
    let copy = |from: &Path, to: &Path| fs::copy(from, to).map(drop).map_err(Error::io("write", to));
    // What is there was built from the same; it is replaced only by what matches the seal.
    let other = shared.store.find_entry(CacheKind::Builds, key, flag)?;
    if other.is_some_and(|entry| !fs::read(entry.path().join(RECORD)).is_ok_and(|known| known == text)) {
        shared.store.remove_entry(CacheKind::Builds, key, flag)?;
    }
    shared.store.entry(CacheKind::Builds, key, flag, |folder| {
        for (from, name) in files.into_iter().zip([ARCHIVE, LAYER]) {
            copy(from, &folder.join(name))?;
        }
        let facts = folder.join(RECORD);
        fs::write(&facts, &text).map_err(Error::io("write", &facts))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::checks::GlibcVersion;
    use super::super::checks::tests::needs_glibc;
    use super::super::context::BuildOptions;
    use super::super::export::Exported;
    use super::*;
    use crate::image::{Compression, Content, PackageFile, PackageFiles};
    use crate::lock::companions::CompanionPath;
    use crate::lock::{Argument, Lock, Sha256};
    use crate::sandbox::root::Isolation;
    use crate::store::{Store, UntrustedTree};
    use crate::ui::Ui;

    const PLUGIN: usize = 0;

    /// A lock of one workspace with one plugin, which is not sealed.
    fn lock() -> Lock {
        let text = include_str!("../../tests/data/lock/version-1.lock");
        let mut lock = Lock::from_text(text, Path::new("factory.lock")).unwrap();
        let todo = lock.workspace.remove(1);
        lock.workspace = vec![todo];
        lock.workspace[0].input.clear();
        lock.workspace[0].plugin.truncate(1);
        lock.workspace[0].plugin[PLUGIN].sealed = None;
        lock
    }

    fn shared(dir: &Path, lock: Lock, output: &str) -> Shared {
        let (_, interrupt) = crate::interrupt::Interrupt::new();
        let output_dir = dir.join(output);
        fs::create_dir_all(output_dir.join(&lock.workspace[0].name)).unwrap();
        Shared {
            options: BuildOptions {
                config_dir: dir.into(),
                sources_dir: dir.into(),
                lock_dir: dir.into(),
                output_dir,
                plugins: vec![],
                jobs: 1,
                isolation: Isolation::Namespaces,
                offline: true,
                fetch_only: false,
                reuse_cache: true,
                frozen: false,
                verify_mode: false,
                network: crate::store::git::Network::default(),
                local: None,
                source_copy: None,
                timeout: Duration::from_secs(1),
                install_scripts: true,
                target_glibc: GlibcVersion::UBI_9,
                tag_prefixes: BTreeMap::new(),
                paths_in_references: false,
                config_from: None,
                buildah: false,
                compression: Compression::Gzip,
            },
            lock,
            store: Store::open(dir.join("cache")).unwrap(),
            registry: None,
            registries: crate::npm::registry::RegistryAddresses::default(),
            ui: Arc::new(Ui::silent()),
            interrupt,
            layers: std::sync::OnceLock::new(),
            cache_repo: None,
            clis: crate::build::AskedClis::default(),
            watches: crate::build::WatchTurns::default(),
            slots: tokio::sync::Semaphore::new(1),
        }
    }

    fn target(shared: &Shared) -> PluginTarget<'_> {
        let workspace = &shared.lock.workspace[0];
        PluginTarget { shared, workspace, plugin: &workspace.plugin[PLUGIN] }
    }

    fn built(shared: &Shared, closure: &str) -> Artefact {
        built_of(shared, closure, &[("dist/index.cjs.js", b"x")])
    }

    /// Of these files.
    fn built_of(shared: &Shared, closure: &str, files: &[(&str, &[u8])]) -> Artefact {
        let package_json = r#"{"name":"@x/a-dynamic","version":"1.0.0"}"#;
        let entries =
            [&[("package.json", package_json.as_bytes())], files].concat().into_iter().map(|(path, bytes)| {
                PackageFile { path: path.to_owned(), executable: false, content: Content::Bytes(bytes.to_vec()) }
            });
        let exported = Exported {
            folder: PathBuf::new(),
            package_json: package_json.into(),
            name: "@x/a-dynamic".into(),
            version: "1.0.0".into(),
            closure: Some(closure.into()),
        };
        let entries = PackageFiles::new(entries.collect()).unwrap();
        let source = UntrustedTree::open(&shared.options.output_dir, "x").unwrap();
        artefact::pack(target(shared), &source, &exported, &entries, None).unwrap()
    }

    /// The list of the plugin's files, beside the lock.
    fn list_of(shared: &Shared) -> PathBuf {
        let workspace = &shared.lock.workspace[0];
        CompanionPath::files(&workspace.name, &workspace.plugin[PLUGIN].path).below(&shared.options.lock_dir)
    }

    fn keep_list(shared: &Shared, made: &Artefact) {
        let list = list_of(shared);
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        fs::write(list, &made.record.files).unwrap();
    }

    /// Every file below the output folder.
    fn written(shared: &Shared) -> Vec<(PathBuf, Vec<u8>)> {
        let root = &shared.options.output_dir;
        let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push((path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    fn taken(shared: &Shared) -> Option<Artefact> {
        checked(shared).map(Result::unwrap)
    }

    fn checked(shared: &Shared) -> Option<Result<Artefact>> {
        all(shared, &shared.lock.workspace[0]).unwrap().remove(PLUGIN)
    }

    #[test]
    fn what_is_sealed_and_kept_is_laid_down_as_it_was_built() {
        let dir = tempfile::tempdir().unwrap();
        let first = shared(dir.path(), lock(), "first");
        assert!(taken(&first).is_none());
        let made = built(&first, "closure");
        drop(keep(target(&first), &made));
        assert!(taken(&first).is_none(), "it is not sealed");
        keep_list(&first, &made);

        let mut sealed = lock();
        sealed.workspace[0].plugin[PLUGIN].sealed = Some(made.sealed.clone());
        let second = shared(dir.path(), sealed.clone(), "second");
        let again = taken(&second).unwrap();
        assert!(again.reused);
        assert_eq!((&again.output, &again.sealed, &again.files), (&made.output, &made.sealed, &made.files));
        assert_eq!(written(&second), written(&first));
        assert_eq!(written(&second).len(), 7, "archive, integrity, index, layout, three blobs");

        // Asked not to, or for what no seal is about.
        for change in [
            (|options| options.reuse_cache = false) as fn(&mut BuildOptions),
            |options| options.verify_mode = true,
            |options| options.source_copy = Some("x".into()),
            |options| options.compression = Compression::Zstd,
        ] {
            let mut third = shared(dir.path(), sealed.clone(), "third");
            change(&mut third.options);
            assert!(taken(&third).is_none());
            assert_eq!(written(&third), []);
        }

        // A list of files that is not of this build.
        fs::write(list_of(&first), "0 x\n").unwrap();
        let listed = shared(dir.path(), sealed.clone(), "listed");
        let error = all(&listed, &listed.lock.workspace[0]).err().unwrap();
        assert_eq!(error.exit_code(), 3);
        assert!(
            error.to_string().ends_with("/files: is not the list of the files that the lock has sealed"),
            "{error}"
        );

        // Other inputs.
        let mut moved = sealed.clone();
        moved.workspace[0].plugin[PLUGIN].args.push(Argument::new("--embed-package", "x"));
        assert!(taken(&shared(dir.path(), moved, "moved")).is_none());
    }

    #[test]
    fn what_is_kept_and_is_not_what_is_sealed_is_built_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = shared(dir.path(), lock(), "first");
        let made = built(&first, "closure");
        keep_list(&first, &made);
        let keep_it = || drop(keep(target(&first), &made));
        let kept =
            || fs::read_dir(first.store.kind_dir(CacheKind::Builds)).unwrap().map(|it| it.unwrap().path()).next();
        let mut sealed = lock();
        sealed.workspace[0].plugin[PLUGIN].sealed = Some(made.sealed.clone());

        // Each file of it flipped, by a process of its own.
        for name in [ARCHIVE, LAYER, RECORD] {
            keep_it();
            let file = kept().unwrap().join(name);
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&file, bytes).unwrap();
            let damaged = shared(dir.path(), sealed.clone(), "damaged");
            assert!(taken(&damaged).is_none());
            let said = format!("damaged in the cache: `{}` was changed; `plugins/a` is built again", file.display());
            assert_eq!(damaged.ui.warnings(), [said]);
            assert_eq!(written(&damaged), []);
            assert_eq!(kept(), None);
        }

        // Another build from the same inputs is sealed: what is kept stays until that one is there.
        keep_it();
        let entry = kept().unwrap();
        let facts = fs::read(entry.join(RECORD)).unwrap();
        let mut wrong = sealed.clone();
        wrong.workspace[0].plugin[PLUGIN].sealed.as_mut().unwrap().layer = Sha256::of("another");
        let other = shared(dir.path(), wrong, "other");
        assert!(taken(&other).is_none());
        assert_eq!((written(&other), fs::read(entry.join(RECORD)).unwrap()), (vec![], facts));
        assert!(taken(&shared(dir.path(), sealed, "right")).is_some());
        let mut another = built(&first, "closure");
        another.record.timed = Some("x".into());
        drop(keep(target(&first), &another));
        assert_eq!(fs::read(entry.join(RECORD)).unwrap(), serde_json::to_vec(&another.record).unwrap());
    }

    #[test]
    fn what_is_kept_is_checked_again_with_the_options_of_each_run() {
        let dir = tempfile::tempdir().unwrap();
        let first = shared(dir.path(), lock(), "first");
        let library = needs_glibc("GLIBC_2.34");
        let files: [(&str, &[u8]); 2] = [("dist/index.cjs.js", b"require('nowhere/x')"), ("dist/x.node", &library)];
        let made = built_of(&first, "closure", &files);
        drop(keep(target(&first), &made));
        keep_list(&first, &made);
        let mut sealed = lock();
        sealed.workspace[0].plugin[PLUGIN].sealed = Some(made.sealed.clone());

        let said = "`dist/index.cjs.js` requires `nowhere/x`, but `nowhere` is neither in the package nor declared in its \
                    package.json: add `nowhere` to the plugin's `dependencies` with a patch or overlay";
        let second = shared(dir.path(), sealed.clone(), "second");
        assert_eq!(taken(&second).unwrap().warnings, [said]);
        assert_eq!(second.ui.warnings(), [format!("todo plugins/a: {said}")]);

        let mut third = shared(dir.path(), sealed, "third");
        third.options.target_glibc = "2.28".parse().unwrap();
        let error = checked(&third).unwrap().err().unwrap();
        let said = "plugin `plugins/a` of workspace `todo`: `dist/x.node` needs glibc 2.34, and RHDH's has 2.28";
        assert_eq!((error.to_string().as_str(), error.exit_code()), (said, 1));
        let hint = "build on a system with glibc 2.28, such as UBI 9, give `--target-glibc` if RHDH's is newer, or leave \
                    the file out of the package";
        assert_eq!(error.hint().unwrap(), hint);
        assert_eq!(written(&third), []);
    }
}
