//! `factory --version`: this factory, and what it uses where nothing else is asked for.

use std::sync::LazyLock;

use crate::lock::text::{REVISION, VERSION};
use crate::resolve::rhdh::LATEST;
use crate::tools::cli_request::DEFAULT_CLI;
use crate::tools::pin::{DEFAULT_NODE, DEFAULT_NPM};

/// The text behind the program's name. The original prints the commits of the RHDH lockfile and of the export scripts
/// that are baked into it; here both are looked up by `factory resolve`, and the lock has their exact versions.
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}\nlock format:       version {VERSION}, revisions up to {REVISION}\nnode:              {DEFAULT_NODE}\nnpm:               {DEFAULT_NPM}\n\
         rhdh-cli:          the newest for the RHDH release, else {DEFAULT_CLI}\nRHDH:              {LATEST}\n\
         The exact versions, and the commit of RHDH, are looked up by `factory resolve` and kept in factory.lock.",
            env!("CARGO_PKG_VERSION")
        )
    });
    &TEXT
}
