//! Who held which address when: pods come and go, and addresses are given out again.
//!
//! What a series of snapshots shows is certain at their moments; between them it follows from when
//! pods began and ended, and where that leaves a choice, nobody is chosen.

use crate::model::{Document, Instant, Node, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Namespace and name of a pod.
pub type PodName = (String, String);

/// The history of the addresses of pods, as a series of snapshots shows it; empty without one.
#[derive(Clone, Debug, Default)]
pub struct Tenancy {
    /// The moments, in order.
    moments: Vec<Instant>,
    /// For each address, who held it at each moment.
    holders: BTreeMap<IpAddr, Vec<Vec<Holder>>>,
    /// Without a series: when the pods that hold an address began, the first of them.
    begun: BTreeMap<IpAddr, Instant>,
}

/// Packets with an earlier time were written without a clock: there was no Kubernetes (2014-06-06).
const FIRST_CLUSTER: Instant = Instant(1_402_012_800_000_000_000);

/// A pod that held an address when a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    pod: PodName,
    /// `metadata.uid`; a pod that comes again under its name is another one.
    uid: String,
    /// `status.startTime`: before it, the pod had no address.
    begun: Option<Instant>,
    /// `metadata.deletionTimestamp`: after it, the pod may be gone.
    ends: Option<Instant>,
}

/// Who held an address at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// No snapshot shows it as the address of a pod.
    NeverByPods,
    /// By this pod, or by these that shared it.
    By(Vec<PodName>),
    /// Pods had it at other moments; why it is not known who had it then.
    NotKnown(Unsettled),
}

/// Why the holder of an address at a moment is not known, though pods held it at others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unsettled {
    /// It was before the first snapshot, and who had the address then had not begun yet.
    BeforeTheFirstSnapshot,
    /// It was before the pod that has the address in what was read began.
    BeforeItBegan,
    /// Two snapshots show different holders, and it was between them.
    ChangedHands,
    /// The snapshots around the moment show no holder, or one that had not begun.
    HeldByNobody,
    /// The holder was to be deleted by then.
    BeingDeleted,
    /// The flow went on while the address changed hands.
    AcrossAChange,
    /// Objects of several kinds hold it in what was read, as where the addresses of clusters overlap.
    HeldBySeveral,
}

impl Unsettled {
    /// A phrase that goes on "it is not known who held it:".
    pub fn why(self) -> &'static str {
        match self {
            Unsettled::BeforeTheFirstSnapshot => {
                "seen before the first snapshot, and a pod held it only later"
            }
            Unsettled::BeforeItBegan => "seen before the pod that holds it in what was read began",
            Unsettled::ChangedHands => "seen between two snapshots with different holders",
            Unsettled::HeldByNobody => "the snapshots around that moment show no holder",
            Unsettled::BeingDeleted => "seen after its holder was to be deleted",
            Unsettled::AcrossAChange => "the flow went on while the address changed hands",
            Unsettled::HeldBySeveral => "several objects that were read hold it",
        }
    }
}

impl Tenancy {
    /// Reads the addresses of pods out of a series in the order of time.
    pub fn of(series: &[Snapshot]) -> Tenancy {
        let mut tenancy = Tenancy::default();
        // A snapshot without pods that were asked for shows nothing of them.
        let series: Vec<&Snapshot> = series.iter().filter(|snapshot| snapshot.head.covers("Pod")).collect();
        for (number, snapshot) in series.iter().enumerate() {
            tenancy.moments.push(snapshot.head.taken_at);
            for (address, holder) in snapshot.documents.iter().flat_map(holdings) {
                let moments =
                    tenancy.holders.entry(address).or_insert_with(|| vec![Vec::new(); series.len()]);
                if !moments[number].contains(&holder) {
                    moments[number].push(holder);
                }
            }
        }
        tenancy
    }

    /// Reads out of objects that are no series since when pods have their addresses at the earliest.
    pub fn since(documents: &[Document]) -> Tenancy {
        let mut all: BTreeMap<IpAddr, Option<Instant>> = BTreeMap::new();
        for (address, holder) in documents.iter().flat_map(holdings) {
            // Of several, one that has no beginning may always have been there.
            let begun = all.entry(address).or_insert(holder.begun);
            *begun = (*begun).zip(holder.begun).map(|(one, other)| one.min(other));
        }
        let begun = all.into_iter().filter_map(|(address, begun)| Some((address, begun?))).collect();
        Tenancy { begun, ..Tenancy::default() }
    }

