//! What other analysers of meshes report, and which of our checks, gaps or errors covers it.
//!
//! Every row that is covered has a small input, which is run; `docs/reference/parity.md` is made from
//! the rows (`UPDATE_EXPECT=1` writes it).

mod common;

#[path = "parity/rows.rs"]
mod rows;

use rows::{Cover, NAMESPACE, ROWS, Row};
use std::fmt::Write as _;
use std::path::Path;
use watertight::analysis;
use watertight::observed::Observed;

/// What is missing where a row does not hold.
fn miss(row: &Row) -> Option<String> {
    let input = match row.cover {
        Cover::Check(_, input) | Cover::Gap(_, input) | Cover::Error(_, input) => input,
        Cover::Not => return None,
    };
    let (analysis, problems) = common::analyse(&format!("{NAMESPACE}{input}"));
    let analysis = analysis::reviewed(analysis, Observed::default());
    let found: Vec<&str> = analysis.findings.iter().map(|finding| finding.check).collect();
    let gaps: Vec<&str> = analysis.gaps.iter().map(|gap| gap.what.as_str()).collect();
    let holds = match row.cover {
        Cover::Check(name, _) => found.contains(&name),
        Cover::Gap(part, _) => gaps.iter().any(|gap| gap.contains(part)),
        Cover::Error(part, _) => problems.iter().any(|problem| problem.message.contains(part)),
        Cover::Not => true,
    };
    (!holds).then(|| format!("{} {}: {found:?} {gaps:?} {problems:?}", row.tool, row.code))
}

/// Whether a message is there without the object that it is about, which would prove nothing.
fn without(row: &Row) -> bool {
    let (analysis, problems) = common::analyse(NAMESPACE);
    let analysis = analysis::reviewed(analysis, Observed::default());
    match row.cover {
        Cover::Check(name, _) => analysis.findings.iter().any(|finding| finding.check == name),
        Cover::Gap(part, _) => analysis.gaps.iter().any(|gap| gap.what.contains(part)),
        Cover::Error(part, _) => problems.iter().any(|problem| problem.message.contains(part)),
        Cover::Not => false,
    }
}

fn page() -> String {
    let mut page = String::from(
        "# What other analysers report\n\n\
         Which security-related messages of `istioctl analyze`, Kiali and `linkerd check` are covered, and by what.\n\
         This page is made from a table that a test runs: every row that names something of ours has a small input on which it appears.\n\
         They read a live cluster and see more of its state; this program reads manifests, and says what becomes of each edge.\n",
    );
    let mut tool = "";
    for row in ROWS {
        if row.tool != tool {
            tool = row.tool;
            let _ = write!(
                page,
                "\n## {tool}\n\n| theirs | what it is about | ours | remark |\n|---|---|---|---|\n"
            );
        }
        let ours = match row.cover {
            Cover::Check(name, _) => format!("[{name}](../checks/{name}.md)"),
            Cover::Gap(part, _) => format!("gap: \u{201c}\u{2026}{part}\u{2026}\u{201d}"),
            Cover::Error(part, _) => format!("error: \u{201c}\u{2026}{part}\u{2026}\u{201d}"),
            Cover::Not => "not covered".to_owned(),
        };
        let _ = writeln!(page, "| {} | {} | {ours} | {} |", row.code, row.about, row.remark);
    }
    page
}

#[test]
fn every_row_that_is_covered_is_covered() {
    let failures: Vec<String> = ROWS.iter().filter_map(miss).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // Every workload of the ground has plaintext clients, which two of the rows are about.
    let idle: Vec<&str> = ROWS
        .iter()
        .filter(|row| !matches!(row.cover, Cover::Check("permissive-mtls", _)) && without(row))
        .map(|row| row.code)
        .collect();
    assert!(idle.is_empty(), "there without the object that it is about: {idle:?}");
    let covered = ROWS.iter().filter(|row| !matches!(row.cover, Cover::Not)).count();
    println!("{covered} of {} rows are covered", ROWS.len());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests read and write pages")]
fn the_page_says_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/parity.md");
    if std::env::var("UPDATE_EXPECT").is_ok() {
        std::fs::write(&path, page()).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page(), "docs/reference/parity.md is not what the table says: UPDATE_EXPECT=1 writes it");
}
