//! One file for each command, and what they share: reading, reporting, timing. Where they write is in
//! `output`.

mod capture;
mod check;
mod completions;
mod diff;
mod drift;
mod explain;
mod flows;
mod graph;
mod live;
mod output;
mod reach;
mod rules;
mod snapshot;
mod suggest;
mod watch;

use super::args::{Args, Command, Common, Timings};
use super::failure::print_problem;
use super::say::say;
use super::settings::{self, Target};
use super::{Failure, FailureKind};
use crate::analysis::{self, Analysis, Tenancy};
use crate::contract::{self, Contract};
use crate::model::{Bend, Gap, Origin, Problem};
use crate::observed::{self, Observed};
use crate::policy;
use crate::report::View;
use crate::source;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Each worker walks all packets: more than these gain nothing.
const MOST_WORKERS: usize = 4;

/// Runs the command that was typed.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    agree(&args)?;
    let mut session = Session::new(args.common)?;
    let code = match args.command {
        Command::Check(args) => check::run(&mut session, &args),
        Command::Graph(args) => graph::run(&mut session, &args),
        Command::Flows(args) => flows::run(&mut session, &args),
        Command::Capture(args) => capture::run(&mut session, &args),
        Command::Explain(args) => explain::run(&mut session, &args),
        Command::Reach(args) => reach::run(&mut session, &args),
        Command::Suggest(args) => suggest::run(&mut session, &args),
        Command::Diff(args) => diff::run(&mut session, &args),
        Command::Drift(args) => drift::run(&mut session, &args),
        Command::Watch(args) => watch::run(&mut session, &args),
        Command::Snapshot(args) => snapshot::run(&mut session, &args),
        Command::Rules(args) => rules::run(&session, &args),
        Command::Completions(args) => completions::run(&session, &args),
    }?;
    session.print_timings();
    Ok(code)
}

/// What was typed must not contradict itself: nothing that was asked for is passed over.
fn agree(args: &Args) -> Result<(), Failure> {
    if args.command.inputs().into_iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        let hint = "it can be read once: name a file in place of one of them";
        return Err(Failure::usage("`-` is named more than once", hint));
    }
    let Common { cluster, context, kubeconfig, allowed_namespace, .. } = &args.common;
    let of_clusters = [
        ("--context", context.is_some()),
        ("--kubeconfig", kubeconfig.is_some()),
        ("--allowed-namespace", !allowed_namespace.is_empty()),
    ];
    let live = *cluster || matches!(args.command, Command::Snapshot(_) | Command::Watch(_));
    match of_clusters.into_iter().find(|(_, given)| *given && !live) {
        Some((flag, _)) => Err(Failure::usage(
            format!("{flag} is about a cluster, and none is read"),
            "--cluster reads one, in place of manifests; `drift` compares both",
        )),
        None => Ok(()),
    }
}

/// What a command carries along: flags, stage times, problems.
struct Session {
    common: Common,
    stages: Vec<(&'static str, Duration)>,
    broken: bool,
    /// Captures that could not be read, or not to their end.
    unread: Vec<Problem>,
}

/// What was read for one analysis.
struct Written {
    manifests: source::Reading,
    contract: Contract,
    /// Problems of the contract.
    found: Vec<Problem>,
    /// What could not be read of a cluster.
    gaps: Vec<Gap>,
    /// What `--engine` or the contract says.
    engine: String,
    today: contract::Date,
    /// Who held which address when, by snapshots.
    tenancy: Tenancy,
}

impl Session {
    fn new(common: Common) -> Result<Session, Failure> {
        if let Some(threads) = common.threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
            pool.map_err(|error| {
                Failure::usage(
                    format!("--threads {threads}: {error}"),
                    "as many as the machine has cores are enough",
                )
            })?;
        }
        Ok(Session { common, stages: Vec::new(), broken: false, unread: Vec::new() })
    }

