#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| factory::fuzzing::read("package-metadata", bytes));
