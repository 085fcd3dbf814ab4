//! A reference, what kind it is, and what is known of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::asked::ImageKey;
use super::integrity::RefIntegrity;
use super::listed::{ListedRef, RefFile};
use super::report::{CheckedRef, NOT_BESIDE, RefFault, RefFaultKind, RefKind, RefPin};
use crate::image::reference::SCHEME;
use crate::image::{ImagePin, ImageReference};
use crate::lock::Sha256;

/// A reference and what is known of it.
pub(super) struct RefEntry<'a> {
    pub(super) file: &'a RefFile,
    pub(super) listed: &'a ListedRef,
    pub(super) target: RefTarget,
    /// Of an image: of what it inherits from, where it inherits.
    pub(super) key: Option<ImageKey>,
    pub(super) digest: Option<Sha256>,
    /// The folder that it is installed into, where that is known.
    pub(super) path: Option<String>,
    pub(super) integrity: Option<RefIntegrity>,
}

/// What a reference refers to.
pub(super) enum RefTarget {
    Image(ImageReference),
    /// The file's name.
    Archive(String),
    /// The file's name.
    Url(String),
    /// The package's name.
    Package(String),
    Folder,
    /// Why it is none of these.
    Unknown(String),
}

impl RefTarget {
    fn of(text: &str) -> Self {
        let last = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
        if text.starts_with(SCHEME) {
            return ImageReference::parse(text).map_or_else(Self::Unknown, Self::Image);
        }
        if text.contains("://") {
            return Self::Url(last(text.split(['?', '#']).next().unwrap_or(text)));
        }
        if text.starts_with(['.', '/']) {
            let is_archive = [".tgz", ".tar.gz"].iter().any(|end| text.ends_with(end));
            return if is_archive { Self::Archive(last(text)) } else { Self::Folder };
        }
        let name = text.char_indices().skip(1).find(|(_, c)| *c == '@').map_or(text, |(at, _)| &text[..at]);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._~/@-".contains(c);
        if name.chars().all(is_plain) && name.matches('/').count() == usize::from(name.starts_with('@')) {
            return Self::Package(name.to_owned());
        }
        Self::Unknown("is no image, archive or package that RHDH's installers know".to_owned())
    }

    fn kind(&self) -> RefKind {
        match self {
            Self::Image(_) => RefKind::Image,
            Self::Archive(_) => RefKind::Archive,
            Self::Url(_) => RefKind::Url,
            Self::Package(_) => RefKind::Package,
            Self::Folder => RefKind::Folder,
            Self::Unknown(_) => RefKind::Unknown,
        }
    }

    pub(super) fn image(&self) -> Option<&ImageReference> {
        if let Self::Image(image) = self { Some(image) } else { None }
    }
}

/// The images that registries have to be asked for.
pub fn images(files: &[RefFile]) -> BTreeSet<ImageKey> {
    let listed = files.iter().flat_map(|file| &file.refs);
    listed.filter_map(|one| ImageKey::of(RefTarget::of(&one.full_text()).image()?)).collect()
}

impl<'a> RefEntry<'a> {
    pub(super) fn new(file: &'a RefFile, listed: &'a ListedRef) -> Self {
        let target = RefTarget::of(&listed.full_text());
        let image = target.image();
        let digest = image.and_then(|image| if let ImagePin::Digest(digest) = image.pin { Some(digest) } else { None });
        let (key, path) = (image.and_then(ImageKey::of), image.and_then(|image| image.path.clone()));
        Self { file, listed, target, key, digest, path, integrity: None }
    }

    /// `file:line`
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file.path.display(), self.listed.line)
    }

    pub(super) fn fault(&self, fault: RefFaultKind, message: impl Into<String>) -> RefFault {
        RefFault {
            file: self.file.path.display().to_string(),
            line: Some(self.listed.line),
            reference: Some(self.listed.shown()),
            fault,
            message: message.into(),
        }
    }

    /// Of a file beside the list.
    pub(super) fn local(&self) -> PathBuf {
        self.file.path.parent().unwrap_or(Path::new("")).join(&self.listed.text)
    }

    /// `offline` if no registry was asked.
    pub(super) fn checked(&self, offline: bool) -> CheckedRef {
        let unchecked = match &self.target {
            RefTarget::Image(_) if offline => Some("in registries, which are not asked (`--offline`)"),
            RefTarget::Folder => Some("in RHDH's own image"),
            RefTarget::Archive(_) if !self.local().exists() => Some(NOT_BESIDE),
            RefTarget::Url(_) | RefTarget::Package(_) => Some("on servers, which are not asked for archives"),
            _ => None,
        };
        CheckedRef {
            file: self.file.path.display().to_string(),
            line: self.listed.line,
            reference: self.listed.shown(),
            kind: self.target.kind(),
            disabled: self.listed.disabled,
            pinned: self.target.image().map(|image| match image.pin {
                ImagePin::Digest(_) => RefPin::Digest,
                ImagePin::Tag(_) => RefPin::Tag,
                ImagePin::Inherited => RefPin::Inherited,
            }),
            digest: self.digest,
            path: self.path.clone(),
            unchecked: unchecked.map(str::to_owned),
        }
    }

    /// What entries of the same plugin share, whatever version they pick.
    pub(super) fn plugin(&self) -> String {
        match &self.target {
            RefTarget::Image(image) => format!("{}!{}", image.image(), self.path.as_deref().unwrap_or_default()),
            RefTarget::Package(name) => name.clone(),
            _ => self.listed.text.clone(),
        }
    }
}
