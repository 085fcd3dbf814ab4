//! node, npm, yarn and rhdh-cli: [`pin`] chooses exact versions, of the CLI by [`cli_request`]; [`provide`] gets them by
//! integrity into the cache.

pub mod cli_request;
pub mod pin;
pub mod provide;
