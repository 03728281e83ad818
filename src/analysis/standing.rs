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
use std::borrow::Cow;

/// What stands from one evaluation to the next.
#[derive(Debug)]
pub struct Standing {
    /// The dataplane that somebody chose; looked for in the documents where nobody did.
    chosen: Option<Dataplane>,
    contract: Contract,
    rules: Kept,
    known: Option<Known>,
    /// The last analysis but one.
    past: Option<Analysis>,
}

/// Of the last evaluation.
#[derive(Debug)]
struct Known {
    dataplane: Dataplane,
    ground: Ground,
    analysis: Analysis,
}

/// Who exists, and what follows from that alone.
#[derive(Debug)]
struct Ground {
    inventory: Inventory,
    /// What of the inventory could not be read.
    problems: Vec<Problem>,
    alike: KeptAlike,
    segments: Segmentation,
    entries: Entries,
}

impl Standing {
    /// Nothing is known yet.
    pub fn new(chosen: Option<Dataplane>, contract: Contract) -> Standing {
        Standing { chosen, contract, rules: Kept::default(), known: None, past: None }
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
        let (known, mut rules) = (self.known.take(), std::mem::take(&mut self.rules));
        let dataplane = match &known {
            Some(known) if !changes.all().any(policy::may_show_dataplane) => known.dataplane.clone(),
            _ => self.dataplane(documents),
        };
        let (set_up, unset) = set_up(dataplane.clone(), &self.contract);
        let who = || match known {
            Some(known) => self.again(known, documents, changes),
            None => (self.first(documents), None),
        };
        let ((mut ground, past), set) = rayon::join(who, || rules.renew(documents, &set_up, changes));
        let who = (std::mem::take(&mut ground.inventory), ground.problems.clone());
        let kept = (std::mem::take(&mut ground.alike), ground.segments.clone());
        let analysis = joined(Cow::Borrowed(documents), who, set, set_up, ground.entries.clone(), kept);
        let mut analysis = bound(analysis, self.contract.clone(), today);
        analysis.problems.extend(unset);
        analysis.problems.sort();
        analysis.gaps.extend(unread);
        let analysis = reviewed(analysis, Observed::default());
        (self.rules, self.past) = (rules, past);
        &self.known.insert(Known { dataplane, ground, analysis }).analysis
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
        let entries = entry::read(documents, &inventory, &self.contract.controllers);
        let segments = segments(&inventory, &self.contract);
        Ground { inventory, problems, alike: KeptAlike::default(), segments, entries }
    }

    /// What the last evaluation rests on, brought up to date, and the rest of it.
    fn again(&self, known: Known, documents: &[Document], changes: &Changes) -> (Ground, Option<Analysis>) {
        let Known { mut ground, mut analysis, dataplane: _ } = known;
        ground.inventory = std::mem::take(&mut analysis.inventory);
        ground.alike = analysis.graph.keep();
        let renewed = inventory::renew(&mut ground.inventory, &mut ground.problems, documents, changes);
        if !renewed.is_nothing() {
            ground.segments = segments(&ground.inventory, &self.contract);
        }
        // Ways in are read out of who exists and of objects of their own.
        if !renewed.is_nothing() || !changes.all().all(policy::is_network_policy) {
            ground.entries = entry::read(documents, &ground.inventory, &self.contract.controllers);
        }
        match renewed {
            Renewed::Namespaces(names) => ground.alike.forget(names.iter()),
            Renewed::Everything => ground.alike = KeptAlike::default(),
        }
        (ground, Some(analysis))
    }

    /// What enforces, as far as the documents tell.
    fn dataplane(&self, documents: &[Document]) -> Dataplane {
        match &self.chosen {
            Some(chosen) => policy::configured(chosen.clone(), documents),
            None => policy::detect(documents),
        }
    }
}
