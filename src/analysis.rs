//! The pipeline on one screen, one line a stage. Same input, same answer; it cannot fail.

mod beside;
pub mod drift;
mod standing;

use crate::capture::{self, CaptureError, CaptureSummary, FlowLimits};
use crate::check::needs::{self, Needs};
use crate::check::replay::{Replay, replay};
use crate::check::{self, Evidence, Excepted, Finding};
use crate::contract::{self, Date, Knowledge, PlacedController, Setting, Subject};
pub use crate::contract::{Contract, Segmentation};
use crate::entry::{self, Entries};
use crate::exposure::{self, Exposures};
use crate::graph::diff::{self, Diff, Version};
use crate::graph::{AllowedGraph, KeptAlike, MeshMode, Notes};
use crate::inventory;
pub use crate::inventory::{Inventory, Tenancy, Workload, merged};
use crate::model::{Bend, Document, Gap, Origin, Problem, SnapshotHead, WantedKind, names};
use crate::observed::{
    self, Call, CaptureRead, Directory, Follower, Handed, Names, Observed, ObservedFlow, Party, Watch,
    Witness,
};
use crate::policy::{self, Dataplane, DataplaneKind, RuleSet};
pub use beside::{ChangedBeside, compared_beside};
pub use standing::Standing;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::IpAddr;

/// Everything that is known after a run.
#[derive(Debug)]
pub struct Analysis {
    /// Who exists.
    pub inventory: Inventory,
    /// Who may talk to whom.
    pub graph: AllowedGraph,
    /// What is known beside the graph.
    pub notes: Notes,
    /// What can be reached from outside.
    pub exposures: Exposures,
    /// Who does.
    pub observed: Observed,
    /// What people decided; empty where no contract was given.
    pub contract: Contract,
    /// Who belongs to which segment.
    pub segments: Segmentation,
    /// The day on which exceptions are judged.
    pub today: Date,
    /// What a person should look at, worst first.
    pub findings: Vec<Finding>,
    /// What somebody answers for, by an exception of the contract.
    pub excepted: Vec<Excepted>,
    /// How many findings were not shown because the contract turned their check off.
    pub off: BTreeMap<&'static str, usize>,
    /// What was not understood.
    pub gaps: Vec<Gap>,
    /// Objects that could not be used.
    pub problems: Vec<Problem>,
    /// Networks beside that of the cluster, each with who is on it and who may talk to whom there.
    pub networks: Vec<SecondaryNetwork>,
}

/// A network beside that of the cluster.
#[derive(Debug)]
pub struct SecondaryNetwork {
    /// Its name.
    pub name: String,
    /// The same questions, answered for it alone; gaps and problems stand with the cluster.
    pub analysis: Analysis,
}

/// Every kind that some room reads, each once, in the order of their names.
pub fn kinds() -> Vec<WantedKind> {
    let all = inventory::KINDS.iter().chain(entry::KINDS).copied().chain(policy::kinds());
    let mut by_name: BTreeMap<(&str, &str), WantedKind> = BTreeMap::new();
    for api in all {
        let versions = policy::versions(api.group, api.kind);
        by_name.entry((api.group, api.kind)).or_insert(WantedKind { api, versions });
    }
    by_name.into_values().collect()
}

/// Documents → who exists, and who may talk to whom.
pub fn declared(documents: &[Document], dataplane: Dataplane) -> Analysis {
    led_in(Cow::Borrowed(documents), dataplane, &[])
}

/// The same under a contract, as of a day: what people know of controllers counts, and what the
/// contract names and nobody is, is a problem.
pub fn declared_under(
    documents: &[Document],
    dataplane: Dataplane,
    contract: Contract,
    today: Date,
) -> Analysis {
    let analysis = led_in(Cow::Borrowed(documents), dataplane, &contract.controllers);
    under(analysis, contract, today)
}

/// The same of documents that nobody asks for again: their memory is given back as soon as everything
/// is read out of them.
pub fn declared_once(
    documents: Vec<Document>,
    dataplane: Dataplane,
    contract: Contract,
    today: Date,
) -> Analysis {
    let analysis = led_in(Cow::Owned(documents), dataplane, &contract.controllers);
    under(analysis, contract, today)
}

