//! What was typed. What it means is worked out in `settings`.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  watertight check manifests/                          review manifests before they are deployed
  helm template chart | watertight check -             review what a chart renders to
  watertight check manifests/ --capture node.pcap      compare with what a node has seen
  watertight graph manifests/ -f svg -o allowed.svg    draw who may talk to whom
  watertight graph manifests/ --what exposure          what can be reached from outside
  watertight explain shop/web data/db tcp/5432 manifests/
  watertight reach shop/web manifests/                 what it reaches when it is taken over
  watertight suggest manifests/ --capture node.pcap    policies for what was seen, proved
  watertight diff before/ after/                       what a change opens and closes
  watertight flows node.pcapng                         what a capture holds, a line a flow
  watertight capture -i any --duration 60s             the same, live
  watertight check --cluster                           review the cluster of the kubeconfig
  watertight drift manifests/ --cluster                what is live and was declared otherwise
  watertight watch -f json --listen 0.0.0.0:9402       what appears and goes, as events and metrics
  watertight snapshot -o cluster.yaml.zst              keep what that takes, without secrets

Exit codes: 0 nothing at or above --fail-on, 1 findings (explain: nothing can pass; suggest: the
proof fails), 2 could not do it, or could not read all of it.";

/// Who can talk to whom in a cluster, who does, and is it protected?
#[derive(Debug, Parser)]
#[command(name = "watertight", version, about, after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The review: allowed graph, observed flows, findings
    Check(Check),
    /// The graph itself: who may talk to whom
    Graph(Graph),
    /// What a capture holds: a line a flow, with protocol and protection
    Flows(Flows),
    /// What goes over an interface of this machine, a line a flow, or reviewed against manifests
    Capture(CaptureLive),
    /// Why two ends may or may not talk, rule by rule
    Explain(Explain),
    /// Blast radius: what a taken-over workload reaches, step by step
    Reach(Reach),
    /// Least-privilege policies for what was observed, proved before they are shown
    Suggest(Suggest),
    /// What a change opens, closes, or leaves without a guard
    Diff(Diff),
    /// What the analysis needs of a live cluster, in one file, without secrets
    Snapshot(Snapshot),
    /// What differs in effect between the declared and the live configuration
    Drift(Drift),
    /// Follows the live cluster: findings as they appear and go
    Watch(Watch),
    /// The checks and their pages
    Rules(Rules),
    /// What a shell needs to complete this command line, or a page of the manual
    Completions(Completions),
}

/// What the help puts the flags of every command under.
pub const EVERY_COMMAND: &str = "Options of every command";
/// … and those of them that are about clusters.
const OF_CLUSTERS: &str = "A live cluster, in place of manifests";

/// Flags of every command.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = EVERY_COMMAND)]
pub struct Common {
    /// text, markdown, html, json, sarif, junit, dot, svg, mermaid or csv; the help of a command has its own
    #[arg(short, long, global = true, value_name = "NAME")]
    pub format: Option<String>,
    /// Write to a file instead of standard output
    #[arg(short, long, global = true, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write a further report; may be repeated
    #[arg(long, global = true, value_name = "FORMAT=FILE")]
    pub report: Vec<String>,
    /// Which dataplane enforces the policies
    #[arg(long, global = true, value_name = "NAME", default_value = "auto")]
    pub engine: String,
    /// Read the live cluster of the kubeconfig, or the one around this pod, instead of manifests
    #[arg(long, global = true, help_heading = OF_CLUSTERS)]
    pub cluster: bool,
    /// The context of the kubeconfig; by default its current one
    #[arg(long, global = true, help_heading = OF_CLUSTERS, value_name = "NAME")]
    pub context: Option<String>,
    /// The kubeconfig; by default $KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, help_heading = OF_CLUSTERS, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Of a cluster: a namespace that is read where the cluster as a whole may not be; may be repeated
    #[arg(long, global = true, help_heading = OF_CLUSTERS, value_name = "NAME")]
    pub allowed_namespace: Vec<String>,
    /// The contract; by default watertight.yaml in the first folder or beside the first file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The day on which exceptions are judged; by default that of the clock
    #[arg(long, global = true, value_name = "YYYY-MM-DD")]
    pub today: Option<String>,
    /// The least severity that makes the exit code 1
    #[arg(long, global = true, value_enum, value_name = "SEVERITY", default_value_t = FailOn::Medium)]
    pub fail_on: FailOn,
    /// Gaps count as findings for the exit code
    #[arg(long, global = true)]
    pub strict: bool,
    /// No progress, no notes, and no summary at the end of a capture
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print what is being done
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to colour the live table of `capture`
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub color: Color,
    /// No progress bars
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Print the time of each stage and the peak memory to standard error
    #[arg(long, global = true, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    pub timings: Option<Timings>,
    /// Threads to use; all cores by default
    #[arg(long, global = true, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub threads: Option<usize>,
}

