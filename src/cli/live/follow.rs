//! What is told while a capture goes on: records of finished flows, findings when they first
//! appear, the table of open flows, or a line on how it goes.

use super::desk::Inbox;
use super::records::Records;
use super::table::{Colour, Look, screen};
use super::terminal::{Terminal, Typed};
use crate::analysis::{self, Analysis};
use crate::check::Outcome;
use crate::cli::Failure;
use crate::cli::say::say;
use crate::observed::{
    self, Announced, CaptureRead, Directory, FlowEnd, Glance, Handed, NOT_KEPT, NOT_WRITTEN, Observed,
    ObservedFlow, Party, Transport,
};
use crate::report::{self, Printable};
use crate::source::LiveCounters;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Write;
use std::time::{Duration, Instant};

/// Flows that are kept for the review and the last list; beyond, only those of a new kind.
const MOST_KEPT: usize = 200_000;
/// The same for the review, flows of a new kind among them.
const MOST_REVIEWED: usize = 2 * MOST_KEPT;
/// How often a line says how it goes, where there is no table.
const PROGRESS: Duration = Duration::from_secs(10);
/// Checks on what has not been seen: nobody knows before the end.
const AT_THE_END: &[&str] = &["allowed-but-unused", "unused-exception"];

/// What becomes of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// They are kept, and listed at the end.
    List,
    /// A record of each is written as soon as it is over.
    Records,
    /// They are reviewed; findings are told as text.
    CheckText,
    /// They are reviewed; findings are told as lines of JSON.
    CheckJson,
    /// They are kept and reviewed at the end.
    CheckAtTheEnd,
    /// They are written to files and nowhere else.
    FilesOnly,
}

/// Ends, transport and time of the first packet: enough to tell flows apart.
type Key = (FlowEnd, FlowEnd, Transport, u64);
/// What findings go by.
type Kind = (String, String, u16, Transport, &'static str, &'static str, String);

/// Everything that is known of flows so far.
pub struct Follow<'a> {
    analysis: Analysis,
    directory: Directory<'a>,
    manner: Manner,
    out: Box<dyn Write + 'a>,
    files: Option<Records>,
    record: report::Record,
    kept: HashMap<Key, ObservedFlow>,
    kinds: HashSet<Kind>,
    /// Flows that ended just now: their other legs may end with the next ones.
    waiting: Vec<Handed>,
    told: BTreeSet<String>,
    /// What flows that were told said of others to come.
    announced: Announced,
    /// How many flows are open, and all of them for the table.
    open: (usize, Vec<Glance>),
    begun: Instant,
    said: Instant,
    finished: u64,
    beyond: u64,
    /// The same for flows that no other that was kept is like.
    unlike: u64,
    lost: u64,
    fresh: bool,
}