/// The dataplane with what the contract says of it, which counts more than what the documents show;
/// settings that nothing reads are problems.
pub fn set_up(mut dataplane: Dataplane, contract: &Contract) -> (Dataplane, Vec<Problem>) {
    let given = &contract.dataplane;
    dataplane.version = given.version.or(dataplane.version);
    let read = dataplane.kind.settings();
    let unread = given.settings.iter().filter(|(name, _)| !read.contains(&name.as_str()));
    let problem = |(name, setting): (&String, &Setting)| Problem {
        origin: Origin { kind: "".into(), name: "".into(), ..setting.origin.clone() },
        message: format!("no setting {name} of {} is read", dataplane.kind.name()),
        hint: hint_for_setting(name, dataplane.kind),
    };
    let problems = unread.map(problem).collect();
    let values = given.settings.iter().map(|(name, setting)| (name.clone(), setting.value.clone()));
    (dataplane.with_settings(values.collect()), problems)
}

fn hint_for_setting(name: &str, kind: DataplaneKind) -> String {
    let own = kind.settings();
    if let Some(near) = contract::nearest(name, own.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if let Some(other) = DataplaneKind::all().find(|other| other.settings().contains(&name)) {
        return format!("it is one of {}; is `engine` right?", other.name());
    }
    match own.is_empty() {
        true => "nothing about it depends on settings; is `engine` right?".to_owned(),
        false => format!("there are {}", own.join(", ")),
    }
}

fn led_in(documents: Cow<'_, [Document]>, dataplane: Dataplane, placed: &[PlacedController]) -> Analysis {
    let (who, rules) = rayon::join(|| inventory::read(&documents), || policy::read(&documents, &dataplane));
    let segments = segments(&who.0, &Contract::default());
    let entries = entry::read(&documents, &who.0, placed);
    joined(documents, who, rules, dataplane, entries, (KeptAlike::default(), segments))
}

/// Who exists, with what could not be read of it, and the rules → who may talk to whom.
fn joined(
    documents: Cow<'_, [Document]>,
    (mut inventory, mut problems): (Inventory, Vec<Problem>),
    mut rules: RuleSet,
    dataplane: Dataplane,
    mut entries: Entries,
    (kept, segments): (KeptAlike, Segmentation),
) -> Analysis {
    inventory.unseen = inventory::unseen(&documents, &inventory);
    let notes = Notes::of(&mut rules, &inventory, &dataplane);
    problems.extend(rules.problems);
    problems.append(&mut entries.problems);
    let again = if entries.has_absent_controllers() { rules.tiers.clone() } else { Vec::new() };
    let networks = secondary(&documents, &inventory, &dataplane);
    let mut gaps = rules.gaps;
    gaps.extend(inventory::without_template(&documents, &inventory));
    gaps.extend(inventory.unseen.iter().map(inventory::Unseen::gap));
    problems.iter_mut().for_each(|problem| find_column(problem, &documents));
    for head in documents.iter().filter_map(SnapshotHead::of) {
        match head {
            Ok(head) => gaps.extend(head.gaps()),
            Err(problem) => problems.push(problem),
        }
    }
    // Nothing below asks for what was written.
    drop(documents);
    let graph = AllowedGraph::build_again(&inventory, rules.tiers, rules.transport, dataplane, kept);
    let exposures = exposure::find(&inventory, &graph, entries, again);
    gaps.extend(graph.gaps.iter().cloned());
    gaps.extend(exposures.gaps.iter().cloned());
    gaps.extend(networks.iter().filter_map(not_walked));
    gaps.sort();
    problems.sort();
    Analysis { notes, exposures, gaps, problems, networks, ..Analysis::bare(inventory, graph, segments) }
}

/// Gives a problem whose line is known the column at which that line's first value begins.
fn find_column(problem: &mut Problem, documents: &[Document]) {
    let origin = &mut problem.origin;
    let here = |d: &&Document| d.origin.file == origin.file && d.origin.document == origin.document;
    if origin.column == 0 && origin.line > 0 {
        let found = documents.iter().filter(here).find_map(|d| d.body.column_at(origin.line));
        origin.column = found.unwrap_or(0);
    }
}

/// Networks beside that of the cluster, kept apart from it and from each other.
fn secondary(documents: &[Document], inventory: &Inventory, dataplane: &Dataplane) -> Vec<SecondaryNetwork> {
    let policies = policy::multi_network::read(documents);
    let one = |name: String| {
        let members = inventory.on_network(&name);
        let tiers = policies.tiers(|attachment| inventory.definitions.network(attachment) == name);
        let graph = AllowedGraph::build(&members, tiers, dataplane.clone());
        let segments = segments(&members, &Contract::default());
        SecondaryNetwork { name, analysis: Analysis::bare(members, graph, segments) }
    };
    inventory.secondary_networks().into_iter().map(one).collect()
}

/// What is not asked of a network beside that of the cluster.
fn not_walked(network: &SecondaryNetwork) -> Option<Gap> {
    let members = &network.analysis.inventory.workloads;
    let what = format!(
        "the network {} joins {} beside the network of the cluster: ways that lead over both are not \
         walked, and who is there outside of the cluster is not known",
        network.name,
        names::counted(members.len(), ["workload", "workloads"])
    );
    Some(Gap { what, origin: members.first()?.origin.clone(), bends: Bend::MayAllowMore })
}

/// The graphs that other dataplanes would make of the same documents.
pub fn elsewhere(analysis: &Analysis, documents: &[Document]) -> Vec<AllowedGraph> {
    let here = &analysis.graph.dataplane;
    let others = DataplaneKind::COMPARED.iter().filter(|kind| **kind != here.kind);
    let build = |kind: &DataplaneKind| {
        let dataplane = Dataplane::new(*kind);
        let rules = policy::read(documents, &dataplane);
        AllowedGraph::build(&analysis.inventory, rules.tiers, dataplane)
    };
    others.map(build).collect()
}

/// Puts an analysis under a contract, as of a day; what the contract names and nobody is, is a problem.
pub fn under(mut analysis: Analysis, contract: Contract, today: Date) -> Analysis {
    analysis.segments = segments(&analysis.inventory, &contract);
    bound(analysis, contract, today)
}

/// The same where it is known already what the contract comes to for those who exist.
fn bound(mut analysis: Analysis, contract: Contract, today: Date) -> Analysis {
    analysis.gaps.append(&mut analysis.segments.gaps);
    analysis.gaps.sort();
    analysis.problems.append(&mut analysis.segments.problems);
    analysis.problems.sort();
    (analysis.contract, analysis.today) = (contract, today);
    analysis
}

/// Who belongs where.
fn segments(inventory: &Inventory, contract: &Contract) -> Segmentation {
    let none = crate::model::Labels::new();
    let subjects: Vec<Vec<Subject<'_>>> = inventory
        .workloads
        .iter()
        .map(|workload| {
            let namespace = inventory.namespaces.get(&workload.name.namespace);
            let known = namespace.is_some_and(|namespace| namespace.origin.is_some());
            let of = |variant| subject(workload, variant, namespace.map_or(&none, |n| &n.labels), known);
            workload.variants.iter().map(of).collect()
        })
        .collect();
    Segmentation::build(contract, &subjects)
}

fn subject<'a>(
    workload: &'a Workload,
    variant: &'a inventory::Variant,
    namespace_labels: &'a crate::model::Labels,
    known: bool,
) -> Subject<'a> {
    Subject {
        workload: &workload.name,
        namespace_labels,
        namespace_known: if known { Knowledge::Whole } else { Knowledge::NameOnly },
        labels: &variant.labels,
        service_account: &variant.service_account,
        addresses: &variant.addresses,
    }
}

