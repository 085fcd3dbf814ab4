//! node, npm, yarn and rhdh-cli: [`pin`] chooses exact versions, [`provide`] gets them by integrity into the cache.

pub mod pin;
pub mod provide;
