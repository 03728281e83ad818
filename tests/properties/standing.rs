//! An analysis that is kept while a cluster changes is that of the cluster as it is.

use super::manifests::manifests;
use super::random::cluster;
use crate::common;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight::analysis::{self, Contract, Standing};
use watertight::contract::Date;
use watertight::model::{Changes, Document, ObjectKey};
use watertight::observed::Observed;
use watertight::policy::Dataplane;
use watertight::report::event::Said;
use watertight::source;

/// The objects of a cluster, each with its key.
fn objects(parts: &[String]) -> BTreeMap<ObjectKey, Document> {
    let documents = parts.iter().flat_map(|part| source::parse(&Arc::from("random.yaml"), part).documents);
    documents.map(|document| (ObjectKey::of(&document), document)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// One cluster becomes another, a few objects at a time, in an order that chance chooses.
    #[test]
    fn it_says_what_one_from_nothing_says(
        from in cluster(),
        to in cluster(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 64),
        batch in 1_usize..4,
    ) {
        let (mut now, to) = (objects(&manifests(&from)), objects(&manifests(&to)));
        let mut keys: Vec<ObjectKey> = now.keys().chain(to.keys()).cloned().collect();
        keys.sort();
        keys.dedup();
        for (place, other) in order.iter().enumerate().take(keys.len()) {
            let other = other.index(keys.len());
            keys.swap(place, other);
        }
        let mut standing = Standing::new(Some(Dataplane::kubernetes()), Contract::default());
        let mut said = Said::default();
        let documents: Vec<Document> = now.values().cloned().collect();
        said.renew(standing.renew(&documents, &Changes::default(), Vec::new(), Date::EPOCH));
        for keys in keys.chunks(batch) {
            let mut changes = Changes::default();
            for key in keys {
                changes.before.extend(now.remove(key));
                changes.now.extend(to.get(key).cloned());
                now.extend(to.get(key).map(|document| (key.clone(), document.clone())));
            }
            let documents: Vec<Document> = now.values().cloned().collect();
            let kept = standing.renew(&documents, &changes, Vec::new(), Date::EPOCH);
            let declared =
                analysis::declared_under(&documents, Dataplane::kubernetes(), Contract::default(), Date::EPOCH);
            let fresh = analysis::reviewed(declared, Observed::default());
            prop_assert_eq!(common::examples::answer(kept), common::examples::answer(&fresh));
            prop_assert_eq!(format!("{:?}", kept.inventory), format!("{:?}", fresh.inventory));
            prop_assert_eq!(format!("{:?}", kept.graph.policies), format!("{:?}", fresh.graph.policies));
            prop_assert_eq!(format!("{:?}", kept.graph.classes()), format!("{:?}", fresh.graph.classes()));
            said.renew(kept);
            let mut anew = Said::default();
            anew.renew(&fresh);
            prop_assert!(said.items().eq(anew.items()), "other items stand");
        }
    }
}
