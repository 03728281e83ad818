//! `watch`: follows a live cluster and says what appears and what goes.
//!
//! What was said is compared with what holds now, by fingerprint: a lost connection, a server that
//! forgot where a watch stood and a list that is read again repeat nothing and hide nothing.

mod metrics;
mod serve;
mod state;

use super::{Session, live};
use crate::analysis::{self, Standing};
use crate::cli::args::Watch;
use crate::cli::say::say;
use crate::cli::{Failure, settings};
use crate::cluster::{self, Event as Heard};
use crate::report::Printable;
use crate::report::event::{Change, Event, Said};
use metrics::Metrics;
use serve::{Page, Ready, Shared};
use state::{Difference, State};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A change that comes alone is judged after this time.
const ALONE: Duration = Duration::from_millis(2);
/// Changes often come in groups: this long nothing more may come before they are judged …
const QUIET: Duration = Duration::from_millis(10);
/// … and this long the first one waits at most.
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// How soon a signal is seen.
const PAUSE: Duration = Duration::from_millis(200);

/// Follows until a signal ends it; 1 where findings stand at the end, by `--fail-on`.
pub(super) fn run(session: &mut Session, args: &Watch) -> Result<ExitCode, Failure> {
    let form = match settings::only_output(&session.common, "watch", &["text", "json"])? {
        "json" => Form::Json,
        _ => Form::Text,
    };
    let (contract, problems) = session.contract(&args.paths)?;
    session.report_problems(&problems);
    let out: Box<dyn Write> = match &session.common.output {
        Some(path) => Box::new(super::output::create(path)?),
        None => Box::new(io::stdout()),
    };
    let page = Shared::default();
    if let Some(address) = &args.listen {
        let bound = serve::serve(address, &page)?;
        say!("metrics are on http://{bound}/metrics");
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let (heard, events) = channel();
    let target = live::target(session);
    let follower = std::thread::spawn(move || cluster::follow(&target, &analysis::kinds(), &heard));
    let engine = match (session.common.engine.as_str(), &contract.dataplane.engine) {
        ("auto", Some(engine)) => engine.as_str(),
        (typed, _) => typed,
    };
    let chosen = settings::dataplane(engine)?;
    let mut watch = Watcher {
        session,
        standing: Standing::new(chosen, contract),
        form,
        out,
        page,
        state: State::default(),
        said: Said::default(),
        metrics: Metrics::connected(),
        cluster: None,
    };
    let ended = watch.listen(&events, &stop);
    let worst = Metrics::worst(watch.said.items());
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
    standing: Standing,
    form: Form,
    out: Box<dyn Write>,
    page: Shared,
    state: State,
    said: Said,
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
            let mut quiet = ALONE;
            while begun.elapsed() < LONGEST_WAIT {
                let Ok(event) = events.recv_timeout(quiet) else { break };
                quiet = QUIET;
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

    /// Judges what is there now, and says what is other than it was said.
    fn judge(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let changes = self.state.changes();
        let cluster = self.cluster.as_deref().unwrap_or_default();
        let unread = self.state.refused().map(|refused| refused.gap(cluster)).collect();
        let today = settings::today(&self.session.common)?;
        let analysis = self.standing.renew(self.state.documents(), &changes, unread, today);
        let changes = self.said.renew(analysis);
        let events: Vec<Event<'_>> = changes.iter().map(Change::event).collect();
        self.say(&events)?;
        let took = begun.elapsed();
        let counts = self.standing.analysis().map(|a| (a.inventory.workloads.len(), a.policy_count()));
        let (workloads, policies) = counts.unwrap_or_default();
        let metrics = &mut self.metrics;
        (metrics.last, metrics.evaluating) = (took, metrics.evaluating + took);
        metrics.evaluations += 1;
        metrics.objects = self.state.documents().len();
        (metrics.workloads, metrics.policies) = (workloads, policies);
        metrics.count(self.said.items());
        self.standing.tidy();
        if self.session.common.verbose {
            say!("judged {} objects in {:.1} ms", metrics.objects, took.as_secs_f64() * 1_000.0);
        }
        Ok(())
    }

    fn say(&mut self, events: &[Event<'_>]) -> Result<(), Failure> {
        let time = settings::now();
        for event in events {
            match self.form {
                Form::Text => event.write_text(&time, &mut Printable::new(&mut self.out))?,
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
