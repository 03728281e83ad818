//! The objects of a followed cluster, each once, in one order, and what changed of them.

use crate::cluster::{Event, KindName, Refused};
use crate::model::{Changes, Document, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a cluster at the moment.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In the order of [`place`], so that nothing depends on what happened in which order.
    documents: Vec<Document>,
    /// What objects were before they changed; `None` where they are new.
    before: BTreeMap<ObjectKey, Option<Document>>,
    refused: BTreeMap<KindName, Refused>,
}

/// Whether an event makes a difference to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The analysis may say something else.
    Some,
    /// It cannot.
    None,
}

impl State {
    /// All objects.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// What changed since this was asked last.
    pub fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (key, before) in std::mem::take(&mut self.before) {
            let now = self.find(&key).ok().map(|index| self.documents[index].clone());
            changes.before.extend(before);
            changes.now.extend(now);
        }
        changes
    }

    /// What may not be read.
    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.refused.values()
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: Event) -> Difference {
        let changed = match event {
            Event::Whole { kind, name, namespace, documents } => {
                self.replace(&kind, [namespace.as_deref(), name.as_deref()], documents)
            }
            Event::Changed(document) => self.put(*document),
            Event::Gone(document) => self.remove(&ObjectKey::of(&document)),
            Event::Refused { kind, refused: Some(refused) } => {
                self.refused.insert(kind, refused.clone()) != Some(refused)
            }
            Event::Refused { kind, refused: None } => self.refused.remove(&kind).is_some(),
            Event::Complete { .. } | Event::Lost { .. } | Event::Back | Event::Tick => false,
        };
        if changed { Difference::Some } else { Difference::None }
    }

    /// Puts all objects of a kind, or all of a namespace or of a name, for those that were known of it.
    fn replace(&mut self, kind: &KindName, only: [Option<&str>; 2], documents: Vec<Document>) -> bool {
        let of = |document: &Document| {
            let (group, own, namespace, name) = place(document);
            let chosen =
                only.iter().zip([namespace, name]).all(|(only, own)| only.is_none_or(|only| only == own));
            (group, own) == (&*kind.group, &*kind.kind) && chosen
        };
        let now: BTreeSet<ObjectKey> = documents.iter().map(ObjectKey::of).collect();
        let was: BTreeMap<ObjectKey, Document> = {
            let (own, others) = std::mem::take(&mut self.documents).into_iter().partition(of);
            self.documents = others;
            let own: Vec<Document> = own;
            own.into_iter().map(|document| (ObjectKey::of(&document), document)).collect()
        };
        let mut changed = false;
        for document in &documents {
            let key = ObjectKey::of(document);
            match was.get(&key) {
                Some(known) if is_same(known, document) => {}
                known => {
                    changed = true;
                    self.before.entry(key).or_insert_with(|| known.cloned());
                }
            }
        }
        for (key, document) in was.into_iter().filter(|(key, _)| !now.contains(key)) {
            changed = true;
            self.before.entry(key).or_insert(Some(document));
        }
        self.documents.extend(documents);
        self.documents.sort_by(|a, b| place(a).cmp(&place(b)));
        self.documents.dedup_by(|a, b| place(a) == place(b));
        changed
    }

    fn put(&mut self, document: Document) -> bool {
        let key = ObjectKey::of(&document);
        match self.find(&key) {
            Ok(index) => {
                let known = std::mem::replace(&mut self.documents[index], document);
                let same = is_same(&known, &self.documents[index]);
                if !same {
                    self.before.entry(key).or_insert(Some(known));
                }
                !same
            }
            Err(index) => {
                self.documents.insert(index, document);
                self.before.entry(key).or_insert(None);
                true
            }
        }
    }

    fn remove(&mut self, gone: &ObjectKey) -> bool {
        let Ok(index) = self.find(gone) else { return false };
        let known = self.documents.remove(index);
        self.before.entry(gone.clone()).or_insert(Some(known));
        true
    }

    fn find(&self, key: &ObjectKey) -> Result<usize, usize> {
        let wanted = (&*key.group, &*key.kind, &*key.namespace, &*key.name);
        self.documents.binary_search_by(|document| place(document).cmp(&wanted))
    }
}