/// Leaves open what may be the leg behind a tunnel of an ambient mesh.
pub fn leave_open(analysis: &Analysis, observed: &mut Observed) {
    observed::leave_open(&mut observed.flows, |party| is_ambient(analysis, party));
}

/// What is to be said of observed flows against what is declared.
pub fn judged(analysis: &Analysis, observed: &mut Observed) -> check::Outcome {
    leave_open(analysis, observed);
    observed.tunnels = observed::tunnels_of_pods(&observed.flows, &analysis.inventory);
    let Analysis { inventory, graph, notes, exposures, contract, segments, today, .. } = analysis;
    let today = *today;
    let evidence = Evidence { inventory, graph, observed, notes, exposures, contract, segments, today };
    let unseen = Observed::default();
    let belonging: Vec<Segmentation> = analysis
        .networks
        .iter()
        .map(|network| self::segments(&network.analysis.inventory, contract))
        .collect();
    let beside = analysis.networks.iter().zip(&belonging).map(|(network, segments)| {
        let SecondaryNetwork { name, analysis } = network;
        let Analysis { inventory, graph, notes, exposures, .. } = analysis;
        let observed = &unseen;
        let evidence = Evidence { inventory, graph, observed, notes, exposures, contract, segments, today };
        check::Beside { name, evidence }
    });
    let networks: Vec<check::Beside<'_>> = beside.collect();
    check::run_with(&evidence, &networks)
}