/// `check`
#[derive(Debug, ClapArgs)]
pub struct Check {
    /// Files or folders of manifests (Envoy's bootstrap files and config_dump too), or `-` for standard input
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Captures (pcap or pcapng, gzip or zstd too), or folders of them
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub capture: Vec<PathBuf>,
    /// Snapshots of the cluster, or folders of them: an address belongs to whom they show at the time
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub snapshot: Vec<PathBuf>,
    /// Report where other dataplanes would read these manifests differently
    #[arg(long)]
    pub portability: bool,
}

/// `graph`
#[derive(Debug, ClapArgs)]
pub struct Graph {
    /// Files or folders of manifests, or `-` for standard input
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Captures, for `--what observed` and `--what overlay`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub capture: Vec<PathBuf>,
    /// What to show
    #[arg(long, value_enum, default_value_t = What::Allowed)]
    pub what: What,
    /// What a node of a drawing stands for; by default large graphs are folded to namespaces
    #[arg(long, value_enum)]
    pub by: Option<By>,
    /// Only connections of this workload (`namespace/name`)
    #[arg(long, value_name = "WORKLOAD")]
    pub focus: Option<String>,
    /// Only connections of this namespace
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
}

/// `flows`
#[derive(Debug, ClapArgs)]
pub struct Flows {
    /// Captures (pcap or pcapng, gzip or zstd too), folders of them, or `-`
    #[arg(value_name = "CAPTURE", required = true)]
    pub captures: Vec<PathBuf>,
    /// Manifests that name the addresses
    #[arg(long, value_name = "PATH")]
    pub manifests: Vec<PathBuf>,
    /// Snapshots of the cluster, or folders of them: an address belongs to whom they show at the time
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub snapshot: Vec<PathBuf>,
}

/// `capture`
#[derive(Debug, ClapArgs)]
pub struct CaptureLive {
    /// An interface, or `any`; may be repeated
    #[arg(short, long, value_name = "IFACE", required = true)]
    pub interface: Vec<String>,
    /// Manifests that name the addresses
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub manifests: Vec<PathBuf>,
    /// Snapshots of the cluster, or folders of them: an address belongs to whom they show at the time
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub snapshot: Vec<PathBuf>,
    /// Review against these manifests (or those of --manifests and --snapshot): a finding is told
    /// when it first appears
    #[arg(long, value_name = "PATH", num_args = 0..)]
    pub check: Option<Vec<PathBuf>>,
    /// Sort the live table by this
    #[arg(long, value_enum, default_value_t = Sort::Bytes)]
    pub sort: Sort,
    /// Show only lines of the live table with this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub only: String,
    /// Write a record of each flow to files in this folder
    #[arg(long, value_name = "DIR")]
    pub write_records: Option<PathBuf>,
    /// Begin another file of records after this size or time: `100MB`, `64KiB`, `5m`, `1h`
    #[arg(long, value_name = "SIZE|TIME", default_value = "100MB")]
    pub rotate: String,
    /// Keep only so many of the newest files of records
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub keep: Option<usize>,
    /// Go on as this user once the interfaces are open; by default as the one who called sudo
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// A BPF filter, as in pcap-filter(7)
    #[arg(long, value_name = "BPF", default_value = "")]
    pub filter: String,
    /// Bytes kept of each packet; names, certificates and secrets in the clear need the default, or more
    #[arg(long, value_name = "BYTES", default_value_t = 16_640, value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub snaplen: u32,
    /// The kernel's buffer, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=2_047))]
    pub buffer: u32,
    /// End after this time: `90s`, `5m`, `2h`, or a number of seconds
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// End after so many packets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// `explain`
#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// `namespace/name`, `namespace/Kind/name`, an address, a block, or `dns:name`
    pub from: String,
    /// `namespace/name`, `namespace/Kind/name`, an address, a block, or `dns:name`
    pub to: String,
    /// `tcp/5432`, `tcp/8000-8100`, `tcp/NAME`, `udp`, `icmp` (all traffic where it is left out), then files or folders of manifests
    #[arg(value_name = "[PROTO/PORT] PATH")]
    pub rest: Vec<String>,
}

