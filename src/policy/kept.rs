//! Rules that are kept from one reading to the next: only what changed is lowered and walked again.
//!
//! What is kept is what single objects give and what whole engines give; joining them is done anew
//! each time, by the same code that reads everything ([`super::read`]).

use super::twins::{self, SameNames};
use super::{Dataplane, Tier, TlsFloor, is_network_policy, is_pod, tls_floor};
use super::{ENGINES, Engine, KindsByName, Lowered, Lowers, Noted, RuleSet, kinds_by_name, note, together};
use crate::model::{Changes, Document, ObjectKey};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What objects and engines gave when they were last asked.
#[derive(Debug, Default)]
pub struct Kept {
    dataplane: Option<Dataplane>,
    /// By position in [`ENGINES`].
    engines: Vec<OfEngine>,
    /// What is said of objects beside what their engines say; those of which nothing is said are left out.
    notes: BTreeMap<ObjectKey, Noted>,
    tls_floors: Vec<TlsFloor>,
}

/// What one engine gave.
#[derive(Debug)]
enum OfEngine {
    /// For each of its objects.
    Each(BTreeMap<ObjectKey, Lowered>),
    /// For all documents together.
    Whole(Lowered),
}

impl Kept {
    /// The rules of the documents, which are other than at the last call by `changes` and no more.
    pub fn renew(&mut self, documents: &[Document], dataplane: &Dataplane, changes: &Changes) -> RuleSet {
        if self.dataplane.as_ref() != Some(dataplane) {
            *self = Kept::new(documents, dataplane);
        } else {
            self.take_in(documents, dataplane, changes);
        }
        let lowered = |(engine, own): (&&'static dyn Engine, &OfEngine)| (*engine, own.lowered());
        let mut set = together(ENGINES.iter().zip(&self.engines).map(lowered), dataplane);
        self.notes.values().cloned().for_each(|noted| set.take(noted));
        set.tls_floors.clone_from(&self.tls_floors);
        set
    }

    fn new(documents: &[Document], dataplane: &Dataplane) -> Kept {
        let kinds = kinds_by_name();
        let notes = documents.par_iter().filter_map(|document| one_note(document, kinds)).collect();
        let of = |engine: &&'static dyn Engine| OfEngine::read(*engine, documents, dataplane);
        Kept {
            dataplane: Some(dataplane.clone()),
            engines: ENGINES.iter().map(of).collect(),
            notes,
            tls_floors: tls_floor::read(documents),
        }
    }

    fn take_in(&mut self, documents: &[Document], dataplane: &Dataplane, changes: &Changes) {
        let kinds = kinds_by_name();
        for document in &changes.before {
            self.notes.remove(&ObjectKey::of(document));
        }
        self.notes.extend(changes.now.iter().filter_map(|document| one_note(document, kinds)));
        for (engine, own) in ENGINES.iter().zip(&mut self.engines) {
            own.take_in(*engine, documents, dataplane, changes);
        }
        // They stand in objects of meshes alone.
        if changes.all().any(|document| !is_pod(document) && !is_network_policy(document)) {
            self.tls_floors = tls_floor::read(documents);
        }
    }
}

fn one_note(document: &Document, kinds: &KindsByName) -> Option<(ObjectKey, Noted)> {
    let noted = note(document, kinds);
    (!noted.is_empty()).then(|| (ObjectKey::of(document), noted))
}

impl OfEngine {
    fn read(engine: &dyn Engine, documents: &[Document], dataplane: &Dataplane) -> OfEngine {
        let whole = || {
            let names = SameNames::among(documents, |document| engine.reads(document));
            OfEngine::Whole(twins::lower(engine, documents, dataplane, &names))
        };
        if engine.lowers() == Lowers::Together {
            return whole();
        }
        let own: Vec<&Document> = documents.iter().filter(|document| engine.reads(document)).collect();
        let one = |document: &&Document| {
            (ObjectKey::of(document), engine.lower(std::slice::from_ref(*document), dataplane))
        };
        let count = own.len();
        let each: BTreeMap<ObjectKey, Lowered> = own.par_iter().map(one).collect();
        // Two objects of one name are said as a problem, which only shows where both are there.
        let names: BTreeSet<_> = each.keys().map(|key| (&key.namespace, &key.name)).collect();
        match names.len() == count {
            true => OfEngine::Each(each),
            false => whole(),
        }
    }

    fn take_in(
        &mut self,
        engine: &dyn Engine,
        documents: &[Document],
        dataplane: &Dataplane,
        changes: &Changes,
    ) {
        if !changes.all().any(|document| engine.reads(document)) {
            return;
        }
        let alone = |document: &Document| engine.lower(std::slice::from_ref(document), dataplane);
        let OfEngine::Each(each) = self else {
            // Where no mesh shows, a pod that shows none by itself makes none: those engines that look
            // at pods begin with looking for one that does.
            let silent = matches!(self, OfEngine::Whole(lowered) if lowered.is_empty())
                && changes.all().all(|document| is_pod(document) && alone(document).is_empty());
            if !silent {
                *self = OfEngine::read(engine, documents, dataplane);
            }
            return;
        };
        for document in &changes.before {
            each.remove(&ObjectKey::of(document));
        }
        for document in changes.now.iter().filter(|document| engine.reads(document)) {
            let lowered = alone(document);
            let key = ObjectKey::of(document);
            let twin = |known: &ObjectKey| (&known.namespace, &known.name) == (&key.namespace, &key.name);
            let twins = each.keys().any(twin);
            each.insert(key, lowered);
            if twins {
                *self = OfEngine::read(engine, documents, dataplane);
                return;
            }
        }
    }

    fn lowered(&self) -> Lowered {
        match self {
            OfEngine::Whole(lowered) => lowered.clone(),
            OfEngine::Each(each) => {
                let mut all = Lowered::default();
                for one in each.values() {
                    all.add(one);
                }
                all
            }
        }
    }
}

impl Lowered {
    /// Whether nothing is said at all.
    pub fn is_empty(&self) -> bool {
        let Lowered { tiers, transport, gaps, problems } = self;
        tiers.iter().all(|tier| tier.policies.is_empty())
            && transport.is_empty()
            && gaps.is_empty()
            && problems.is_empty()
    }

    /// Adds what another object of the same engine gives.
    fn add(&mut self, other: &Lowered) {
        for tier in &other.tiers {
            let place = |known: &&mut Tier| {
                (known.layer, known.direction, &known.rank, known.unmatched)
                    == (tier.layer, tier.direction, &tier.rank, tier.unmatched)
            };
            match self.tiers.iter_mut().find(place) {
                Some(known) => known.policies.extend(tier.policies.iter().cloned()),
                None => self.tiers.push(tier.clone()),
            }
        }
        self.transport.extend(other.transport.clone());
        self.gaps.extend(other.gaps.iter().cloned());
        self.problems.extend(other.problems.iter().cloned());
    }
}
