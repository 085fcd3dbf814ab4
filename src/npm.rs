//! npm's formats: [`settings`] says which [`registry`] is configured and with which login (from the texts that `npmrc`
//! reads); it has documents ([`packument`], read by `documents` within [`limits`]) and tarballs ([`tarball`] unpacks them),
//! and is a [`forwarder`] on loopback for children. [`range`] reads npm's version ranges.

mod npmrc;

pub mod registry_login;

pub mod settings;

mod http_client;

pub mod limits;

mod documents;

pub mod packument;

pub mod registry;

pub mod forwarder;

pub mod tarball;

pub mod range;