    fn timed<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.stages.push((stage, start.elapsed()));
        result
    }

    /// Reads manifests and builds the graph; problems are printed as they stand.
    fn declared(&mut self, paths: &[PathBuf]) -> Result<Analysis, Failure> {
        self.declared_in(paths, &[])
    }

    /// The same with a series of snapshots, which say who existed and who held which address when.
    fn declared_in(&mut self, paths: &[PathBuf], snapshots: &[PathBuf]) -> Result<Analysis, Failure> {
        let mut read = self.read_in(paths, snapshots)?;
        read.found.extend(nothing_read(&read.manifests, paths));
        let dataplane = Self::dataplane(&mut read)?;
        Ok(self.analysed(read, dataplane))
    }

    /// The same, with the graphs that other dataplanes would make of the manifests.
    fn declared_elsewhere(&mut self, paths: &[PathBuf], snapshots: &[PathBuf]) -> Result<Analysis, Failure> {
        let mut read = self.read_in(paths, snapshots)?;
        read.found.extend(nothing_read(&read.manifests, paths));
        let documents = read.manifests.documents.clone();
        let dataplane = Self::dataplane(&mut read)?;
        let mut analysis = self.analysed(read, dataplane);
        let elsewhere = self.timed("portability", || analysis::elsewhere(&analysis, &documents));
        analysis.notes.elsewhere = elsewhere;
        Ok(analysis)
    }

    /// The dataplane that was named, or the one that the documents show, set up as the contract says.
    fn dataplane(read: &mut Written) -> Result<policy::Dataplane, Failure> {
        let documents = &read.manifests.documents;
        let dataplane = match settings::dataplane(&read.engine)? {
            Some(chosen) => policy::configured(chosen, documents),
            None => policy::detect(documents),
        };
        let (dataplane, problems) = analysis::set_up(dataplane, &read.contract);
        read.found.extend(problems);
        Ok(dataplane)
    }

    /// Reads manifests and the contract beside them; nothing is worked out yet.
    fn read(&mut self, paths: &[PathBuf]) -> Result<Written, Failure> {
        let today = settings::today(&self.common)?;
        let (contract, found) = self.contract(paths)?;
        let engine = self.engine(&contract);
        let (manifests, gaps) = match self.common.cluster && paths.is_empty() {
            true => live::reading(self)?,
            false => {
                let bar = self.progress("reading manifests");
                let reading = self.timed("parse", || source::read_manifests(paths));
                bar.finish_and_clear();
                (reading, Vec::new())
            }
        };
        let tenancy = Tenancy::since(&manifests.documents);
        Ok(Written { manifests, contract, found, gaps, engine, today, tenancy })
    }

    /// The same with a series of snapshots; without manifests, the last of them says what is permitted.
    fn read_in(&mut self, paths: &[PathBuf], snapshots: &[PathBuf]) -> Result<Written, Failure> {
        if snapshots.is_empty() {
            return self.read(paths);
        }
        let (series, problems) = self.timed("snapshots", || source::read_snapshots(snapshots));
        let mut written = match paths.is_empty() && !self.common.cluster {
            false => self.read(paths)?,
            true => {
                let today = settings::today(&self.common)?;
                let (contract, found) = self.contract(snapshots)?;
                let (engine, tenancy, gaps) = (self.engine(&contract), Tenancy::default(), Vec::new());
                let manifests = source::Reading::default();
                Written { manifests, contract, found, gaps, engine, today, tenancy }
            }
        };
        written.manifests.problems.extend(problems);
        written.tenancy = Tenancy::of(&series);
        let merged = analysis::merged(std::mem::take(&mut written.manifests.documents), series);
        written.manifests.documents = merged.documents;
        written.gaps.extend(merged.gaps);
        Ok(written)
    }

    /// What was typed counts more than what was written down.
    fn engine(&self, contract: &Contract) -> String {
        match (self.common.engine.as_str(), &contract.dataplane.engine) {
            ("auto", Some(engine)) => engine.clone(),
            (typed, _) => typed.to_owned(),
        }
    }

    /// Builds the graph of what was read; problems are printed as they stand.
    fn analysed(&mut self, read: Written, dataplane: policy::Dataplane) -> Analysis {
        let Written { manifests: mut reading, contract, mut found, gaps, engine: _, today, tenancy } = read;
        let documents = std::mem::take(&mut reading.documents);
        let first = documents.first().map(|document| document.origin.clone());
        let mut analysis =
            self.timed("analyse", || analysis::declared_once(documents, dataplane, contract, today));
        analysis.inventory.tenancy = tenancy;
        // A broken contract lies among the manifests and is read as one of them too.
        let twice = |p: &Problem| {
            found.iter().any(|f| (&f.origin.file, f.origin.line) == (&p.origin.file, p.origin.line))
        };
        let others: Vec<Problem> = reading.problems.iter().filter(|p| !twice(p)).cloned().collect();
        found.extend(others);
        analysis.problems.splice(0..0, found);
        analysis.gaps.extend(gaps);
        analysis.gaps.extend(nobody_read(&analysis, first));
        analysis.gaps.sort();
        self.report_problems(&analysis.problems);
        if analysis.inventory.workloads.is_empty() {
            say!("warning: no workloads were found, so there is nobody who could talk");
        }
        if self.common.verbose {
            let (files, bytes, skipped) = (reading.files, reading.bytes, reading.skipped);
            say!("read {files} files, {bytes} bytes; {skipped} documents are no Kubernetes objects");
        }
        analysis
    }

    /// Puts an analysis without manifests under the contract that was named, for its networks.
    fn under_contract(&mut self, analysis: Analysis, paths: &[PathBuf]) -> Result<Analysis, Failure> {
        let today = settings::today(&self.common)?;
        let (contract, problems) = self.contract(paths)?;
        self.report_problems(&problems);
        let rules = Vec::new();
        // Without workloads nobody knows which namespaces a rule may name.
        Ok(analysis::under(analysis, Contract { rules, ..contract }, today))
    }

    /// Reads the contract; what is wrong with it is a problem, and the rest of it counts.
    fn contract(&self, paths: &[PathBuf]) -> Result<(Contract, Vec<Problem>), Failure> {
        let named = self.common.config.as_deref();
        match source::read_contract(named, paths) {
            Ok(None) => Ok((Contract::default(), Vec::new())),
            Ok(Some(file)) => {
                if self.common.verbose {
                    say!("the contract is {}", file.name);
                }
                let known = settings::known_to_contracts();
                Ok(contract::read(&file.name, &file.text, &file.root, &known))
            }
            // Who names a contract does not want to go on without it.
            Err(problem) if named.is_some() => Err(Failure::usage(problem.to_string(), problem.hint)),
            Err(problem) => Ok((Contract::default(), vec![problem])),
        }
    }

    /// Reads captures, merged on time; one that is broken does not hide the others.
    fn observed(&mut self, captures: &[PathBuf], analysis: &Analysis) -> Observed {
        if captures.is_empty() {
            return Observed::default();
        }
        source::small_pages();
        let bar = self.progress("reading packets");
        let (files, mut problems) = source::find_captures(captures);
        let (opened, closed) = source::open_captures(files);
        problems.extend(closed);
        let named = |(file, input): source::OpenCapture| -> analysis::NamedCapture<'_> {
            (file.display().to_string(), Box::new(bar.wrap_read(input)))
        };
        let inputs = opened.into_iter().map(named).collect();
        let workers = rayon::current_num_threads().min(MOST_WORKERS);
        let (observed, errors) =
            self.timed("capture", || analysis::observe(inputs, &analysis.inventory, workers));
        bar.finish_and_clear();
        problems.extend(
            errors.into_iter().map(|(name, error)| source::problem(&name, &error.to_string(), error.hint())),
        );
        self.report_problems(&problems);
        self.unread.extend(problems);
        if !self.common.quiet {
            for capture in &observed.captures {
                capture.unseen().for_each(|what| say!("note: {}: {what}", capture.name));
            }
            observed::unread(&observed).for_each(|what| say!("note: {what}"));
        }
        observed
    }

    fn report_problems(&mut self, problems: &[Problem]) {
        self.broken |= !problems.is_empty();
        problems.iter().for_each(print_problem);
    }

    fn progress(&self, what: &'static str) -> indicatif::ProgressBar {
        let hidden = self.common.quiet || self.common.no_progress || !io::stderr().is_terminal();
        if hidden {
            return indicatif::ProgressBar::hidden();
        }
        let bar = indicatif::ProgressBar::new_spinner().with_message(what);
        if let Ok(style) = indicatif::ProgressStyle::with_template("{spinner} {msg} {bytes} {bytes_per_sec}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Writes every report that was asked for.
    fn write(&mut self, view: &View<'_>) -> Result<(), Failure> {
        let targets = settings::targets(&self.common)?;
        self.write_to(&targets, view)
    }

    /// Writes some reports.
    fn write_to(&mut self, targets: &[Target], view: &View<'_>) -> Result<(), Failure> {
        let start = Instant::now();
        for target in targets {
            match output::write_target(target, view, self.common.quiet) {
                // Whoever stopped reading still gets the exit code: a pager must not make it 0.
                Err(failure) if failure.kind == FailureKind::ClosedPipe => {}
                written => written?,
            }
        }
        self.stages.push(("report", start.elapsed()));
        Ok(())
    }

    fn exit_code(&self, analysis: &Analysis) -> ExitCode {
        match (self.broken, settings::fails(&self.common, analysis)) {
            (true, _) => ExitCode::from(2),
            (false, true) => ExitCode::from(1),
            (false, false) => ExitCode::SUCCESS,
        }
    }

    fn print_timings(&self) {
        let peak = source::peak_memory_bytes();
        match self.common.timings {
            None => {}
            Some(Timings::Text) => {
                for (name, time) in &self.stages {
                    say!("{name:<10} {:>9.3} s", time.as_secs_f64());
                }
                say!("{:<10} {:>9} MiB", "memory", peak >> 20);
            }
            Some(Timings::Json) => {
                let stage = |(name, time): &(&str, Duration)| serde_json::json!({"name": name, "seconds": time.as_secs_f64()});
                let stages: Vec<_> = self.stages.iter().map(stage).collect();
                say!("{}", serde_json::json!({"stages": stages, "peak_memory_bytes": peak}));
            }
        }
    }
}

/// A pipe whose first command failed must not look like a cluster without findings.
fn nothing_read(manifests: &source::Reading, paths: &[PathBuf]) -> Option<Problem> {
    if paths.is_empty() || !manifests.documents.is_empty() || !manifests.problems.is_empty() {
        return None;
    }
    let named = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let hint = match manifests.skipped {
        0 => "it is empty; did the command that should write it fail?".to_owned(),
        some => {
            format!("documents without kind and apiVersion ({some} here) are no objects; render charts first")
        }
    };
    Some(source::problem(&named, "no Kubernetes objects here", &hint))
}

/// Where nobody was read, nothing was found out about anybody.
fn nobody_read(analysis: &Analysis, first: Option<Origin>) -> Option<Gap> {
    let origin = first.filter(|_| analysis.inventory.workloads.is_empty())?;
    let what = "no workloads were read: nothing can be said about who may talk to whom".to_owned();
    Some(Gap { what, origin, bends: Bend::MayAllowMore })
}

/// Manifests must be named, or the cluster, and not both; nothing is guessed. Who names captures
/// may have put manifests behind them.
fn need_input(common: &Common, paths: &[PathBuf], captures: &[PathBuf]) -> Result<(), Failure> {
    match (paths.is_empty(), common.cluster) {
        (false, false) | (true, true) => Ok(()),
        (false, true) => Err(Failure::usage(
            "manifests and --cluster are two things",
            "name one of them; `watertight drift manifests/ --cluster` compares them",
        )),
        (true, false) if captures.len() > 1 => Err(Failure::usage(
            "no manifests were named",
            "all that stands behind --capture was taken for captures: name the manifests before it",
        )),
        (true, false) => Err(Failure::usage(
            "no manifests were named",
            "name files or folders, `-` for standard input (helm template chart | watertight check -), \
             or --cluster",
        )),
    }
}
