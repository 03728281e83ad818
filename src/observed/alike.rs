//! Verdicts that are equal: thousands of flows share a few dozen of them, each kept once.

use crate::protocol::Detection;
use hashbrown::DefaultHashBuilder;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// How many of the latest verdicts are looked at for an equal one; a power of two.
const LATEST: usize = 512;

/// The number by which a verdict is looked for: what differs in names of facts, in protection or in
/// reasons differs in values too, nearly always, or in how long they are.
pub(super) fn hash(detection: &Detection, hasher: &DefaultHashBuilder) -> u64 {
    let values = detection.facts.iter().map(|(_, value)| value.as_ref());
    let lengths = detection.protocol.len() << 24 | detection.why.len() << 8 | detection.facts.len();
    let mut hasher = hasher.build_hasher();
    hasher.write_usize(lengths);
    hasher.write(detection.protocol.as_bytes());
    values.for_each(|value| hasher.write(value.as_bytes()));
    if !detection.names.is_empty() {
        detection.names.hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether two verdicts are equal: most texts of them are fixed ones, which stand at one place.
pub(super) fn are_equal(one: &Detection, other: &Detection) -> bool {
    let same = |a: &str, b: &str| std::ptr::eq(a, b) || a == b;
    let facts = || one.facts.iter().zip(&other.facts);
    one.facts.len() == other.facts.len()
        && same(&one.why, &other.why)
        && facts().all(|((a, of_a), (b, of_b))| same(a, b) && same(of_a, of_b))
        && same(one.protocol, other.protocol)
        && one.protection == other.protection
        && one.names == other.names
}

/// The latest verdicts: who goes on for weeks cannot keep all of them.
#[derive(Debug)]
pub(super) struct Latest {
    rows: Vec<Option<Arc<Detection>>>,
    hasher: DefaultHashBuilder,
}

impl Default for Latest {
    fn default() -> Latest {
        Latest { rows: vec![None; LATEST], hasher: DefaultHashBuilder::default() }
    }
}

impl Latest {
    /// A verdict, or an equal one of the latest.
    pub(super) fn shared(&mut self, detection: Detection) -> Arc<Detection> {
        let row = &mut self.rows[hash(&detection, &self.hasher) as usize % LATEST];
        match row {
            Some(known) if are_equal(known, &detection) => known.clone(),
            _ => row.insert(Arc::new(detection)).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Proof, Protection};

    #[test]
    fn equal_verdicts_are_one_and_others_are_not() {
        let of = |host: String| Detection {
            protocol: "http",
            protection: Protection::Plaintext(Proof::Grammar),
            why: "test".into(),
            facts: vec![("host", host.into())],
            names: vec![],
        };
        let mut latest = Latest::default();
        let shop = latest.shared(of("shop".into()));
        assert!(Arc::ptr_eq(&shop, &latest.shared(of("shop".into()))));
        for number in 0..10 * LATEST {
            assert_eq!(*latest.shared(of(number.to_string())), of(number.to_string()));
        }
        assert_eq!(*latest.shared(of("shop".into())), *shop);
    }
}
