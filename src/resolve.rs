//! Configuration → pins. The only stage that asks "what is newest?".

pub mod tools;
