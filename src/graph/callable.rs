//! Whom a class may call at most: what the rows of both ends do not shut at once, so that who asks
//! for pairs pays for those that are open and not for all there are.

use super::build::AllowedGraph;
use super::classes::ClassId;
use super::edge::Row;
use crate::model::TrafficSet;
use crate::policy::Direction;
use hashbrown::HashMap;

/// Whom each class may call at most.
#[derive(Debug)]
pub struct Callable<'a> {
    graph: &'a AllowedGraph,
    /// The rows of what classes take, each once.
    rows: Vec<Taking<'a>>,
    /// Those whose rest lets something in.
    open: Vec<u32>,
    /// For each class, its row, and the rows that name it and let something of it in, in order.
    row_of: Vec<u32>,
    naming: Vec<Vec<u32>>,
    /// What rows let through at most, each once.
    bounds: Vec<TrafficSet>,
}

/// What some classes take.
#[derive(Debug)]
struct Taking<'a> {
    row: &'a Row,
    classes: Vec<ClassId>,
    bound: usize,
}

impl<'a> Callable<'a> {
    /// Reads each row once.
    pub fn of(graph: &'a AllowedGraph) -> Callable<'a> {
        let classes = 0..graph.classes().len() as ClassId;
        let mut numbers: HashMap<*const Row, u32> = HashMap::new();
        let (mut rows, mut bounds) = (Vec::<Taking<'_>>::new(), HashMap::new());
        let mut row_of = Vec::new();
        for class in classes.clone() {
            let row = graph.row(class, Direction::Ingress);
            let number = *numbers.entry(std::ptr::from_ref(row)).or_insert_with(|| {
                let next = bounds.len();
                let bound = *bounds.entry(row.with_anyone()).or_insert(next);
                rows.push(Taking { row, classes: Vec::new(), bound });
                rows.len() as u32 - 1
            });
            rows[number as usize].classes.push(class);
            row_of.push(number);
        }
        let mut naming = vec![Vec::new(); classes.len()];
        for (number, Taking { row, .. }) in (0..).zip(&rows) {
            for (peer, decision) in &row.named {
                if let Some(naming) = naming.get_mut(*peer as usize)
                    && !decision.allowed.is_empty()
                {
                    naming.push(number);
                }
            }
        }
        let open = (0..).zip(&rows).filter(|(_, taking)| !taking.row.rest.allowed.is_empty());
        let open = open.map(|(number, _)| number).collect();
        let mut bounds: Vec<(TrafficSet, usize)> = bounds.into_iter().collect();
        bounds.sort_unstable_by_key(|(_, number)| *number);
        let bounds = bounds.into_iter().map(|(traffic, _)| traffic).collect();
        Callable { graph, rows, open, row_of, naming, bounds }
    }

    /// The classes that a class may call, and some that it may not, in no particular order; `None`
    /// for all, where somebody in between carries its calls past what the rows of both ends say.
    pub fn by(&self, from: ClassId) -> Option<Vec<ClassId>> {
        if self.graph.mesh.relays_of(from).next().is_some() {
            return None;
        }
        let row = self.graph.row(from, Direction::Egress);
        let naming = &self.naming[from as usize];
        let mut meets = meeting(&self.bounds, row.with_anyone());
        let mut meets = |number: u32| meets(self.rows[number as usize].bound);
        if !row.rest.allowed.is_empty() {
            let mut rows: Vec<u32> =
                self.open.iter().chain(naming).copied().filter(|row| meets(*row)).collect();
            rows.sort_unstable();
            rows.dedup();
            return Some(rows.iter().flat_map(|row| &self.rows[*row as usize].classes).copied().collect());
        }
        // It calls whom it names.
        let takes = |number: u32| {
            !self.rows[number as usize].row.rest.allowed.is_empty() || naming.binary_search(&number).is_ok()
        };
        let own = row.named.iter().filter(|(_, decision)| !decision.allowed.is_empty());
        let own = own.map(|(peer, _)| *peer).filter(|peer| {
            self.row_of.get(*peer as usize).is_some_and(|number| takes(*number) && meets(*number))
        });
        Some(own.collect())
    }

    /// The workloads that a workload may call, and some that it may not, each once and in their
    /// order; itself is not among them.
    pub fn workloads(&self, from: usize, count: usize) -> Vec<usize> {
        let mut all = Vec::new();
        for class in self.graph.classes_of(from) {
            let Some(classes) = self.by(*class) else {
                return (0..count).filter(|to| *to != from).collect();
            };
            let classes = classes.into_iter().filter_map(|class| self.graph.class(class));
            let members = classes.flat_map(|class| &class.members);
            all.extend(members.map(|member| member.workload as usize).filter(|to| *to != from));
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Whether sets, by number, have traffic in common with this one; each is asked once.
fn meeting(sets: &[TrafficSet], traffic: TrafficSet) -> impl FnMut(usize) -> bool {
    let mut known = vec![None; sets.len()];
    move |number| *known[number].get_or_insert_with(|| !traffic.intersection(&sets[number]).is_empty())
}
