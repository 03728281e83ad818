//! Versions of agents, by the tags of their images: `quay.io/cilium/cilium:v1.17.3@sha256:…`.

use crate::model::Document;

/// The version that the first of some DaemonSets runs, of images whose names end with one of `images`.
pub fn version(documents: &[Document], agents: &[&str], images: &[&str]) -> Option<(u32, u32)> {
    let is_agent = |d: &&Document| &*d.origin.kind == "DaemonSet" && agents.contains(&&*d.origin.name);
    documents.iter().filter(is_agent).flat_map(Document::containers).find_map(|container| {
        let (name, tag) = container.text_of("image")?.split('@').next()?.rsplit_once(':')?;
        let mut numbers = tag.trim_start_matches('v').split(['.', '-']);
        let is_known = images.iter().any(|image| name.ends_with(image));
        is_known.then_some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}
