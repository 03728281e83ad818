//! What both benchmarks share: the tables in `docs/benchmarks.md`.

use std::path::Path;
use watertight::model::calendar;

/// Prints a section and puts it into `docs/benchmarks.md` in place of the old one.
pub fn publish(title: &str, text: &str) {
    println!("## {title}\n\n{text}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
    let old = std::fs::read_to_string(&path).unwrap_or_else(|_| {
        "# Benchmarks\n\nWritten by `make bench`: medians of five runs, figures and floor in one run.\n"
            .to_owned()
    });
    let (head, rest) = old.split_once(&format!("\n## {title}\n")).unwrap_or((&old, ""));
    let tail = rest.find("\n## ").map_or("", |at| &rest[at..]);
    std::fs::write(&path, format!("{head}\n## {title}\n\n{}\n{text}{tail}", machine())).expect("the page");
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let days = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400);
    format!("Measured on {cores} cores of {model}, {}.\n", calendar::date(days as i64))
}
