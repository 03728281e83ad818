//! An analysis that is kept while its documents change says what one from nothing says.
//!
//! Every example of the pages and every world goes through a chain of changes: objects go, come back,
//! lose a label or a field. After each step the kept analysis is compared with a new one.

mod common;
#[path = "common/random.rs"]
#[allow(dead_code, reason = "each test takes the kinds of numbers that it needs")]
mod random;

use random::Random;
use std::collections::BTreeMap;
use watertight::analysis::{self, Contract, Standing};
use watertight::contract::Date;
use watertight::model::{Changes, Document, Node, ObjectKey, Value};
use watertight::observed::Observed;
use watertight::policy::{self, ENGINES};

type Objects = BTreeMap<ObjectKey, Document>;

/// The documents in one order.
fn list(objects: &Objects) -> Vec<Document> {
    objects.values().cloned().collect()
}

/// Everything that is said of documents, and how the graph numbers what it is made of.
fn told(analysis: &analysis::Analysis) -> String {
    let graph = &analysis.graph;
    let inner = format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        analysis.inventory,
        graph.tiers,
        graph.policies,
        graph.rules,
        graph.classes(),
        analysis.segments
    );
    [common::examples::answer(analysis), inner].join("\n\n")
}

fn from_nothing(documents: &[Document]) -> String {
    let dataplane = policy::detect(documents);
    let declared = analysis::declared_under(documents, dataplane, Contract::default(), Date::EPOCH);
    told(&analysis::reviewed(declared, Observed::default()))
}

/// One change of one object: it goes, comes, or is other than it was.
fn step(all: &[Document], objects: &mut Objects, dice: &mut Random, changes: &mut Changes) {
    let document = &all[dice.below(all.len())];
    let key = ObjectKey::of(document);
    let before = objects.get(&key).cloned();
    let now = match (&before, dice.below(3)) {
        (Some(_), 0) => None,
        (Some(known), 1) => {
            let mut other = known.clone();
            spoil(&mut other.body, dice);
            Some(other)
        }
        _ => Some(document.clone()),
    };
    match &now {
        Some(now) => drop(objects.insert(key, now.clone())),
        None => drop(objects.remove(&key)),
    }
    changes.before.extend(before);
    changes.now.extend(now);
}

/// Takes one field away somewhere inside of an object, or puts another text there; its names stay.
fn spoil(node: &mut Node, dice: &mut Random) {
    match &mut node.value {
        Value::Map(fields) => {
            let names = ["kind", "apiVersion", "name", "namespace"];
            let places: Vec<usize> =
                (0..fields.len()).filter(|index| !names.contains(&&*fields[*index].0)).collect();
            let Some(place) = (!places.is_empty()).then(|| places[dice.below(places.len())]) else { return };
            let deep = matches!(fields[place].1.value, Value::Map(_) | Value::List(_));
            match deep && dice.below(4) > 0 {
                true => spoil(&mut fields[place].1, dice),
                false if dice.below(2) == 0 => {
                    node.change_fields(|fields| drop(fields.remove(place)));
                }
                false => fields[place].1.value = Value::Text("other".into()),
            }
        }
        Value::List(items) if !items.is_empty() => {
            let place = dice.below(items.len());
            match dice.below(3) {
                0 => node.change_items(|items| drop(items.remove(place))),
                _ => spoil(&mut items[place], dice),
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_kept_says_what_is_said_from_nothing() {
    let mut dice = Random(11);
    let (mut steps, mut failures) = (0, Vec::new());
    for (name, documents) in common::examples::all() {
        let mut objects: Objects = documents.iter().map(|d| (ObjectKey::of(d), d.clone())).collect();
        if objects.is_empty() {
            continue;
        }
        let mut standing = Standing::new(None, Contract::default());
        standing.renew(&list(&objects), &Changes::default(), Vec::new(), Date::EPOCH);
        for number in 0..5 {
            let mut changes = Changes::default();
            step(&documents, &mut objects, &mut dice, &mut changes);
            let now = list(&objects);
            let kept = told(standing.renew(&now, &changes, Vec::new(), Date::EPOCH));
            let fresh = from_nothing(&now);
            steps += 1;
            if kept != fresh {
                let differs = kept.lines().zip(fresh.lines()).find(|(a, b)| a != b);
                let what = changes.all().map(|d| format!("{:?}", ObjectKey::of(d)));
                failures.push(format!("{name} step {number}: {:?}\n{differs:?}", what.collect::<Vec<_>>()));
                break;
            }
        }
    }
    assert!(steps > 2_000, "only {steps} steps were taken");
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn engines_read_nothing_of_what_they_say_they_do_not() {
    for (name, documents) in common::examples::all() {
        let dataplane = policy::detect(&documents);
        let showing: Vec<Document> =
            documents.iter().filter(|d| policy::may_show_dataplane(d)).cloned().collect();
        assert_eq!(policy::detect(&showing), dataplane, "{name}");
        for engine in ENGINES {
            let read: Vec<Document> = documents.iter().filter(|d| engine.reads(d)).cloned().collect();
            let (some, all) = (engine.lower(&read, &dataplane), engine.lower(&documents, &dataplane));
            assert_eq!(format!("{some:?}"), format!("{all:?}"), "{name}: {}", engine.name());
            // What is said because pods are there is said because of one of them.
            let (pods, others): (Vec<Document>, Vec<Document>) =
                read.into_iter().partition(|d| &*d.origin.kind == "Pod" && d.api_version == "v1");
            let alone = |document: &Document| engine.lower(std::slice::from_ref(document), &dataplane);
            let silent = engine.lower(&others, &dataplane).is_empty();
            let shown = pods.iter().any(|document| !alone(document).is_empty());
            assert!(all.is_empty() || !silent || shown, "{name}: no pod alone shows {}", engine.name());
        }
    }
}