/// What checks look at.
pub fn evidence(analysis: &Analysis) -> Evidence<'_> {
    let Analysis { inventory, graph, observed, notes, exposures, contract, segments, today, .. } = analysis;
    Evidence { inventory, graph, observed, notes, exposures, contract, segments, today: *today }
}

/// Of which flows nobody can tell whether they are protected.
pub fn undecided(analysis: &Analysis) -> Vec<Gap> {
    let mut gaps = observed::undecided(&analysis.observed, &analysis.inventory);
    gaps.extend(observed::tunnel_gaps(&analysis.observed, &analysis.inventory));
    gaps
}

/// Adds what was observed, and looks for leaks.
pub fn reviewed(mut analysis: Analysis, mut observed: Observed) -> Analysis {
    let outcome = judged(&analysis, &mut observed);
    analysis.findings = outcome.findings;
    analysis.excepted = outcome.excepted;
    analysis.off = outcome.off;
    analysis.gaps.extend(outcome.gaps);
    analysis.gaps.extend(observed::gaps(&observed));
    analysis.observed = observed;
    analysis.gaps.extend(undecided(&analysis));
    analysis.gaps.sort();
    analysis
}

/// What the observed flows need of policies.
pub fn needs(analysis: &Analysis) -> Needs {
    needs::needs(&evidence(analysis))
}

/// Whether a pod is in an ambient mesh.
fn is_ambient(analysis: &Analysis, party: &Party) -> bool {
    let Party::Endpoint { workload, variant } = party else { return false };
    let class = analysis.graph.class_of(*workload, *variant);
    analysis.graph.membership(class).is_some_and(|member| member.mode == MeshMode::IstioAmbient)
}

/// Two versions → what the second does that the first did not, and what becomes of observed flows.
pub fn compared(old: &Analysis, new: &Analysis, observed: &Observed) -> (Diff, Replay) {
    let homes = contract::homes([&old.segments, &new.segments]);
    let [old, new] = [(old, &homes[0]), (new, &homes[1])].map(|(analysis, homes)| Version {
        inventory: &analysis.inventory,
        graph: &analysis.graph,
        homes,
    });
    (diff::diff(&old, &new), replay(&old, &new, observed))
}

/// Memory for the first bytes of flows that are not judged yet.
const UNJUDGED_BYTES: usize = 12 << 20;

/// A capture and its name.
pub type NamedCapture<'a> = (String, Box<dyn Read + Send + 'a>);

