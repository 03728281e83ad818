//! The entries of the fuzzer, run in every build: their seeds, and mutations of them, the same in
//! every run. `WATERTIGHT_FUZZ_SECONDS` makes it go on for longer, with other numbers.

#![expect(clippy::disallowed_methods, reason = "seeds are files of the project")]

#[path = "../fuzz/entries/captures.rs"]
mod captures;
#[path = "../fuzz/entries/detectors.rs"]
mod detectors;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "seeds take the wrapped frames")]
mod frames;
#[path = "../fuzz/entries/links.rs"]
mod links;
#[path = "../fuzz/entries/manifests.rs"]
mod manifests;
#[path = "../fuzz/entries/part.rs"]
mod part;
#[path = "common/random.rs"]
#[allow(dead_code, reason = "each test takes the kinds of numbers that it needs")]
mod random;
#[path = "../fuzz/entries/seeds.rs"]
#[allow(dead_code, reason = "names are for files of a corpus")]
mod seeds;
#[path = "common/streams.rs"]
mod streams;
#[path = "../fuzz/entries/tunnels.rs"]
mod tunnels;

use random::Random;
use std::path::Path;
use std::time::Instant;

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(5) {
        if bytes.is_empty() {
            return;
        }
        // Headers come first, and decide most.
        let near = if random.below(2) == 0 { bytes.len() } else { bytes.len().min(90) };
        let at = random.below(near);
        match random.below(7) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] = [0, 0xff, 0x7f, 0x80][random.below(4)],
            2 => bytes[at] ^= 1 << random.below(8),
            3 => drop(bytes.drain(at..(at + random.below(9)).min(bytes.len()))),
            4 => bytes.insert(at, random.below(256) as u8),
            5 => bytes.truncate(at.max(1)),
            _ => {
                let from = random.below(other.len());
                let piece = &other[from..(from + random.below(200)).min(other.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
}

/// Runs all seeds of an entry, then so many mutations.
fn hold(entry: &str, mutations: usize, run: fn(&[u8])) {
    let seeds = seeds::all(Path::new(env!("CARGO_MANIFEST_DIR")));
    let seeds: Vec<Vec<u8>> = seeds.into_iter().filter(|s| s.entry == entry).map(|s| s.bytes).collect();
    assert!(seeds.len() > 50, "{entry} has {} seeds", seeds.len());
    seeds.iter().for_each(|seed| run(seed));
    let more: u64 =
        std::env::var("WATERTIGHT_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (begin, mut rounds) = (Instant::now(), 0);
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ more);
    while rounds < mutations || begin.elapsed().as_secs() < more {
        let mut input = seeds[random.below(seeds.len())].clone();
        mutate(&mut input, &seeds[random.below(seeds.len())], &mut random);
        run(&input);
        rounds += 1;
    }
    println!("{entry}: {} seeds, {rounds} mutations, {:.1} s", seeds.len(), begin.elapsed().as_secs_f64());
}

#[test]
fn containers_and_link_layers_stand_whatever_comes() {
    hold("captures", 20_000, captures::run);
}

#[test]
fn tunnels_stand_whatever_comes() {
    hold("tunnels", 20_000, tunnels::run);
}

#[test]
fn detectors_stand_whatever_comes() {
    hold("detectors", 60_000, detectors::run);
}

#[test]
fn manifests_stand_whatever_comes() {
    hold("manifests", 2_000, manifests::run);
}
