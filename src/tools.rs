//! node, npm, yarn and rhdh-cli: [`pin`] chooses exact versions, of the CLI by [`cli_request`]; [`provide`] gets them by
//! integrity into the cache. [`registry_env`] tells children of the registries.

pub mod cli_request;
pub mod pin;
pub mod provide;
pub mod registry_env;
