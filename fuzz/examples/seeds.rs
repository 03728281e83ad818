//! Writes the corpora to begin with: see `entries/seeds.rs`.

#[path = "../../tests/common/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "../entries/links.rs"]
mod links;
#[path = "../entries/seeds.rs"]
mod seeds;
#[path = "../../tests/common/streams.rs"]
#[allow(dead_code)]
mod streams;

use std::fs;
use std::path::Path;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for seed in seeds::all(&here.join("..")) {
        let folder = here.join("corpus").join(seed.entry);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(seed.name), seed.bytes).expect("a seed");
    }
}
