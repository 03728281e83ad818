//! Where small real captures are.

use std::path::{Path, PathBuf};

/// All that there are of the project, or those that it is bundled with.
pub fn sources(root: &Path) -> PathBuf {
    let shared = root.join("../shared/data/captures");
    if shared.is_dir() { shared } else { root.join("fixtures") }
}
