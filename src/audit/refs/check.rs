//! The faults of references: of each alone, of those that meet, and of the lock's plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::asked::{AskedImages, ImageAnswer};
use super::entry::{RefEntry, RefTarget};
use super::integrity::RefIntegrity;
use super::listed::{RefFile, RefFileKind};
use super::report::{FORMAT, RefFault, RefFaultKind, RefsReport};
use super::sealed;
use crate::image::{FoundImage, ImagePin, ImageReference};
use crate::lock::Lock;
use crate::ui::some_names;

/// What references are held against.
pub struct RefRules<'a> {
    /// The lock and what it is called.
    pub lock: Option<(&'a str, &'a Lock)>,
    /// Whether a tag is a fault.
    pub require_digest: bool,
    /// What registries said; none where they are not asked.
    pub asked: Option<&'a AskedImages>,
}

/// Holds all references against the rules.
pub fn check(files: &[RefFile], rules: &RefRules<'_>) -> RefsReport {
    let entries = files.iter().flat_map(|file| file.refs.iter().map(move |listed| RefEntry::new(file, listed)));
    let mut found = FoundFaults { entries: entries.collect(), faults: Vec::new(), rules };
    for file in files {
        let none = |line: &usize| RefFault {
            file: file.path.display().to_string(),
            line: Some(*line),
            reference: None,
            fault: RefFaultKind::NoReference,
            message: "an entry without `package`".to_owned(),
        };
        found.faults.extend(file.empty.iter().map(none));
    }
    for entry in &found.entries {
        if let Some(text) = &entry.listed.no_truth {
            let what = format!("has `disabled: {}`, which is neither `true` nor `false`", text.escape_debug());
            found.faults.push(entry.fault(RefFaultKind::Malformed, what));
        }
    }
    found.inherit();
    for at in 0..found.entries.len() {
        found.image(at);
        found.checksum(at);
    }
    found.twice();
    found.overwritten();
    let mut faults = found.faults;
    let place = |fault: &RefFault| {
        let file = files.iter().position(|file| file.path.display().to_string() == fault.file);
        (file.unwrap_or(files.len()), fault.line)
    };
    if let Some((name, lock)) = rules.lock {
        faults.extend(sealed::faults(&found.entries, name, lock, rules.asked));
    }
    faults.sort_by_key(place);
    let references = found.entries.iter().map(|entry| entry.checked(rules.asked.is_none()));
    RefsReport {
        version: FORMAT,
        files: files.iter().map(|file| file.path.display().to_string()).collect(),
        lock: rules.lock.map(|(name, _)| name.to_owned()),
        offline: rules.asked.is_none(),
        references: references.collect(),
        not_read: not_read(files),
        faults,
    }
}

/// The entries, and what was found.
struct FoundFaults<'a> {
    entries: Vec<RefEntry<'a>>,
    faults: Vec<RefFault>,
    rules: &'a RefRules<'a>,
}