    /// Whether nothing is known of times.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty() && self.begun.is_empty()
    }

    /// Who held an address at a moment.
    pub fn holder(&self, address: IpAddr, at: Instant) -> Held {
        if self.begun.get(&address).is_some_and(|begun| (FIRST_CLUSTER..*begun).contains(&at)) {
            return Held::NotKnown(Unsettled::BeforeItBegan);
        }
        let Some(history) = self.holders.get(&address) else { return Held::NeverByPods };
        // Snapshots up to and including the moment.
        let passed = self.moments.partition_point(|taken| *taken <= at);
        let before: &[Holder] = passed.checked_sub(1).map_or(&[], |last| &history[last]);
        let after: &[Holder] = history.get(passed).map_or(&[], Vec::as_slice);
        // Who is there at the next snapshot and had begun by then, was there.
        let begun: Vec<&Holder> =
            after.iter().filter(|holder| holder.begun.is_some_and(|begun| begun <= at)).collect();
        let stayed: Vec<&Holder> = before.iter().filter(|holder| holder.is_among(after)).collect();
        let present = if stayed.is_empty() { begun } else { stayed };
        if !present.is_empty() {
            return Held::By(names(&present));
        }
        if passed == 0 {
            return Held::NotKnown(Unsettled::BeforeTheFirstSnapshot);
        }
        let known_until_next: Vec<&Holder> =
            before.iter().filter(|holder| holder.ends.is_none_or(|ends| at <= ends)).collect();
        let exact = self.moments[passed - 1] == at;
        match (before.is_empty(), known_until_next.is_empty(), after.is_empty()) {
            (true, ..) => Held::NotKnown(Unsettled::HeldByNobody),
            (false, false, _) if exact => Held::By(names(&known_until_next)),
            (false, _, false) => Held::NotKnown(Unsettled::ChangedHands),
            (false, true, true) => Held::NotKnown(Unsettled::BeingDeleted),
            (false, false, true) => Held::By(names(&known_until_next)),
        }
    }

    /// Who held an address while a flow went on, by its first and its last packet.
    pub fn holder_during(&self, address: IpAddr, first: Instant, last: Instant) -> Held {
        let (begin, end) = (self.holder(address, first), self.holder(address, last));
        match (&begin, &end) {
            (Held::By(one), Held::By(other)) if one != other => Held::NotKnown(Unsettled::AcrossAChange),
            (Held::By(_), Held::NotKnown(why)) => Held::NotKnown(*why),
            _ => begin,
        }
    }
}

impl Holder {
    fn is_among(&self, others: &[Holder]) -> bool {
        // Without uids, one name that began at one time is one pod.
        let same = |other: &&Holder| match (self.uid.as_str(), other.uid.as_str()) {
            ("", _) | (_, "") => self.pod == other.pod && self.begun == other.begun,
            (one, other) => one == other,
        };
        others.iter().any(|other| same(&other))
    }
}

