//! Configuration → pins. The only stage that asks "what is newest?".

pub mod arguments;
pub mod discover;
pub mod source;
pub mod tools;
pub mod yarn;