impl FoundFaults<'_> {
    /// Finds what `{{inherit}}` stands for.
    fn inherit(&mut self) {
        for at in 0..self.entries.len() {
            let entry = &self.entries[at];
            let Some(image) = entry.target.image().filter(|image| image.pin == ImagePin::Inherited) else { continue };
            let is_base = |other: &&RefEntry<'_>| {
                let same = |base: &ImageReference| {
                    let any_path = base.path.is_none() || image.path.is_none();
                    base.image() == image.image() && (any_path || base.path == image.path)
                };
                other.file.path != entry.file.path
                    && other.file.kind == entry.file.kind
                    && other.key.is_some()
                    && other.target.image().is_some_and(same)
            };
            match self.entries.iter().find(is_base) {
                Some(base) => {
                    let (key, digest, path) = (base.key.clone(), base.digest, base.path.clone());
                    let entry = &mut self.entries[at];
                    (entry.key, entry.digest) = (key, digest);
                    entry.path = entry.path.take().or(path);
                }
                None => self.faults.push(entry.fault(
                    RefFaultKind::NothingToInherit,
                    "inherits its version, and no other of the files has this image: name the list that is included",
                )),
            }
        }
    }

    /// What is wrong with one image.
    fn image(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        let reference = match &entry.target {
            RefTarget::Unknown(why) => {
                self.faults.push(entry.fault(RefFaultKind::Malformed, why.as_str()));
                return;
            }
            RefTarget::Image(reference) => reference.clone(),
            _ => return,
        };
        if let ImagePin::Tag(tag) = &reference.pin
            && self.rules.require_digest
        {
            let what = format!("is pinned by the tag `{tag}`, which can be moved, and not by a digest");
            self.faults.push(entry.fault(RefFaultKind::NotPinned, what));
        }
        let Some(key) = entry.key.clone() else { return };
        let (image, folders) = match self.rules.asked.and_then(|asked| asked.get(&key)) {
            // That it cannot be asked for is the fault of the entry which it inherits from.
            Some(ImageAnswer::Missing | ImageAnswer::Unreadable(_) | ImageAnswer::Unanswered(_))
                if reference.pin == ImagePin::Inherited =>
            {
                return;
            }
            Some(ImageAnswer::Found { image, folders, .. }) => (image, folders),
            Some(ImageAnswer::Missing) => {
                self.faults.push(entry.fault(RefFaultKind::Missing, "is not in the registry"));
                return;
            }
            Some(ImageAnswer::Unreadable(why)) => {
                self.faults.push(entry.fault(RefFaultKind::Unreadable, why.as_str()));
                return;
            }
            Some(ImageAnswer::Unanswered(why)) => {
                self.faults.push(entry.fault(RefFaultKind::Unanswered, format!("could not be asked for: {why}")));
                return;
            }
            None => return,
        };
        if let Some(digest) = entry.digest.filter(|digest| *digest != image.digest) {
            let what = format!("is answered with another image, {} in place of {digest}", image.digest);
            self.faults.push(entry.fault(RefFaultKind::OtherDigest, what));
        }
        entry.digest = Some(image.digest);
        match plugin_path(image, reference.path.as_deref()) {
            Ok(path) => entry.path = path,
            Err((kind, what)) => self.faults.push(entry.fault(kind, what)),
        }
        if let Some(what) = folders.as_ref().and_then(|folders| other_folders(image, entry.path.as_deref(), folders)) {
            self.faults.push(entry.fault(RefFaultKind::OtherFolders, what));
        }
    }

    /// What is wrong with the checksum of an archive.
    fn checksum(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        let is_archive = matches!(entry.target, RefTarget::Archive(_) | RefTarget::Url(_) | RefTarget::Package(_));
        if !is_archive || entry.file.kind != RefFileKind::List {
            return;
        }
        let Some((line, text)) = &entry.listed.integrity else {
            self.faults.push(entry.fault(RefFaultKind::NoIntegrity, "has no `integrity`"));
            return;
        };
        let at_line = |fault: RefFault| RefFault { line: Some(*line), ..fault };
        let Some(integrity) = RefIntegrity::parse(text) else {
            let what = format!(
                "has the integrity `{}`, which is not `sha256-`, `sha384-` or `sha512-` and base64 of that length",
                text.escape_debug()
            );
            self.faults.push(at_line(entry.fault(RefFaultKind::BadIntegrity, what)));
            return;
        };
        if matches!(entry.target, RefTarget::Archive(_)) {
            match integrity.of_file(&entry.local()) {
                Ok(own) if own != integrity => {
                    let what = format!("has the integrity `{integrity}`, and the file has `{own}`");
                    self.faults.push(at_line(entry.fault(RefFaultKind::OtherIntegrity, what)));
                }
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    self.faults.push(entry.fault(RefFaultKind::Unreadable, format!("cannot be read: {error}")));
                }
                _ => {}
            }
        }
        entry.integrity = Some(integrity);
    }

    /// Plugins that are in one list twice, which the installers refuse.
    fn twice(&mut self) {
        let mut seen: BTreeMap<(&Path, String), &RefEntry<'_>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.file.kind == RefFileKind::List) {
            let first = *seen.entry((&entry.file.path, entry.plugin())).or_insert(entry);
            if !std::ptr::eq(first, entry) {
                let what = format!("is in this list twice: `{}` in line {}", first.listed.shown(), first.listed.line);
                self.faults.push(entry.fault(RefFaultKind::ListedTwice, what));
            }
        }
    }

    /// Plugins of different images that are installed into one folder: the last one is there in the end.
    fn overwritten(&mut self) {
        let included: BTreeSet<&str> =
            self.entries.iter().flat_map(|entry| &entry.file.includes).filter_map(|name| file_name(name)).collect();
        let is_base = |entry: &RefEntry<'_>| {
            let name = entry.file.path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| included.contains(name))
        };
        // What a list says of a plugin holds over the lists that it includes.
        let mut last: BTreeMap<(RefFileKind, String), &RefEntry<'_>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.path.is_some()) {
            let place = last.entry((entry.file.kind, entry.plugin())).or_insert(entry);
            if is_base(place) || !is_base(entry) {
                *place = entry;
            }
        }
        let mut folders: BTreeMap<(RefFileKind, &str), &RefEntry<'_>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| !entry.listed.disabled) {
            let Some(path) = entry.path.as_deref() else { continue };
            let is_last = last.get(&(entry.file.kind, entry.plugin())).is_some_and(|last| std::ptr::eq(*last, entry));
            if !is_last {
                continue;
            }
            let first = *folders.entry((entry.file.kind, path)).or_insert(entry);
            if !std::ptr::eq(first, entry) {
                let (text, place) = (first.listed.shown(), first.place());
                let what = format!("is installed into `{path}`, over `{text}` of {place}");
                self.faults.push(entry.fault(RefFaultKind::SamePath, what));
            }
        }
    }
}