/// Captures, merged on time → their flows, named and judged; inputs that are no captures are
/// returned and do not hide the others.
///
/// The answer is the same for any number of workers.
pub fn observe(
    captures: Vec<NamedCapture<'_>>,
    inventory: &Inventory,
    workers: usize,
) -> (Observed, Vec<(String, CaptureError)>) {
    let (names, inputs): (Vec<String>, Vec<_>) = captures.into_iter().unzip();
    let limits = FlowLimits { payload_bytes: UNJUDGED_BYTES, ..FlowLimits::default() };
    let directory = Directory::new(inventory);
    let mut witnesses: Vec<Witness<'_>> = (0..workers.max(1)).map(|_| Witness::new(&directory)).collect();
    let (summary, errors) = capture::read_in_parallel(inputs, limits, &mut witnesses);
    let mut flows = observed::join(Witness::flows(witnesses));
    observed::follow_announcements(&mut flows);
    let learned = Names::of_flows(&flows, |address| is_nameless(&directory, address));
    let bad: BTreeSet<usize> = errors.iter().map(|(number, _)| *number).collect();
    let good = names.iter().enumerate().filter(|(number, _)| !bad.contains(number)).map(|(_, name)| name);
    let captures = good.zip(summary.inputs).map(|(name, input)| CaptureRead {
        name: name.clone(),
        packets: input.packets,
        losses: input.losses,
    });
    let observed = Observed {
        flows,
        tunnels: Vec::new(),
        names: learned,
        captures: captures.collect(),
        copies: summary.copies,
        oddities: summary.oddities,
    };
    (observed, errors.into_iter().map(|(number, error)| (names[number].clone(), error)).collect())
}

/// Captures, merged on time, as they go on: who watches is told of every flow. What is known in
/// the end comes back; inputs that are no captures do not hide the others.
pub fn follow(
    captures: Vec<NamedCapture<'_>>,
    watch: &(dyn Watch + Sync),
) -> (Followed, Vec<(String, CaptureError)>) {
    let (names, inputs): (Vec<String>, Vec<_>) = captures.into_iter().unzip();
    // Where packets come slowly, the allocator would give to the kernel, which clears it, what is
    // needed again soon.
    let (payload_bytes, idle_bytes) = (UNJUDGED_BYTES, UNJUDGED_BYTES);
    let limits = FlowLimits { payload_bytes, idle_bytes, ..FlowLimits::default() };
    let mut follower = Follower::new(watch);
    let (summary, errors) = capture::read_in_parallel(inputs, limits, std::slice::from_mut(&mut follower));
    let errors = errors.into_iter().map(|(number, error)| (names[number].clone(), error)).collect();
    let CaptureSummary { packets, copies, oddities, .. } = summary;
    (Followed { packets, copies, oddities }, errors)
}

/// What is known of captures besides their flows.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// Packets read.
    pub packets: u64,
    /// Packets that were met again at another place and not counted twice.
    pub copies: u64,
    /// Malformed or surprising bytes, counted.
    pub oddities: BTreeMap<String, u64>,
}

/// Names the ends of flows, and turns those that were called by whom they seem to call.
pub fn attribute(flows: &mut [Handed], directory: &Directory<'_>) {
    for seen in flows {
        if directory.is_turned(&seen.flow) {
            seen.flow = seen.flow.clone().turned();
        }
        (seen.initiator, seen.responder) = observed::attribute(directory, &seen.flow);
    }
}

/// Learns the names that a flow gives to addresses outside.
pub fn learn(names: &mut Names, seen: &ObservedFlow, directory: &Directory<'_>) {
    names.learn(&seen.detection, Call::from(&seen.flow), |address| is_nameless(directory, address));
}

/// Whether no object gives a name to an address.
fn is_nameless(directory: &Directory<'_>, address: IpAddr) -> bool {
    matches!(directory.party(address), Party::Outside | Party::Unknown)
}

impl Analysis {
    /// What is known before anybody looked further.
    fn bare(inventory: Inventory, graph: AllowedGraph, segments: Segmentation) -> Analysis {
        let contract = Contract::default();
        Analysis {
            segments,
            inventory,
            graph,
            notes: Notes::default(),
            exposures: Exposures::default(),
            observed: Observed::default(),
            contract,
            today: Date::EPOCH,
            findings: Vec::new(),
            excepted: Vec::new(),
            off: BTreeMap::new(),
            gaps: Vec::new(),
            problems: Vec::new(),
            networks: Vec::new(),
        }
    }

    /// Policy objects that were read; one that counts for both directions counts once, and what a mesh does
    /// by default is none.
    pub fn policy_count(&self) -> usize {
        let objects: BTreeSet<_> = self
            .graph
            .policies
            .iter()
            .filter(|policy| !policy.origin.is_of_default())
            .map(|policy| (&policy.origin.namespace, &policy.origin.kind, &policy.origin.name))
            .collect();
        objects.len()
    }
}
