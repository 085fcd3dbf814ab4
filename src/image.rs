//! The files of a plugin → `.tgz` and layer → config and manifest → OCI layout → registry.
//!
//! In the order of the data: [`package_files`] holds the files that go in ([`mf_types`] rewrites the one that has a time,
//! [`limits`] refuses what no RHDH installs), [`mod@pack`] writes both archives in one pass ([`tarball`] makes their tar
//! headers), [`name`] makes the names of folders, images and tags, [`manifest`] the JSON, and [`layout`] writes images to
//! disk. [`push`] sends them to a registry, with the labels of `labelled`. [`reference`](mod@reference) reads how lists
//! name images, [`found`] what a registry has there. [`buildah`] builds the same image with buildah; `external_program`
//! runs it, and skopeo.
//!
//! All that comes before the push is a pure function of its arguments and of the files it is given: same input, same
//! bytes.

pub mod buildah;
pub mod found;
mod labelled;
pub mod layout;
pub mod limits;
pub mod manifest;
pub mod mf_types;
pub mod name;
pub mod pack;
pub mod package_files;
pub mod push;
pub mod reference;
pub mod tarball;

mod external_program;

pub use found::FoundImage;
pub use labelled::ImageLabels;
pub use layout::{AdoptedImage, Layout};
pub use limits::{LargeFile, PlannedImage};
pub use manifest::{Facts, Image};
pub use name::{ImageName, ImageNames, ImagePath, Tag};
pub use pack::{Compression, Packed, Packing, pack};
pub use package_files::{Content, PackageFile, PackageFiles};
pub use push::{
    Attached, Attachment, BlobRef, Login, MOST_PAGES, MOST_TAGS, OciRegistry, OciRepository, PushOptions, Pushed,
    Pusher, RepositoryAccess, RepositoryBlob, RepositoryFailure, Retries,
};
pub use reference::{ImagePin, ImageReference};