/// The lists that are included and are none of the files.
fn not_read(files: &[RefFile]) -> Vec<String> {
    let is_read = |name: &&String| {
        let own = file_name(name);
        files.iter().any(|file| own.is_some() && file.path.file_name().and_then(|name| name.to_str()) == own)
    };
    let names: BTreeSet<&String> = files.iter().flat_map(|file| &file.includes).filter(|name| !is_read(name)).collect();
    names.into_iter().cloned().collect()
}

fn file_name(path: &str) -> Option<&str> {
    path.rsplit('/').next().filter(|name| !name.is_empty())
}

/// The folder that a plugin of an image is installed into; none if that is not known.
fn plugin_path(image: &FoundImage, asked: Option<&str>) -> Result<Option<String>, (RefFaultKind, String)> {
    let names = |packages: &[String]| some_names(packages.iter());
    match (image.packages.as_deref(), asked) {
        (Some(packages), Some(path)) if !packages.iter().any(|known| known == path) => {
            let what = format!("has no plugin `{path}` by its annotation, which names {}", names(packages));
            Err((RefFaultKind::NoSuchPlugin, what))
        }
        (_, Some(path)) => Ok(Some(path.to_owned())),
        (Some([only]), None) => Ok(Some(only.clone())),
        (Some([]) | None, None) => {
            Err((RefFaultKind::PathNeeded, "does not say which plugins it has: `!<plugin>` is needed behind it".into()))
        }
        (Some(several), None) => {
            let what = format!("has several plugins, {}: `!<plugin>` is needed behind it", names(several));
            Err((RefFaultKind::PathNeeded, what))
        }
    }
}

/// How the folders of a layer differ from what the annotation names and what is asked for.
fn other_folders(image: &FoundImage, path: Option<&str>, folders: &Result<BTreeSet<String>, String>) -> Option<String> {
    let folders = match folders {
        Ok(folders) => folders,
        Err(why) => return Some(why.clone()),
    };
    let wanted = image.packages.iter().flatten().map(String::as_str).chain(path);
    let missing: BTreeSet<&str> = wanted.filter(|path| !folders.contains(*path)).collect();
    let has = if folders.is_empty() { "none".to_owned() } else { some_names(folders.iter()) };
    (!missing.is_empty()).then(|| format!("has no folder {} in its layer, which has {has}", some_names(missing.iter())))
}
