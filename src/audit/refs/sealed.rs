//! The plugins of a lock among the references: each is there, and is what the lock has sealed.

use super::asked::{AskedImages, ImageAnswer};
use super::entry::{RefEntry, RefTarget};
use super::report::{RefFault, RefFaultKind};
use crate::build::artefact::archive_of;
use crate::image::{ImageName, ImagePath};
use crate::lock::{Lock, Plugin, Sealed};

/// What is wrong with the references to the plugins of a lock, which is called `name`.
pub(super) fn faults(entries: &[RefEntry<'_>], name: &str, lock: &Lock, asked: Option<&AskedImages>) -> Vec<RefFault> {
    let mut faults = Vec::new();
    for workspace in &lock.workspace {
        for plugin in &workspace.plugin {
            let label = format!("`{}` of workspace `{}`", plugin.path, workspace.name);
            let names = PluginNames::of(plugin);
            let mut is_there = false;
            for entry in entries.iter().filter(|entry| names.are_of(entry, plugin)) {
                is_there = true;
                let sealed = plugin.sealed.as_ref().filter(|_| !workspace.source.local);
                let other = sealed.and_then(|sealed| other(entry, sealed, asked));
                faults.extend(other.map(|what| entry.fault(RefFaultKind::NotSealed, format!("{what} for {label}"))));
            }
            if !is_there {
                faults.push(RefFault {
                    file: name.to_owned(),
                    line: None,
                    reference: None,
                    fault: RefFaultKind::NotListed,
                    message: format!("{label} (`{}` {}) is in none of the files", plugin.name, plugin.version),
                });
            }
        }
    }
    faults
}

/// What a plugin is called where it is referred to.
struct PluginNames {
    image: Option<ImageName>,
    path: Option<ImagePath>,
    archive: String,
    package: String,
}

impl PluginNames {
    fn of(plugin: &Plugin) -> Self {
        let package = format!("{}-dynamic", plugin.name);
        Self {
            image: ImageName::of_package(&plugin.name).ok(),
            path: ImagePath::of_package(&package).ok(),
            archive: archive_of(plugin),
            package,
        }
    }

    fn are_of(&self, entry: &RefEntry<'_>, plugin: &Plugin) -> bool {
        let is_sealed = || {
            let sealed = plugin.sealed.as_ref().map(|sealed| sealed.tgz.to_string());
            sealed.is_some() && entry.integrity.as_ref().map(ToString::to_string) == sealed
        };
        match &entry.target {
            RefTarget::Image(image) => {
                let path = self.path.as_ref().map(ImagePath::as_str);
                let is_path = path.is_some() && entry.path.as_deref() == path;
                is_path || self.image.as_ref().is_some_and(|name| name.as_str() == image.name())
            }
            RefTarget::Archive(file) | RefTarget::Url(file) => *file == self.archive || is_sealed(),
            RefTarget::Package(name) => *name == self.package,
            RefTarget::Folder | RefTarget::Unknown(_) => false,
        }
    }
}

/// How a reference differs from what is sealed; none if it does not, or if that is not known.
fn other(entry: &RefEntry<'_>, sealed: &Sealed, asked: Option<&AskedImages>) -> Option<String> {
    if let Some(integrity) = entry.integrity.as_ref().filter(|integrity| integrity.contradicts(sealed.tgz)) {
        return Some(format!("has the integrity `{integrity}`, and the lock has sealed `{}`", sealed.tgz));
    }
    let digest = entry.digest.filter(|digest| *digest != sealed.image)?;
    let answer = asked.zip(entry.key.as_ref()).and_then(|(asked, key)| asked.get(key));
    // The same content with other labels, or from another commit.
    if matches!(answer, Some(ImageAnswer::Found { content, .. }) if *content == [sealed.layer]) {
        return None;
    }
    Some(format!("is {digest}, and the lock has sealed {}", sealed.image))
}
