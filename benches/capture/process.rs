//! Runs other programs and says what they used, by the shell and the system's own accounting.

use std::fmt;
use std::process::{Command, Stdio};

/// What a run used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Seconds from beginning to end.
    pub wall: f64,
    /// Seconds of processor time, user and system.
    pub processor: f64,
    /// The most memory held at a time, in bytes.
    pub memory: u64,
    /// Whether it came to its end.
    pub end: End,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Well,
    Failed(Why),
}

/// Why a run came to no end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Exit(i32),
    Signal(i32),
    TooLong,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Exit(code) => write!(f, "exit code {code}"),
            Why::Signal(number) => write!(f, "signal {number}"),
            Why::TooLong => write!(f, "more than {LONGEST} seconds"),
        }
    }
}

/// Seconds after which a program is ended: some wait for ever for what does not come.
const LONGEST: u32 = 900;

/// Waits for the child by `wait4`, which tells its use of time and memory.
const ACCOUNT: &str = "\
import os, sys, time
start = time.time()
child = os.fork()
if child == 0:
    os.execv('/bin/sh', ['sh', '-c', 'exec timeout ' + sys.argv[2] + ' ' + sys.argv[1]])
_, status, used = os.wait4(child, 0)
print(time.time() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, status)
";

/// Runs a shell line.
pub fn run(line: &str) -> Usage {
    let output = Command::new("python3")
        .args(["-c", ACCOUNT, line, &LONGEST.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("python3 is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [wall, processor, memory, status] = words[..] else { panic!("no account of {line}: {text}") };
    // `timeout` ends with 124 where time was up, and with 128 and more for a signal.
    let end = match (status as i32 & 0x7f, status as i32 >> 8) {
        (0, 0) => End::Well,
        (0, 124) => End::Failed(Why::TooLong),
        (0, code @ 129..) => End::Failed(Why::Signal(code - 128)),
        (0, code) => End::Failed(Why::Exit(code)),
        (signal, _) => End::Failed(Why::Signal(signal)),
    };
    Usage { wall, processor, memory: memory as u64, end }
}

/// Whether a program can be run.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|folder| folder.join(program).is_file())
}
