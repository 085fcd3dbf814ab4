//! npm's formats: [`settings`] says which [`registry`] is configured and with which login (from the texts that `npmrc`
//! reads); it has documents ([`packument`], read by `documents` within [`limits`]) and tarballs ([`tarball`] unpacks them),
//! and is a [`forwarder`] on loopback for children; [`resolve_documents`] gets all that a resolve may ask for,
//! [`package_facts`] what packages say of themselves.
//! [`package_lock`] says what `npm ci` installs, and [`package_unpack`] unpacks that; both unpack what
//! `package_entries` reads. [`range`] reads npm's version ranges.

mod npmrc;

pub mod registry_login;

pub mod settings;

mod http_client;

pub mod limits;

mod documents;

pub mod package_facts;
pub mod packument;

pub mod registry;

pub mod forwarder;

pub mod tarball;

pub mod resolve_documents;

pub mod package_lock;

pub mod package_entries;
pub mod package_unpack;

pub mod range;
