//! The memory of this process.

/// The most memory that this process has held, in bytes; 0 where the system does not tell.
#[expect(clippy::disallowed_methods, reason = "this room is where files are opened")]
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// From now on the kernel clears fresh memory in its smallest pages: of large ones (2 MiB), most is
/// never used by what captures need. Where the kernel refuses that, it costs more and that is all.
pub fn small_pages() {
    nix::sys::prctl::set_thp_disable(true).unwrap_or_default();
}
