//! Runs the pages under `docs/reference`: a `yaml` block whose first line is `# file: NAME` is
//! written to that file, a `console` block holds a command, what it prints, and its exit code
//! where that is not 0. `UPDATE_EXPECT=1` rewrites what is printed.

#![expect(clippy::disallowed_methods, reason = "tests read pages and write the files that they try")]

use std::path::Path;
use std::process::Command;

/// A fenced block: its language, its lines, and where they stand.
struct Block<'a> {
    language: &'a str,
    lines: Vec<&'a str>,
    first: usize,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let (mut found, mut open) = (Vec::new(), None::<Block<'_>>);
    for (number, line) in page.lines().enumerate() {
        match (open.take(), line.strip_prefix("```")) {
            (None, Some(language)) => open = Some(Block { language, lines: Vec::new(), first: number + 1 }),
            (Some(block), Some(_)) => found.push(block),
            (Some(mut block), None) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    found
}

/// What a command prints, and its exit code where it is not 0.
fn run(folder: &Path, command: &str) -> Vec<String> {
    let mut words = command.split_whitespace();
    assert_eq!((words.next(), words.next()), (Some("$"), Some("watertight")), "{command}");
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(words)
        .current_dir(folder)
        .output()
        .expect("the tool runs");
    let mut lines = vec![command.to_owned()];
    for text in [&output.stdout, &output.stderr] {
        lines.extend(String::from_utf8_lossy(text).lines().map(str::to_owned));
    }
    let code = output.status.code().expect("an exit code");
    if code != 0 {
        lines.push(format!("exit code {code}"));
    }
    lines
}

fn run_page(path: &Path) -> (usize, Vec<String>) {
    let page = std::fs::read_to_string(path).expect("a page");
    let folder = tempfile::tempdir().expect("a folder");
    let (mut count, mut failures, mut rewrites) = (0, Vec::new(), Vec::new());
    for block in blocks(&page) {
        match (block.language, block.lines.first().and_then(|line| line.strip_prefix("# file: "))) {
            ("yaml", Some(name)) => {
                std::fs::write(folder.path().join(name), block.lines.join("\n") + "\n").expect("a file");
            }
            ("console", _) => {
                count += 1;
                let got = run(folder.path(), block.lines.first().expect("a command"));
                if got != block.lines {
                    failures.push(format!("{}:{}:\n{}", path.display(), block.first, got.join("\n")));
                    rewrites.push((block.first, block.lines.len(), got));
                }
            }
            _ => {}
        }
    }
    if std::env::var("UPDATE_EXPECT").is_ok() {
        let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
        for (first, count, got) in rewrites.into_iter().rev() {
            lines.splice(first..first + count, got);
        }
        std::fs::write(path, lines.join("\n") + "\n").expect("the page can be written");
    }
    (count, failures)
}

#[test]
fn every_command_on_a_reference_page_prints_what_stands_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let (mut count, mut failures) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).expect("pages") {
        let (commands, failed) = run_page(&entry.expect("an entry").path());
        count += commands;
        failures.extend(failed);
    }
    println!("{count} commands on the pages");
    assert!(count >= 10, "only {count} commands were found");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
