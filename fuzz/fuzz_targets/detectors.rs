//! Every detector of the table: see `entries/detectors.rs`.

#![no_main]

#[path = "../entries/detectors.rs"]
mod detectors;

libfuzzer_sys::fuzz_target!(|data: &[u8]| detectors::run(data));
