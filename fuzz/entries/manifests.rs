//! Manifests, contracts and policies of every language: whatever text comes, the analysis ends and
//! does not panic.

use std::sync::Arc;
use watertight::policy::{Dataplane, DataplaneKind};
use watertight::{analysis, source};

pub fn run(data: &[u8]) {
    let [choice, rest @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let reading = source::parse(&Arc::from("input.yaml"), text);
    let kinds: Vec<DataplaneKind> = DataplaneKind::all().collect();
    let dataplane = Dataplane::new(kinds[usize::from(*choice) % kinds.len()]);
    let declared = analysis::declared(&reading.documents, dataplane);
    let reviewed = analysis::reviewed(declared, Default::default());
    for finding in &reviewed.findings {
        assert!(!finding.message.is_empty());
    }
}
