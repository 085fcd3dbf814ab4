//! A packed plugin → `.tgz` and layer → config and manifest → OCI layout → registry.
//!
//! In the order of the data: [`entry`] is what goes in, [`mod@pack`] writes both archives in one pass ([`tarball`] is
//! their tar, [`mf_types`] the one file that is rewritten), [`name`] says how paths, images and tags are called,
//! [`manifest`] makes the JSON, [`layout`] puts images on disk, [`limits`] says what the installers refuse. [`push`]
//! sends them to a registry; [`buildah`] is another builder.
//!
//! All that comes before the push is a pure function of its arguments and of the files it is given: same input, same
//! bytes.

pub mod buildah;
pub mod entry;
pub mod layout;
pub mod limits;
pub mod manifest;
pub mod mf_types;
pub mod name;
pub mod pack;
pub mod push;
pub mod tarball;

mod program;

pub use entry::{Content, PackageFile, PackageFiles};
pub use layout::Layout;
pub use limits::{LargeFile, PlannedImage};
pub use manifest::{Facts, Image};
pub use name::{ImageName, ImageNames, ImagePath, Tag};
pub use pack::{Compression, Packed, Packing, pack};
pub use push::{Attached, Attachment, Login, OciRegistry, PushOptions, Pushed, Pusher, Retries};
