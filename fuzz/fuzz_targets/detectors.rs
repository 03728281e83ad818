//! Every detector of the table: see `entries/detectors.rs`.

#![no_main]

#[path = "../entries/detectors.rs"]
mod detectors;
#[path = "../entries/part.rs"]
mod part;

libfuzzer_sys::fuzz_target!(|data: &[u8]| detectors::run(data));
