//! The objects of a followed cluster, each once, in one piece for the analysis.

use crate::cluster::{Event, KindName, Refused};
use crate::model::Document;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// API group, kind, namespace and name.
type Key = (String, String, String, String);

/// What is known of a cluster at the moment.
#[derive(Debug, Default)]
pub(super) struct State {
    documents: Vec<Document>,
    places: HashMap<Key, usize>,
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
    /// All objects, in no order.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// What may not be read.
    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.refused.values()
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: Event) -> Difference {
        let changed = match event {
            Event::Whole { kind, name, documents } => self.replace(&kind, name.as_deref(), documents),
            Event::Changed(document) => self.put(*document),
            Event::Gone(document) => self.remove(&key(&document)),
            Event::Refused { kind, refused: Some(refused) } => {
                self.refused.insert(kind, refused.clone()) != Some(refused)
            }
            Event::Refused { kind, refused: None } => self.refused.remove(&kind).is_some(),
            Event::Complete { .. } | Event::Lost { .. } | Event::Back | Event::Tick => false,
        };
        if changed { Difference::Some } else { Difference::None }
    }

    fn replace(&mut self, kind: &KindName, name: Option<&str>, documents: Vec<Document>) -> bool {
        let is_of = |key: &Key| {
            (&key.0, &key.1) == (&kind.group, &kind.kind) && name.is_none_or(|name| key.3 == name)
        };
        let now: BTreeSet<Key> = documents.iter().map(key).collect();
        let gone: Vec<Key> =
            self.places.keys().filter(|key| is_of(key) && !now.contains(*key)).cloned().collect();
        let mut changed = !gone.is_empty();
        for key in &gone {
            self.remove(key);
        }
        for document in documents {
            changed |= self.put(document);
        }
        changed
    }

    fn put(&mut self, document: Document) -> bool {
        let key = key(&document);
        match self.places.get(&key) {
            Some(place) => {
                let known = &mut self.documents[*place];
                let same = known.body == document.body && known.api_version == document.api_version;
                *known = document;
                !same
            }
            None => {
                self.places.insert(key, self.documents.len());
                self.documents.push(document);
                true
            }
        }
    }

    fn remove(&mut self, gone: &Key) -> bool {
        let Some(place) = self.places.remove(gone) else { return false };
        self.documents.swap_remove(place);
        if let Some(moved) = self.documents.get(place) {
            self.places.insert(key(moved), place);
        }
        true
    }
}

fn key(document: &Document) -> Key {
    let group = document.api_version.split_once('/').map_or("", |(group, _)| group);
    let origin = &document.origin;
    (group.to_owned(), origin.kind.to_string(), origin.namespace.to_string(), origin.name.to_string())
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
        Event::Whole { kind, name: None, documents }
    }

    fn names(state: &State) -> Vec<String> {
        let mut names: Vec<_> = state.documents().iter().map(|d| d.origin.name.to_string()).collect();
        names.sort();
        names
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