impl<'a> Follow<'a> {
    /// Nothing was seen yet.
    pub fn new(
        mut analysis: Analysis,
        directory: Directory<'a>,
        name: String,
        manner: Manner,
        out: Box<dyn Write + 'a>,
        files: Option<Records>,
    ) -> Follow<'a> {
        let capture = CaptureRead { name, ..CaptureRead::default() };
        analysis.observed = Observed { captures: vec![capture], ..Observed::default() };
        let now = Instant::now();
        Follow {
            analysis,
            directory,
            manner,
            out,
            files,
            record: report::Record::default(),
            kept: HashMap::new(),
            kinds: HashSet::new(),
            waiting: Vec::new(),
            told: BTreeSet::new(),
            announced: Announced::default(),
            open: (0, Vec::new()),
            begun: now,
            said: now,
            finished: 0,
            beyond: 0,
            unlike: 0,
            lost: 0,
            fresh: true,
        }
    }

    /// Takes what came since the last time.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn take(&mut self, inbox: Inbox) -> Result<(), Failure> {
        let Inbox { mut judged, mut finished, open, lost } = inbox;
        self.lost += lost;
        self.open = open.unwrap_or_else(|| std::mem::take(&mut self.open));
        if self.reviews() {
            analysis::attribute(&mut judged, &self.directory);
            for seen in observed::join_few(judged) {
                self.keep(*seen);
            }
        }
        analysis::attribute(&mut finished, &self.directory);
        let new: hashbrown::HashSet<Key> = finished.iter().map(|seen| key(seen)).collect();
        let mut all = std::mem::take(&mut self.waiting);
        all.extend(finished);
        // Where one cannot be told, the others still go into files and the review.
        let mut told = Ok(());
        for seen in self.with_announced(observed::join_few(all)) {
            match new.contains(&key(&seen)) && seen.flow.seen.legs().is_empty() {
                true => self.waiting.push(seen),
                false => told = told.and(self.over(*seen)),
            }
        }
        self.flush_records();
        told.and_then(|()| self.tell()).and_then(|()| Ok(self.out.flush()?))
    }

    /// Flows that are over, with the verdicts of what announced them: that may be over with them.
    fn with_announced(&mut self, mut flows: Vec<Handed>) -> Vec<Handed> {
        flows.iter().for_each(|seen| self.announced.hear(seen));
        self.announced.bound();
        for seen in &mut flows {
            self.announced.judge(seen);
        }
        flows
    }

    /// Nobody takes what is told any more: the rest goes to files and reports alone.
    pub fn mute(&mut self) {
        self.out = Box::new(std::io::sink());
    }

    fn flush_records(&mut self) {
        let Some(files) = &mut self.files else { return };
        files.flush();
        if let Some(trouble) = files.trouble() {
            trouble.print();
            say!("  the capture goes on, and records are written as soon as that is possible");
        }
    }

    /// Takes what came last, and tells what is left; what was kept comes back, and what stopped that.
    pub fn end(mut self, inbox: Inbox, followed: analysis::Followed) -> (Analysis, Result<(), Failure>) {
        let mut told = self.take(inbox);
        if told.is_err() {
            self.mute();
        }
        for seen in std::mem::take(&mut self.waiting) {
            told = told.and(self.over(*seen));
        }
        self.flush_records();
        let missing = self.files.as_ref().map_or(0, Records::missing);
        self.analysis.observed.copies = followed.copies;
        self.analysis.observed.oddities = followed.oddities;
        for capture in &mut self.analysis.observed.captures {
            capture.packets = followed.packets;
        }
        let counts = [
            (NOT_KEPT, self.beyond),
            ("flows that were not reviewed: too many, and of kinds that no others show", self.unlike),
            ("flows that were lost: too many at once", self.lost),
            (NOT_WRITTEN, missing),
        ];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            self.analysis.observed.oddities.insert(what.to_owned(), count);
        }
        self.fresh = true;
        self.settle();
        told = told.and(self.tell_all()).and_then(|()| Ok(self.out.flush()?));
        let unwritten = (missing > 0).then(|| {
            let hint =
                "the error above says why; standard output and reports have them, where they were asked for";
            Failure::usage(format!("{missing} records could not be written"), hint)
        });
        (self.analysis, told.and(unwritten.map_or(Ok(()), Err)))
    }

    /// Whether flows are reviewed, also those that go on.
    pub fn reviews(&self) -> bool {
        matches!(self.manner, Manner::CheckText | Manner::CheckJson | Manner::CheckAtTheEnd)
    }

    /// A flow is over, and no leg of it is missing any more.
    fn over(&mut self, seen: ObservedFlow) -> Result<(), Failure> {
        self.finished += 1;
        let mut written = Ok(());
        analysis::learn(&mut self.analysis.observed.names, &seen, &self.directory);
        if self.manner == Manner::Records || self.files.is_some() {
            let line = self.record.of(&self.analysis, &seen);
            if let Some(files) = &mut self.files {
                files.write(line);
            }
            if self.manner == Manner::Records {
                // The file comes first: it is not lost where nobody reads.
                written = self.out.write_all(line);
            }
        }
        if !matches!(self.manner, Manner::Records | Manner::FilesOnly) {
            self.keep(seen);
        }
        Ok(written?)
    }

    fn keep(&mut self, seen: ObservedFlow) {
        // Its legs may have been kept before anybody knew that they are legs.
        for leg in seen.flow.seen.legs() {
            self.kept.remove(&(leg.initiator, leg.responder, seen.flow.transport, leg.first));
        }
        let known = self.kept.contains_key(&key(&seen));
        if !known && self.kept.len() >= MOST_KEPT {
            // A flood from made-up addresses is all of new kinds.
            let is_full = self.kept.len() >= MOST_REVIEWED;
            let is_new = self.reviews() && !self.kinds.contains(&kind(&seen));
            match (is_new, is_full) {
                (true, false) => {}
                (true, true) => self.unlike += 1,
                (false, _) => self.beyond += 1,
            }
            if !is_new || is_full {
                return;
            }
        }
        if self.reviews() {
            self.kinds.insert(kind(&seen));
        }
        self.fresh = true;
        self.kept.insert(key(&seen), seen);
    }

    /// Puts what was kept into the order of time.
    fn settle(&mut self) {
        let mut flows: Vec<ObservedFlow> = self.kept.values().cloned().collect();
        flows.sort_by_cached_key(key_by_time);
        let mut flows = flows.into();
        // What announced them may have ended after they did.
        observed::follow_announcements(&mut flows);
        self.analysis.observed.flows = flows;
    }

    /// Findings that are new; what is only known at the end waits until then.
    fn tell(&mut self) -> Result<(), Failure> {
        if !self.fresh || !matches!(self.manner, Manner::CheckText | Manner::CheckJson) {
            return Ok(());
        }
        self.fresh = false;
        self.settle();
        self.tell_where(|check| !AT_THE_END.contains(&check))
    }

    fn judge(&mut self) -> Outcome {
        let mut observed = std::mem::take(&mut self.analysis.observed);
        let outcome = analysis::judged(&self.analysis, &mut observed);
        self.analysis.observed = observed;
        outcome
    }

    fn tell_all(&mut self) -> Result<(), Failure> {
        match self.manner {
            Manner::CheckText | Manner::CheckJson => self.tell_where(|_| true)?,
            _ => return Ok(()),
        }
        let outcome = self.judge();
        let mut gaps = self.analysis.gaps.clone();
        gaps.extend(outcome.gaps);
        gaps.extend(analysis::undecided(&self.analysis));
        gaps.extend(observed::networks_apart(&self.analysis.observed));
        gaps.sort();
        match self.manner {
            Manner::CheckJson => gaps.iter().try_for_each(|gap| report::gap_line(gap, &mut self.out))?,
            _ => report::not_known(&gaps, &mut Printable::new(&mut self.out))?,
        }
        Ok(())
    }

    fn tell_where(&mut self, wanted: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let outcome = self.judge();
        for finding in outcome.findings.iter().filter(|finding| wanted(finding.check)) {
            if !self.told.insert(report::fingerprint_of(finding)) {
                continue;
            }
            match self.manner {
                Manner::CheckJson => report::finding_line(finding, &mut self.out)?,
                _ => report::finding_text(&self.analysis, finding, &mut Printable::new(&mut self.out))?,
            }
        }
        Ok(())
    }

    /// The screen of the table.
    pub fn draw(&self, terminal: &Terminal, typed: &Typed, colour: Colour, counters: &LiveCounters) {
        let look = Look { order: typed.order, only: typed.only.clone(), size: terminal.size(), colour };
        let head = format!("{}, {} over", self.state(counters), self.finished);
        let name = |glance: &Glance| {
            [glance.flow.initiator.ip, glance.flow.responder.ip]
                .map(|ip| report::party_name(&self.analysis, &self.directory.party(ip), ip))
        };
        terminal.show(&screen(&head, &self.open.1, &look, name));
    }

    /// A line on how it goes, now and then.
    pub fn progress(&mut self, counters: &LiveCounters) {
        if self.said.elapsed() >= PROGRESS {
            self.said = Instant::now();
            let (open, over) = (self.open.0, self.finished);
            say!("{}, {open} flows open, {over} over", self.state(counters));
        }
    }

    fn state(&self, counters: &LiveCounters) -> String {
        let lost = counters.dropped() + counters.interface_dropped();
        let gone: String = counters.gone().iter().map(|name| format!(", {name} is gone")).collect();
        format!("{} s, {} packets, {lost} dropped{gone}", self.begun.elapsed().as_secs(), counters.received())
    }
}

