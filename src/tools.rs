//! node, npm, yarn and rhdh-cli: [`pin`] chooses exact versions, of the CLI by [`cli_request`]; [`provide`] gets them by
//! integrity into the cache, and [`cli_tree`] the CLI with all that it needs. `handed_documents` makes npm's resolve a
//! matter of seconds. [`newest`] is what the registry has by now. [`registry_env`] tells children of the registries,
//! [`version_origin`] who asked for a version that there is not.

pub mod cli_request;
pub mod cli_tree;
mod handed_documents;
pub mod newest;
pub mod pin;
pub mod provide;
pub mod registry_env;
pub mod version_origin;
