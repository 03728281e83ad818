//! What both benchmarks share: the tables in `docs/benchmarks.md`.

use std::path::Path;

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
    format!("Measured on {cores} cores of {model}, {}.\n", date(days as i64))
}

/// Days since 1970 as `YYYY-MM-DD` of the Gregorian calendar.
fn date(days: i64) -> String {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}
