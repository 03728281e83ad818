//! An analysis that stands while its documents change: what did not change is not read again.
//!
//! Each stage keeps what its inputs left untouched and says where it does; whatever it is not sure of
//! is made anew. The answer is that of [`super::declared_under`] and [`super::reviewed`] for the same
//! documents, to the letter: `tests/standing.rs` holds this for chains of changes.

use super::{Analysis, Contract, Date, Segmentation, bound, joined, reviewed, segments, set_up};
use crate::entry::{self, Entries};
use crate::graph::KeptAlike;
use crate::inventory::{self, Inventory, Renewed};
use crate::model::{Changes, Document, Gap, Problem};
use crate::observed::Observed;
use crate::policy::{self, Dataplane, Kept};

/// What stands from one evaluation to the next.
#[derive(Debug)]
pub struct Standing {
    /// The dataplane that somebody chose; looked for in the documents where nobody did.
    chosen: Option<Dataplane>,
    contract: Contract,
    known: Option<Known>,
    /// The last analysis but one.
    past: Option<Analysis>,
}

/// Of the last evaluation.
#[derive(Debug)]
struct Known {
    ground: Ground,
    analysis: Analysis,
}

/// What an analysis rests on.
#[derive(Debug)]
struct Ground {
    dataplane: Dataplane,
    inventory: Inventory,
    /// What of the inventory could not be read.
    problems: Vec<Problem>,
    rules: Kept,
    alike: KeptAlike,
    segments: Segmentation,
    entries: Entries,
}

impl Standing {
    /// Nothing is known yet.
    pub fn new(chosen: Option<Dataplane>, contract: Contract) -> Standing {
        Standing { chosen, contract, known: None, past: None }
    }

    /// The analysis of the documents as of a day, with gaps of which only their reader knows. They
    /// are other than at the last call by `changes` and no more.
    pub fn renew(
        &mut self,
        documents: &[Document],
        changes: &Changes,
        unread: Vec<Gap>,
        today: Date,
    ) -> &Analysis {
        let ground = match self.known.take() {
            Some(known) => self.again(known, documents, changes),
            None => self.first(documents),
        };
        let known = self.judged(ground, documents, (changes, unread), today);
        &self.known.insert(known).analysis
    }

    /// The analysis as of the last call.
    pub fn analysis(&self) -> Option<&Analysis> {
        self.known.as_ref().map(|known| &known.analysis)
    }

    /// Lets go of what is no longer needed; that takes as long as it took to make, and can be done
    /// when everything was said.
    pub fn tidy(&mut self) {
        self.past = None;
    }

    fn first(&self, documents: &[Document]) -> Ground {
        let (inventory, problems) = inventory::read(documents);
        Ground {
            dataplane: self.dataplane(documents),
            segments: segments(&inventory, &self.contract),
            entries: entry::read(documents, &inventory, &self.contract.controllers),
            inventory,
            problems,
            rules: Kept::default(),
            alike: KeptAlike::default(),
        }
    }

    fn again(&mut self, known: Known, documents: &[Document], changes: &Changes) -> Ground {
        let Known { mut ground, mut analysis } = known;
        if changes.all().any(policy::may_show_dataplane) {
            ground.dataplane = self.dataplane(documents);
        }
        ground.inventory = std::mem::take(&mut analysis.inventory);
        ground.alike = analysis.graph.keep();
        self.past = Some(analysis);
        let renewed = inventory::renew(&mut ground.inventory, &mut ground.problems, documents, changes);
        let same = renewed.is_nothing();
        if !same {
            ground.segments = segments(&ground.inventory, &self.contract);
        }
        if !same || !changes.all().all(policy::is_network_policy) {
            ground.entries = entry::read(documents, &ground.inventory, &self.contract.controllers);
        }
        match renewed {
            Renewed::Namespaces(names) => ground.alike.forget(names.iter()),
            Renewed::Everything => ground.alike = KeptAlike::default(),
        }
        ground
    }

    /// What enforces, as far as the documents tell.
    fn dataplane(&self, documents: &[Document]) -> Dataplane {
        match &self.chosen {
            Some(chosen) => policy::configured(chosen.clone(), documents),
            None => policy::detect(documents),
        }
    }

    /// Who may talk to whom, and what is to be said of it.
    fn judged(
        &self,
        mut ground: Ground,
        documents: &[Document],
        (changes, unread): (&Changes, Vec<Gap>),
        today: Date,
    ) -> Known {
        let (dataplane, unset) = set_up(ground.dataplane.clone(), &self.contract);
        let rules = ground.rules.renew(documents, &dataplane, changes);
        let who = (std::mem::take(&mut ground.inventory), ground.problems.clone());
        let kept = (std::mem::take(&mut ground.alike), ground.segments.clone());
        let analysis = joined(documents, who, rules, dataplane, ground.entries.clone(), kept);
        let mut analysis = bound(analysis, self.contract.clone(), today);
        analysis.problems.extend(unset);
        analysis.problems.sort();
        analysis.gaps.extend(unread);
        Known { ground, analysis: reviewed(analysis, Observed::default()) }
    }
}
