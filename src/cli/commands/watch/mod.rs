//! `watch`: follows a live cluster and says what appears and what goes.
//!
//! What was said is compared with what holds now, by fingerprint: a lost connection, a server that
//! forgot where a watch stood and a list that is read again repeat nothing and hide nothing.

mod metrics;
mod serve;
mod state;

use super::{Session, live};
use crate::analysis::{self, Analysis};
use crate::cli::args::Watch;
use crate::cli::{Failure, settings};
use crate::cluster::{self, Event as Heard};
use crate::contract::Contract;
use crate::observed::Observed;
use crate::policy;
use crate::report::event::{Event, Items, changes, items};
use metrics::Metrics;
use serve::{Page, Ready, Shared};
use state::{Difference, State};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Changes often come in groups: this long nothing more may come before all is judged again …
const QUIET: Duration = Duration::from_millis(10);
/// … and this long the first one waits at most.
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// How soon a signal is seen.
const PAUSE: Duration = Duration::from_millis(200);

/// Follows until a signal ends it; 1 where findings stand at the end, by `--fail-on`.
pub(super) fn run(session: &mut Session, args: &Watch) -> Result<ExitCode, Failure> {
    let form = match session.common.format.as_deref() {
        None | Some("text") => Form::Text,
        Some("json") => Form::Json,
        Some(other) => return Err(Failure::usage(format!("a watch has no {other} events"), "text or json")),
    };
    let (contract, problems) = session.contract(&args.paths)?;
    session.report_problems(&problems);
    let out: Box<dyn Write> = match &session.common.output {
        Some(path) => Box::new(super::create(path)?),
        None => Box::new(io::stdout()),
    };
    let page = Shared::default();
    if let Some(address) = &args.listen {
        let bound = serve::serve(address, &page)?;
        eprintln!("metrics are on http://{bound}/metrics");
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let (heard, events) = channel();
    let target = live::target(session);
    let follower = std::thread::spawn(move || cluster::follow(&target, &analysis::kinds(), &heard));
    let mut watch = Watcher {
        session,
        contract,
        form,
        out,
        page,
        state: State::default(),
        said: Items::new(),
        metrics: Metrics::connected(),
        cluster: None,
    };
    let ended = watch.listen(&events, &stop);
    let worst = Metrics::worst(&watch.said);
    drop(events);
    match ended? {
        End::Signal => {}
        // The follower ends by itself only where it could not begin.
        End::Follower => match follower.join() {
            Ok(Err(problem)) => return Err(live::failure(problem)),
            _ => return Err(Failure::usage("the cluster can no longer be followed", "")),
        },
    }
    Ok(match settings::reaches(&session.common, worst) {
        true => ExitCode::from(1),
        false => ExitCode::SUCCESS,
    })
}

/// How events are written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
}

/// Why a watch ended.
enum End {
    Signal,
    Follower,
}

struct Watcher<'a> {
    session: &'a Session,
    contract: Contract,
    form: Form,
    out: Box<dyn Write>,
    page: Shared,
    state: State,
    said: Items,
    metrics: Metrics,
    /// Its name, once everything was read.
    cluster: Option<String>,
}

impl Watcher<'_> {
    fn listen(&mut self, events: &Receiver<Heard>, stop: &AtomicBool) -> Result<End, Failure> {
        while !stop.load(Ordering::Relaxed) {
            let first = match events.recv_timeout(PAUSE) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Follower),
            };
            let begun = Instant::now();
            let mut difference = self.hear(first)?;
            while begun.elapsed() < LONGEST_WAIT {
                let Ok(event) = events.recv_timeout(QUIET) else { break };
                if self.hear(event)? == Difference::Some {
                    difference = Difference::Some;
                }
            }
            let begins = self.cluster.is_some() && self.metrics.evaluations == 0;
            if begins || (difference == Difference::Some && self.cluster.is_some()) {
                self.judge()?;
            }
            self.show();
        }
        Ok(End::Signal)
    }

    /// Takes in what happened; losses and the beginning are said at once.
    fn hear(&mut self, event: Heard) -> Result<Difference, Failure> {
        match &event {
            Heard::Complete { name } => {
                self.cluster = Some(name.clone());
                let objects = self.state.documents().len();
                let cluster = name.clone();
                self.say(&[Event::Started { cluster: &cluster, objects }])?;
            }
            Heard::Lost { why } => {
                self.metrics.connected = 0;
                self.say(&[Event::Lost(why)])?;
            }
            Heard::Back => {
                self.metrics.connected = 1;
                self.say(&[Event::Back])?;
            }
            _ => {}
        }
        Ok(self.state.apply(event))
    }

    /// Judges everything as it is now, and says what is other than it was said.
    fn judge(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let analysis = self.analysis()?;
        let now = items(&analysis);
        let said = std::mem::replace(&mut self.said, now.clone());
        self.say(&changes(&said, &now))?;
        let took = begun.elapsed();
        let metrics = &mut self.metrics;
        (metrics.last, metrics.evaluating) = (took, metrics.evaluating + took);
        metrics.evaluations += 1;
        metrics.objects = self.state.documents().len();
        (metrics.workloads, metrics.policies) = (analysis.inventory.workloads.len(), analysis.policy_count());
        metrics.count(&now);
        if self.session.common.verbose {
            eprintln!("judged {} objects in {:.1} ms", metrics.objects, took.as_secs_f64() * 1_000.0);
        }
        Ok(())
    }

    fn analysis(&self) -> Result<Analysis, Failure> {
        let documents = self.state.documents();
        let common = &self.session.common;
        let engine = match (common.engine.as_str(), &self.contract.dataplane.engine) {
            ("auto", Some(engine)) => engine.as_str(),
            (typed, _) => typed,
        };
        let dataplane = match settings::dataplane(engine)? {
            Some(chosen) => policy::configured(chosen, documents),
            None => policy::detect(documents),
        };
        let (dataplane, problems) = analysis::set_up(dataplane, &self.contract);
        let today = settings::today(common)?;
        let mut analysis = analysis::declared_under(documents, dataplane, self.contract.clone(), today);
        analysis.problems.extend(problems);
        let cluster = self.cluster.as_deref().unwrap_or_default();
        analysis.gaps.extend(self.state.refused().map(|refused| refused.gap(cluster)));
        analysis.problems.sort();
        Ok(analysis::reviewed(analysis, Observed::default()))
    }

    fn say(&mut self, events: &[Event<'_>]) -> Result<(), Failure> {
        let time = settings::now();
        for event in events {
            match self.form {
                Form::Text => event.write_text(&time, &mut self.out)?,
                Form::Json => event.write_json(&time, &mut self.out)?,
            }
            *self.metrics.events.entry(event.word()).or_default() += 1;
        }
        Ok(self.out.flush()?)
    }

    /// Puts the figures on the page that is served.
    fn show(&self) {
        let ready = if self.metrics.evaluations > 0 { Ready::Yes } else { Ready::NotYet };
        let metrics = self.metrics.text();
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = Page { metrics, ready };
    }
}
