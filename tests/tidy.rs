//! The house rules that a compiler does not hold: who imports whom, headers, pages, worlds.

#![expect(clippy::disallowed_methods, reason = "tests read the sources")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// `docs/architecture.md`: each room and the rooms that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("source", &["model"]),
    ("cluster", &["model", "source"]),
    ("inventory", &["model"]),
    ("contract", &["model"]),
    ("policy", &["model"]),
    ("capture", &["model"]),
    ("protocol", &["model", "capture"]),
    ("graph", &["model", "inventory", "policy"]),
    ("entry", &["model", "inventory", "contract"]),
    ("exposure", &["model", "inventory", "entry", "policy", "graph"]),
    ("observed", &["model", "inventory", "capture", "protocol"]),
    ("check", &["model", "inventory", "contract", "exposure", "graph", "observed"]),
    (
        "analysis",
        &[
            "model",
            "inventory",
            "contract",
            "policy",
            "capture",
            "protocol",
            "entry",
            "exposure",
            "graph",
            "observed",
            "check",
        ],
    ),
    ("suggest", &["model", "inventory", "graph", "check", "analysis"]),
    ("report", &["model", "contract", "exposure", "graph", "observed", "check", "analysis", "suggest"]),
    // `policy`, `protocol` and `check` for their tables, `contract` to read one, `graph` and
    // `observed` for the words of a question.
    (
        "cli",
        &[
            "model", "source", "cluster", "contract", "analysis", "report", "policy", "protocol", "check",
            "graph", "observed", "suggest",
        ],
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(PathBuf, String)> {
    let all =
        walkdir::WalkDir::new(root().join("src")).sort_by_file_name().into_iter().filter_map(Result::ok);
    let rust = all.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "rs"));
    rust.map(|entry| (entry.path().to_owned(), std::fs::read_to_string(entry.path()).expect("a source")))
        .collect()
}

fn room(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("a source");
    let first = inside.components().next().expect("a room").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    for (path, text) in sources() {
        let room = room(&path);
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let allowed: BTreeSet<&str> = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("the room {room} is not in the table"))
            .1
            .iter()
            .copied()
            .collect();
        for part in text.split("crate::").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let known = MAY_IMPORT.iter().any(|(room, _)| *room == name);
            let fine = !known || name == room || allowed.contains(name.as_str());
            assert!(fine, "{} imports {name}, which {room} may not", path.display());
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is_for_and_stays_readable() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not say what it is for", path.display());
        assert!(text.lines().count() <= 500, "{} is too long: make a better room", path.display());
        assert!(!text.contains("todo!(") && !text.contains("unimplemented!("), "{}", path.display());
    }
}

#[test]
fn domain_types_are_not_serialised() {
    for (path, text) in sources() {
        let shape_room = ["report", "cli"].contains(&room(&path).as_str());
        assert!(shape_room || !text.contains("derive(Serialize"), "{} serialises", path.display());
    }
}

#[test]
fn every_check_page_has_a_check_and_every_world_a_gallery() {
    let names: BTreeSet<&str> = watertight::check::CHECKS.iter().map(|check| check.name()).collect();
    for entry in std::fs::read_dir(root().join("docs/checks")).expect("pages") {
        let file = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(names.contains(file.trim_end_matches(".md")), "docs/checks/{file} has no check");
    }
    for entry in std::fs::read_dir(root().join("fixtures")).expect("fixtures") {
        let path = entry.expect("an entry").path();
        if path.join("manifests").is_dir() {
            let name = path.file_name().expect("a name");
            assert!(root().join("graphs").join(name).is_dir(), "graphs/{} is missing", name.display());
            assert!(path.join("README.md").is_file(), "{} has no README", path.display());
        }
    }
}

#[test]
fn the_finding_that_the_readme_explains_is_one_of_today() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a page");
    let (readme, report) = (read("README.md"), read("graphs/shop/report.txt"));
    let part = readme.split_once("## How to read a finding").map_or("", |(_, rest)| rest);
    let block = part.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    assert!(
        block.contains("because: ") && report.contains(block),
        "README.md shows what no report says:\n{block}"
    );
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let from = text.find("[dependencies]").expect("dependencies");
    let to = text.find("[[bench]]").expect("benchmarks");
    let lines: Vec<&str> = text[from..to].lines().filter(|line| !line.trim().is_empty()).collect();
    for pair in lines.windows(2) {
        let dependency = pair[1].contains('=') && !pair[1].starts_with(['#', '[']);
        assert!(!dependency || pair[0].starts_with('#'), "{} has no line on what it is for", pair[1]);
    }
}

#[test]
fn every_link_type_tunnel_and_detector_is_fuzzed() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file");
    let links = read("fuzz/entries/links.rs");
    let list = links.rsplit_once("&[").map_or("", |(_, list)| list).trim_end_matches("];\n");
    let fuzzed: BTreeSet<u32> = list.split(", ").filter_map(|number| number.parse().ok()).collect();
    let table = read("src/capture/link.rs");
    let rows = table.split("numbers: &[").skip(1).filter_map(|row| row.split(']').next());
    let known: BTreeSet<u32> = rows.flat_map(|row| row.split(", ").filter_map(|n| n.parse().ok())).collect();
    assert!(known.len() >= 15 && known.is_subset(&fuzzed), "not fuzzed: {:?}", known.difference(&fuzzed));
    // Seeds are taken from the same lists as the tests: each wrapping, each detector's conversations.
    let seeds = read("fuzz/entries/seeds.rs");
    assert!(seeds.contains("frames::wrapped()") && seeds.contains("DETECTORS.iter()"));
    assert!(read("fuzz/entries/tunnels.rs").contains("wrapped().into_iter().chain(wrapped_6())"));
    assert!(read("fuzz/entries/detectors.rs").contains("DETECTORS[only"));
    let shown = read("tests/common/frames.rs");
    let names = read("src/capture/packet.rs");
    let names = names.split_once("const VIA_NAMES").and_then(|(_, rest)| rest.split_once("];"));
    let names: Vec<&str> = names.map_or("", |(list, _)| list).split('"').skip(1).step_by(2).collect();
    let is_shown =
        |name: &str| [format!("\"{name}\""), format!("\"{name}:")].iter().any(|n| shown.contains(n));
    let missing: Vec<&&str> = names.iter().filter(|name| !is_shown(name)).collect();
    assert!(names.len() > 15 && missing.is_empty(), "encapsulations that no frame shows: {missing:?}");
}