/// Each pod once, in order.
fn names(holders: &[&Holder]) -> Vec<PodName> {
    holders.iter().map(|holder| holder.pod.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The addresses of a pod that runs on its own network: those of the host network are the node's.
fn holdings(document: &Document) -> Vec<(IpAddr, Holder)> {
    if document.api_version != "v1" || &*document.origin.kind != "Pod" {
        return Vec::new();
    }
    let body = &document.body;
    let text = |path: &[&str]| body.path(path).and_then(Node::text);
    let moment = |path: &[&str]| text(path).and_then(Instant::parse);
    let host = body.path(&["spec", "hostNetwork"]).and_then(Node::bool) == Some(true);
    // A pod that has finished has given its address back, also where its status still shows it.
    let finished = matches!(text(&["status", "phase"]), Some("Succeeded" | "Failed"));
    if host || finished {
        return Vec::new();
    }
    let holder = Holder {
        pod: (document.namespace().to_owned(), document.origin.name.to_string()),
        uid: text(&["metadata", "uid"]).unwrap_or_default().to_owned(),
        begun: moment(&["status", "startTime"]).or_else(|| moment(&["metadata", "creationTimestamp"])),
        ends: moment(&["metadata", "deletionTimestamp"]),
    };
    let listed = body.path(&["status", "podIPs"]).map_or(&[][..], Node::items);
    let all = listed.iter().filter_map(|item| item.text_of("ip")).chain(text(&["status", "podIP"]));
    let addresses: BTreeSet<IpAddr> = all.filter_map(|address| address.parse().ok()).collect();
    addresses.into_iter().map(|address| (address, holder.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Origin, SnapshotHead, Text, Value};

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 7));

    fn origin() -> Origin {
        let none = Text::default();
        let (kind, namespace, name, rule) = (none.clone(), none.clone(), none.clone(), none.clone());
        Origin { file: "".into(), document: 1, line: 1, column: 1, kind, namespace, name, rule }
    }

    /// Seconds, so that tables read well.
    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    fn time(seconds: u64) -> String {
        format!("1970-01-01T00:{:02}:{:02}Z", seconds / 60, seconds % 60)
    }

    /// A pod by name, with its beginning and its end in seconds.
    fn pod(name: &str, begun: u64, ends: Option<u64>) -> Document {
        let node = |value: Value| Node { line: 1, column: 1, value };
        let text = |text: &str| node(Value::Text(text.into()));
        let map = |fields: Vec<(&str, Node)>| {
            node(Value::Map(fields.into_iter().map(|(key, value)| (key.into(), value)).collect()))
        };
        let mut metadata = vec![("name", text(name)), ("uid", text(name))];
        metadata.extend(ends.map(|ends| ("deletionTimestamp", text(&time(ends)))));
        let status = vec![("podIP", text("10.1.0.7")), ("startTime", text(&time(begun)))];
        let mut origin = origin();
        (origin.kind, origin.namespace, origin.name) = ("Pod".into(), "shop".into(), name.into());
        let body = map(vec![("metadata", map(metadata)), ("status", map(status))]);
        Document { origin, api_version: "v1".into(), body }
    }

    fn series(moments: Vec<(u64, Vec<Document>)>) -> Tenancy {
        let snapshot = |(seconds, documents)| {
            let origin = origin();
            let head = SnapshotHead {
                taken_at: at(seconds),
                cluster: String::new(),
                reads: Vec::new(),
                forbidden: Vec::new(),
                origin,
            };
            Snapshot { head, documents }
        };
        Tenancy::of(&moments.into_iter().map(snapshot).collect::<Vec<_>>())
    }

    fn by(name: &str) -> Held {
        Held::By(vec![("shop".to_owned(), name.to_owned())])
    }

    #[test]
    fn an_address_that_changes_hands_is_unknown_until_the_next_holder_begins() {
        let tenancy =
            series(vec![(100, vec![pod("web", 50, None)]), (200, vec![pod("db", 150, None)]), (300, vec![])]);
        let rows = [
            (40, Held::NotKnown(Unsettled::BeforeTheFirstSnapshot)),
            (60, by("web")),
            (100, by("web")),
            (120, Held::NotKnown(Unsettled::ChangedHands)),
            (150, by("db")),
            (200, by("db")),
            (250, by("db")),
            (300, Held::NotKnown(Unsettled::HeldByNobody)),
            (900, Held::NotKnown(Unsettled::HeldByNobody)),
        ];
        for (seconds, held) in rows {
            assert_eq!(tenancy.holder(ADDRESS, at(seconds)), held, "{seconds}");
        }
        assert_eq!(tenancy.holder(IpAddr::from([10, 1, 0, 8]), at(100)), Held::NeverByPods);
        assert_eq!(tenancy.holder_during(ADDRESS, at(60), at(90)), by("web"));
        let across = Held::NotKnown(Unsettled::AcrossAChange);
        assert_eq!(tenancy.holder_during(ADDRESS, at(90), at(160)), across);
        let until = Held::NotKnown(Unsettled::ChangedHands);
        assert_eq!(tenancy.holder_during(ADDRESS, at(90), at(110)), until);
    }

    #[test]
    fn one_pod_of_both_snapshots_held_it_all_the_time() {
        let web = || pod("web", 50, None);
        let tenancy = series(vec![(100, vec![web()]), (200, vec![web()])]);
        assert_eq!(tenancy.holder(ADDRESS, at(150)), by("web"));
        assert_eq!(tenancy.holder(ADDRESS, at(5_000)), by("web"));
    }

    #[test]
    fn a_pod_that_is_being_deleted_holds_it_until_its_time_has_come() {
        let tenancy = series(vec![(100, vec![pod("web", 50, Some(130))])]);
        assert_eq!(tenancy.holder(ADDRESS, at(130)), by("web"));
        assert_eq!(tenancy.holder(ADDRESS, at(131)), Held::NotKnown(Unsettled::BeingDeleted));
        // Until the deletion time it is still there, but who came next is known only from its beginning.
        let next = series(vec![(100, vec![pod("web", 50, Some(130))]), (200, vec![pod("db", 180, None)])]);
        assert_eq!(next.holder(ADDRESS, at(140)), Held::NotKnown(Unsettled::ChangedHands));
        assert_eq!(next.holder(ADDRESS, at(180)), by("db"));
    }

    #[test]
    fn a_pod_that_comes_again_under_its_name_is_another_one() {
        let (first, mut second) = (pod("db-0", 50, None), pod("db-0", 150, None));
        if let Value::Map(fields) = &mut second.body.value
            && let Value::Map(metadata) = &mut fields[0].1.value
        {
            metadata[1].1.value = Value::Text("another".into());
        }
        let tenancy = series(vec![(100, vec![first]), (200, vec![second])]);
        assert_eq!(tenancy.holder(ADDRESS, at(120)), Held::NotKnown(Unsettled::ChangedHands));
        assert_eq!(tenancy.holder(ADDRESS, at(160)), by("db-0"));
    }

    #[test]
    fn two_that_show_the_address_at_one_moment_share_it() {
        let tenancy = series(vec![(100, vec![pod("b", 50, None), pod("a", 60, None)])]);
        let both = vec![("shop".to_owned(), "a".to_owned()), ("shop".to_owned(), "b".to_owned())];
        assert_eq!(tenancy.holder(ADDRESS, at(110)), Held::By(both));
    }
}
