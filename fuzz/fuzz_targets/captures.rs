//! Every container, link layer and tunnel, and what follows: see `entries/captures.rs`.

#![no_main]

#[path = "../entries/captures.rs"]
mod captures;
#[path = "../entries/links.rs"]
mod links;
#[path = "../entries/part.rs"]
mod part;

libfuzzer_sys::fuzz_target!(|data: &[u8]| captures::run(data));
