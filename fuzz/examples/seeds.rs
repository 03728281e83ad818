//! Writes the corpora to begin with: see `entries/seeds.rs`. Folders of captures may be named too.

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
#[path = "../entries/seeds.rs"]
mod seeds;
#[path = "../../tests/common/streams.rs"]
#[allow(dead_code)]
mod streams;
#[path = "../entries/tunnels.rs"]
#[allow(dead_code)]
mod tunnels;

// Holds what the instrumented library calls, so that one build serves targets and seeds.
use libfuzzer_sys as _;
use std::fs;
use std::path::Path;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::args().skip(1).flat_map(|folder| seeds::of_captures(Path::new(&folder)));
    for seed in seeds::all(&here.join("..")).into_iter().chain(named) {
        let folder = here.join("corpus").join(seed.entry).join(seed.part);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(seed.name), seed.bytes).expect("a seed");
    }
}