/// API group, kind, namespace and name.
fn place(document: &Document) -> (&str, &str, &str, &str) {
    let group = document.api_version.split_once('/').map_or("", |(group, _)| group);
    let origin = &document.origin;
    (group, &origin.kind, &origin.namespace, &origin.name)
}

fn is_same(a: &Document, b: &Document) -> bool {
    a.body == b.body && a.api_version == b.api_version
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;
    use std::sync::Arc;

    fn pod(name: &str, label: &str) -> Document {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: a, labels: {{l: {label}}}}}"
        );
        source::parse(&Arc::from("pod.yaml"), &text).documents.remove(0)
    }

    fn whole(documents: Vec<Document>) -> Event {
        let kind = KindName { group: String::new(), kind: "Pod".to_owned() };
        Event::Whole { kind, name: None, namespace: None, documents }
    }

    fn names(state: &State) -> Vec<String> {
        state.documents().iter().map(|d| d.origin.name.to_string()).collect()
    }

    fn labels(documents: &[Document]) -> Vec<String> {
        let one = |d: &Document| {
            let label = d.body.path(&["metadata", "labels", "l"]).and_then(crate::model::Node::text);
            format!("{}={}", d.origin.name, label.unwrap_or_default())
        };
        documents.iter().map(one).collect()
    }

    #[test]
    fn changes_are_told_once_with_the_first_state_and_the_last() {
        let mut state = State::default();
        state.apply(whole(vec![pod("b", "x"), pod("a", "x")]));
        let changes = state.changes();
        assert_eq!(
            (labels(&changes.before), labels(&changes.now)),
            (vec![], vec!["a=x".into(), "b=x".into()])
        );
        assert!(state.changes().is_empty());
        state.apply(Event::Changed(Box::new(pod("a", "y"))));
        state.apply(Event::Changed(Box::new(pod("a", "z"))));
        state.apply(Event::Gone(Box::new(pod("b", "x"))));
        state.apply(Event::Changed(Box::new(pod("c", "x"))));
        let changes = state.changes();
        assert_eq!(labels(&changes.before), ["a=x", "b=x"]);
        assert_eq!(labels(&changes.now), ["a=z", "c=x"]);
        state.apply(whole(vec![pod("c", "y"), pod("a", "z")]));
        let changes = state.changes();
        assert_eq!((labels(&changes.before), labels(&changes.now)), (vec!["c=x".into()], vec!["c=y".into()]));
        assert_eq!(names(&state), ["a", "c"]);
    }

    #[test]
    fn a_list_that_says_what_is_known_makes_no_difference() {
        let mut state = State::default();
        assert_eq!(state.apply(whole(vec![pod("a", "x"), pod("b", "x"), pod("c", "x")])), Difference::Some);
        assert_eq!(state.apply(whole(vec![pod("c", "x"), pod("a", "x"), pod("b", "x")])), Difference::None);
        assert_eq!(state.apply(Event::Changed(Box::new(pod("a", "x")))), Difference::None);
        assert_eq!(state.apply(Event::Changed(Box::new(pod("a", "y")))), Difference::Some);
        assert_eq!(state.apply(whole(vec![pod("a", "y"), pod("c", "x")])), Difference::Some);
        assert_eq!(names(&state), ["a", "c"]);
    }

    #[test]
    fn what_is_gone_leaves_the_others_in_reach() {
        let mut state = State::default();
        state.apply(whole(vec![pod("a", "x"), pod("b", "x"), pod("c", "x")]));
        assert_eq!(state.apply(Event::Gone(Box::new(pod("a", "x")))), Difference::Some);
        assert_eq!(state.apply(Event::Gone(Box::new(pod("a", "x")))), Difference::None);
        assert_eq!(state.apply(Event::Gone(Box::new(pod("c", "x")))), Difference::Some);
        assert_eq!(names(&state), ["b"]);
        assert_eq!(state.apply(Event::Changed(Box::new(pod("b", "x")))), Difference::None);
    }
}
