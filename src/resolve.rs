//! resolve

pub mod refs;