/// `reach`
#[derive(Debug, ClapArgs)]
pub struct Reach {
    /// `namespace/name` or `namespace/Kind/name`
    pub workload: String,
    /// Files or folders of manifests, or `-` for standard input
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// `suggest`
#[derive(Debug, ClapArgs)]
pub struct Suggest {
    /// Files or folders of manifests, or `-` for standard input
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Captures (pcap or pcapng, gzip or zstd too), or folders of them
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub capture: Vec<PathBuf>,
    /// Snapshots of the cluster, or folders of them: an address belongs to whom they show at the time
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub snapshot: Vec<PathBuf>,
}

/// `diff`
#[derive(Debug, ClapArgs)]
pub struct Diff {
    /// The version before: a file or folder of manifests, or `-`
    pub old: PathBuf,
    /// The version after
    #[arg(required_unless_present = "staged")]
    pub new: Option<PathBuf>,
    /// Instead of a version after: the first with its staged policies put into effect
    #[arg(long, conflicts_with = "new")]
    pub staged: bool,
    /// Captures: which observed flows would break, and which newly open paths are in use already
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub capture: Vec<PathBuf>,
    /// Snapshots of the cluster, or folders of them: an address belongs to whom they show at the time
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "capture")]
    pub snapshot: Vec<PathBuf>,
}

/// `snapshot`
#[derive(Debug, ClapArgs)]
pub struct Snapshot {
    /// Print the ClusterRole that reading a cluster takes, and read nothing
    #[arg(long)]
    pub rbac: bool,
}

/// `drift`
#[derive(Debug, ClapArgs)]
pub struct Drift {
    /// Files or folders of the declared manifests, or `-` for standard input
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Instead of `--cluster`: a snapshot, or other manifests that say what is live
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
}

/// `watch`
#[derive(Debug, ClapArgs)]
pub struct Watch {
    /// Where the contract lies; nothing else is read there
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Serve /metrics, /healthz and /readyz at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
}

/// `completions`
#[derive(Debug, ClapArgs)]
pub struct Completions {
    /// For which shell, or `man`
    #[arg(value_enum)]
    pub form: CompletionsFor,
}

/// `rules`
#[derive(Debug, ClapArgs)]
pub struct Rules {
    /// The check whose page to print
    pub name: Option<String>,
}

impl Command {
    /// Whatever is read of files: manifests, captures, snapshots.
    pub fn inputs(&self) -> Vec<&Path> {
        let lists: [&[PathBuf]; 3] = match self {
            Command::Check(args) => [&args.paths, &args.capture, &args.snapshot],
            Command::Graph(args) => [&args.paths, &args.capture, &[]],
            Command::Flows(args) => [&args.captures, &args.manifests, &args.snapshot],
            Command::Capture(args) => {
                [&args.manifests, &args.snapshot, args.check.as_deref().unwrap_or_default()]
            }
            Command::Explain(args) => return args.rest.iter().map(Path::new).collect(),
            Command::Reach(args) => [&args.paths, &[], &[]],
            Command::Suggest(args) => [&args.paths, &args.capture, &args.snapshot],
            Command::Diff(args) => {
                let versions = [std::slice::from_ref(&args.old), args.new.as_slice()];
                let beside = [args.capture.as_slice(), &args.snapshot];
                return versions.into_iter().chain(beside).flatten().map(PathBuf::as_path).collect();
            }
            Command::Drift(args) => [&args.paths, args.snapshot.as_slice(), &[]],
            Command::Snapshot(_) | Command::Watch(_) | Command::Rules(_) | Command::Completions(_) => {
                [&[], &[], &[]]
            }
        };
        lists.into_iter().flatten().map(PathBuf::as_path).collect()
    }
}

impl CaptureLive {
    /// Whether flows are reviewed.
    pub fn reviews(&self) -> bool {
        self.check.is_some()
    }

    /// All manifests that were named.
    pub fn all_manifests(&self) -> Vec<PathBuf> {
        self.manifests.iter().chain(self.check.iter().flatten()).cloned().collect()
    }
}

/// What `completions` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompletionsFor {
    /// bash.
    Bash,
    /// Elvish.
    Elvish,
    /// fish.
    Fish,
    /// PowerShell.
    Powershell,
    /// zsh.
    Zsh,
    /// `man`: the program in one page.
    Man,
}

/// What the live table is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Bytes of a flow.
    Bytes,
    /// Packets of a flow.
    Packets,
    /// The newest flows first.
    Newest,
}

/// Severities that `--fail-on` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Any finding.
    Low,
    /// Medium and worse.
    Medium,
    /// High and worse.
    High,
    /// Critical only.
    Critical,
    /// Nothing.
    Never,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How `--timings` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Timings {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What `graph` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// What configuration permits.
    Allowed,
    /// What was seen.
    Observed,
    /// What was seen over what is permitted.
    Overlay,
    /// Whom rules name that does not exist, and what they allow to it.
    Potential,
    /// What can be reached from outside, through which objects.
    Exposure,
}

/// What a node of a drawing stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Every workload.
    Workload,
    /// Workloads that are treated alike, as one.
    Class,
    /// Namespaces.
    Namespace,
    /// Every workload, in boxes of the segments of the contract.
    Segment,
}
