//! build

pub mod checkout;
