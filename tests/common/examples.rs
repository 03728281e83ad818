//! Every example of the pages and every world, as documents, and all that is said of them.

use std::path::{Path, PathBuf};
use watertight::analysis::Analysis;
use watertight::model::Document;
use watertight::source;

/// The manifests of all examples and worlds, with where they stand.
pub fn all() -> Vec<(String, Vec<Document>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["docs/semantics", "docs/checks"].map(|folder| root.join(folder));
    let files = pages.iter().flat_map(|folder| std::fs::read_dir(folder).expect("pages"));
    let mut pages: Vec<PathBuf> = files.map(|entry| entry.expect("an entry").path()).collect();
    pages.sort();
    let mut examples = Vec::new();
    for page in pages.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = std::fs::read_to_string(page).expect("a page");
        for (number, block) in text.split("```yaml\n").skip(1).enumerate() {
            let block = block.split("\n```").next().expect("a block");
            examples.push((format!("{} {}", page.display(), number + 1), super::documents(block)));
        }
    }
    for world in std::fs::read_dir(root.join("fixtures")).expect("fixtures") {
        let folder = world.expect("an entry").path().join("manifests");
        if folder.is_dir() {
            let name = folder.display().to_string();
            examples.push((name, source::read_manifests(&[folder]).documents));
        }
    }
    examples
}

/// Everything that is said, lines and places included.
pub fn answer(analysis: &Analysis) -> String {
    let findings: Vec<String> = analysis.findings.iter().map(|f| format!("{f:?}")).collect();
    [
        super::connection_lines(analysis, true).join("\n"),
        super::protection_lines(analysis).join("\n"),
        super::network_lines(analysis).join("\n"),
        super::exposure_lines(analysis).join("\n"),
        findings.join("\n"),
        format!("{:?}\n{:?}", analysis.gaps, analysis.problems),
    ]
    .join("\n\n")
}
