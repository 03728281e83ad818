//! Every encapsulation behind its outer headers: see `entries/tunnels.rs`.

#![no_main]

#[path = "../entries/captures.rs"]
#[allow(dead_code)]
mod captures;
#[path = "../../tests/common/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "../entries/links.rs"]
mod links;
#[path = "../entries/part.rs"]
mod part;
#[path = "../entries/tunnels.rs"]
mod tunnels;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tunnels::run(data));
