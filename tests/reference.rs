//! Reference pages that are generated from the tables, and the house rules that tables obey.
//! `UPDATE_EXPECT=1` rewrites the pages.

#![expect(clippy::disallowed_methods, reason = "tests read and write pages")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use watertight::model::Bend;
use watertight::policy::{DataplaneKind, ENGINES, Kind, Support};

fn support(support: Support) -> &'static str {
    match support {
        Support::Full => "supported",
        Support::Narrowed => "narrowed: kept as a condition",
        Support::NoEffect => "no effect on verdicts",
        Support::Gap(Bend::MayAllowMore) => "gap: more may be allowed than is shown",
        Support::Gap(Bend::MayAllowLess) => "gap: less may be allowed than is shown",
        Support::Gap(Bend::MayMissTraffic) => "gap: traffic may be missed",
    }
}

fn enforcers(kind: &Kind) -> String {
    let names: Vec<&str> =
        DataplaneKind::all().filter(|d| kind.enforced_by.contains(d)).map(DataplaneKind::name).collect();
    match names.is_empty() {
        true => "nobody by itself: it takes part in what others mean".to_owned(),
        false => names.join(", "),
    }
}

fn engines_page() -> String {
    let mut page = String::from(
        "# Policy languages\n\nThis page is generated from the tables of `src/policy/*/mod.rs`.\n\
         Every object is walked against them: a field that is not listed here is reported as unknown, a gap is said with the way it bends the answer.\n",
    );
    for engine in ENGINES {
        let _ = write!(page, "\n## {}\n\n{}.\n", engine.name(), engine.summary().trim_end_matches('.'));
        for kind in engine.kinds() {
            let versions = kind.api_versions.join(", ");
            let _ = write!(page, "\n### {} ({versions})\n\nEnforced by: {}.\n", kind.name, enforcers(kind));
            if kind.fields.is_empty() {
                continue;
            }
            page.push_str("\n| field | what is made of it |\n|---|---|\n");
            for field in kind.fields {
                let _ = writeln!(page, "| `{}` | {} |", field.path, support(field.support));
            }
        }
    }
    page
}

fn hold(page: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(page);
    if std::env::var("UPDATE_EXPECT").is_ok() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(&path, text).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "docs/reference/{page} is out of date: run with UPDATE_EXPECT=1");
}

#[test]
fn the_page_of_policy_languages_says_what_the_tables_say() {
    hold("engines.md", &engines_page());
}

#[test]
fn every_kind_is_read_by_one_engine_and_its_fields_are_listed_once() {
    let mut kinds = BTreeSet::new();
    for kind in ENGINES.iter().flat_map(|engine| engine.kinds()) {
        for version in kind.api_versions {
            assert!(kinds.insert((kind.name, *version)), "{} {version} is in two tables", kind.name);
        }
        let fields: BTreeSet<&str> = kind.fields.iter().map(|field| field.path).collect();
        assert_eq!(fields.len(), kind.fields.len(), "{} lists a field twice", kind.name);
    }
}
