//! Which workloads of two versions lie in one segment. Numbers of segments are those of one version,
//! so segments are known by their names here; whether something crosses is left to who asks.

use super::Segmentation;
use std::collections::{BTreeMap, BTreeSet};

/// Where a workload lies: the same number in both versions for the same segment; `None` where its
/// variants lie in several.
pub type Home = Option<u32>;

/// The homes of all workloads of two versions, in the order of their inventories.
pub fn homes(versions: [&Segmentation; 2]) -> [Vec<Home>; 2] {
    let names = versions.into_iter().flat_map(|version| &version.segments).map(|info| info.name.as_str());
    let names: BTreeSet<&str> = names.collect();
    let numbers: BTreeMap<&str, u32> = names.into_iter().zip(0..).collect();
    versions.map(|version| {
        let of: Vec<u32> = version.segments.iter().map(|info| numbers[info.name.as_str()]).collect();
        let home = |segments: &[u32]| {
            let mut own = segments.iter().map(|id| of[*id as usize]);
            let first = own.next()?;
            own.all(|other| other == first).then_some(first)
        };
        version.of_workloads().map(home).collect()
    })
}