fn key(seen: &ObservedFlow) -> Key {
    (seen.flow.initiator, seen.flow.responder, seen.flow.transport, seen.flow.first)
}

fn key_by_time(seen: &ObservedFlow) -> (u64, FlowEnd, FlowEnd, Transport) {
    (seen.flow.first, seen.flow.initiator, seen.flow.responder, seen.flow.transport)
}

fn kind(seen: &ObservedFlow) -> Kind {
    // Whom nobody knows is known by the address.
    let end = |party: &Party, end: FlowEnd| match party {
        Party::Outside | Party::Unknown | Party::Unsettled(_) | Party::Group => end.ip.to_string(),
        party => format!("{party:?}"),
    };
    let (flow, detection) = (&seen.flow, &seen.detection);
    (
        end(&seen.initiator, flow.initiator),
        end(&seen.responder, flow.responder),
        flow.responder.port,
        flow.transport,
        detection.protocol,
        detection.protection.word(),
        detection.why.to_string(),
    )
}

/// Losses of the kernel and the interfaces, as counts beside the others.
pub fn losses(counters: &LiveCounters) -> BTreeMap<String, u64> {
    let counts = [
        ("packets that the kernel dropped: its buffer was full", counters.dropped()),
        ("packets that the interface dropped", counters.interface_dropped()),
    ];
    let lost = counts.into_iter().filter(|(_, count)| *count > 0).map(|(what, n)| (what.to_owned(), n));
    let gone = counters.gone().into_iter().map(|name| (format!("interfaces that went away: {name}"), 1));
    lost.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::model::{Protection, WhyUnknown};
    use crate::observed::{Counters, Detection, Flow, Handshake, Opening, Seen, StreamStart};
    use crate::policy::{Dataplane, DataplaneKind};
    use std::sync::Arc;

    /// A leg of one connection.
    fn leg(ends: [([u8; 4], u16); 2], first: u64) -> Handed {
        let [initiator, responder] = ends.map(|(ip, port)| FlowEnd { ip: ip.into(), port });
        let some = Counters { packets: 2, bytes: 200 };
        let opening = Some(Opening { initiator: 0x1a2b_3c4d, responder: Some(0x9f8e_7d6b), timestamp: 0 });
        let flow = Flow {
            initiator,
            responder,
            transport: Transport::Tcp,
            handshake: Handshake::Seen,
            forward: some,
            backward: some,
            first,
            last: first + 5,
            start: StreamStart::default(),
            via: Vec::new(),
            evicted: false,
            seen: Seen { opening, ..Seen::default() },
        };
        let protection = Protection::Unknown(WhyUnknown::NoMatch);
        let detection =
            Detection { protocol: "unknown", protection, why: "test".into(), facts: vec![], names: vec![] };
        Box::new(ObservedFlow::from((flow, Arc::new(detection))))
    }

    #[test]
    fn legs_that_were_judged_at_different_times_are_one_flow_in_the_end() {
        let analysis = analysis::declared(&[], Dataplane::new(DataplaneKind::Kubernetes));
        let inventory = analysis.inventory.clone();
        let directory = Directory::new(&inventory);
        let out = Box::new(std::io::sink());
        let mut follow = Follow::new(analysis, directory, "test".into(), Manner::CheckAtTheEnd, out, None);
        let outer = || leg([([203, 0, 113, 5], 4_000), ([192, 168, 1, 10], 30_080)], 100);
        let inner = || leg([([192, 168, 1, 10], 4_000), ([10, 1, 0, 7], 8_080)], 120);
        let inbox = |judged, finished| Inbox { judged, finished, ..Inbox::default() };
        follow.take(inbox(vec![outer()], vec![])).expect("nothing is written");
        follow.take(inbox(vec![inner()], vec![])).expect("nothing is written");
        follow.take(inbox(vec![], vec![outer()])).expect("nothing is written");
        follow.take(inbox(vec![], vec![inner()])).expect("nothing is written");
        let (analysis, told) = follow.end(Inbox::default(), analysis::Followed::default());
        told.expect("nothing is written");
        let flows: Vec<ObservedFlow> = analysis.observed.flows.iter().collect();
        let ends = |seen: &ObservedFlow| (seen.flow.initiator.ip.to_string(), seen.flow.responder.port);
        assert_eq!(flows.iter().map(ends).collect::<Vec<_>>(), [("203.0.113.5".to_owned(), 8_080)]);
    }

    #[test]
    fn a_data_connection_has_the_verdict_of_the_connection_that_announced_it() {
        let end = |ip: [u8; 4], port| (ip, port);
        let (client, server) = ([10, 1, 0, 7], [10, 1, 0, 9]);
        let control = |last| {
            let mut seen = leg([end(client, 40_000), end(server, 21)], 100);
            seen.flow.last = last;
            seen.flow.seen.opening = None;
            let facts = vec![("server_data_ports", "30000".into())];
            let protection = Protection::Plaintext(crate::model::Proof::Grammar);
            let detection =
                Detection { protocol: "ftp", protection, why: "test".into(), facts, names: vec![] };
            Box::new(ObservedFlow { detection: Arc::new(detection), ..*seen })
        };
        let data = |port| {
            let mut seen = leg([end(client, 40_001), end(server, port)], 5_000);
            seen.flow.seen.opening = None;
            seen
        };
        let inbox = |finished| Inbox { finished, ..Inbox::default() };
        // The control connection ends with the data, before it, and after it.
        let orders = [
            vec![vec![data(30_000), control(6_000), data(30_001)]],
            vec![vec![control(6_000)], vec![], vec![], vec![data(30_000), data(30_001)]],
            vec![vec![data(30_000), data(30_001)], vec![], vec![], vec![control(6_000)]],
        ];
        for order in orders {
            let analysis = analysis::declared(&[], Dataplane::new(DataplaneKind::Kubernetes));
            let inventory = analysis.inventory.clone();
            let directory = Directory::new(&inventory);
            let out = Box::new(std::io::sink());
            let mut follow =
                Follow::new(analysis, directory, "test".into(), Manner::CheckAtTheEnd, out, None);
            for finished in order {
                follow.take(inbox(finished)).expect("nothing is written");
            }
            let (analysis, _) = follow.end(Inbox::default(), analysis::Followed::default());
            let words = |seen: ObservedFlow| (seen.flow.responder.port, seen.detection.protection.word());
            let flows: BTreeMap<u16, &str> = analysis.observed.flows.iter().map(words).collect();
            assert_eq!(
                flows,
                BTreeMap::from([(21, "plaintext"), (30_000, "plaintext"), (30_001, "unknown")])
            );
        }
    }

    #[test]
    fn a_flood_from_made_up_addresses_is_kept_up_to_a_bound_and_counted_beyond() {
        let analysis = analysis::declared(&[], Dataplane::new(DataplaneKind::Kubernetes));
        let inventory = analysis.inventory.clone();
        let directory = Directory::new(&inventory);
        let out = Box::new(std::io::sink());
        let mut follow = Follow::new(analysis, directory, "test".into(), Manner::CheckAtTheEnd, out, None);
        let from = |number: u32, port| leg([(number.to_be_bytes(), port), ([10, 1, 0, 7], 80)], 100);
        for number in 0..MOST_REVIEWED as u32 + 10 {
            follow.keep(*from(number, 4_000));
        }
        // One that is like another, once there is no room, and one that is known already.
        follow.keep(*from(3, 4_001));
        follow.keep(*from(3, 4_000));
        assert_eq!((follow.kept.len(), follow.unlike, follow.beyond), (MOST_REVIEWED, 10, 1));
    }
}
