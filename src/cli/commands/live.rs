//! Reading the live cluster, for every command that takes manifests.

use super::Session;
use crate::analysis;
use crate::cli::Failure;
use crate::cli::say::say;
use crate::cluster::{self, Live, Progress, Target};
use crate::model::{Gap, Problem};
use crate::source::Reading;
use std::sync::Mutex;

/// The cluster as manifests, with what could not be read of it.
pub(super) fn reading(session: &mut Session) -> Result<(Reading, Vec<Gap>), Failure> {
    let live = read(session)?;
    let gaps = live.gaps();
    Ok((Reading { documents: live.documents, ..Reading::default() }, gaps))
}

/// Reads the cluster; requests that are made again are said.
pub(super) fn read(session: &mut Session) -> Result<Live, Failure> {
    let target = target(session);
    let bar = session.progress("reading the cluster");
    let (count, again) = (Mutex::new(0_usize), Mutex::new(Vec::new()));
    let told = |progress| match progress {
        Progress::Objects { kind, count: new } => {
            let mut count = count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *count += new;
            bar.set_message(format!("reading the cluster: {kind}, {count} objects"));
        }
        Progress::Again { what } => {
            bar.set_message(format!("asking again: {what}"));
            again.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(what);
        }
    };
    let live = session.timed("read", || cluster::read(&target, &analysis::kinds(), &told));
    bar.finish_and_clear();
    let again = again.into_inner().unwrap_or_default();
    if session.common.verbose {
        again.iter().for_each(|what| say!("asked again: {what}"));
    }
    let live = live.map_err(failure)?;
    if session.common.verbose {
        let (kinds, objects) = (live.reads.len(), live.documents.len());
        say!("read {objects} objects of {kinds} kinds from {} ({})", live.name, live.version);
    }
    Ok(live)
}

/// The cluster that was named.
pub(super) fn target(session: &Session) -> Target {
    let common = &session.common;
    Target {
        kubeconfig: common.kubeconfig.clone(),
        context: common.context.clone(),
        namespaces: common.allowed_namespace.clone(),
    }
}

/// A cluster that cannot be read at all ends the command.
pub(super) fn failure(problem: Problem) -> Failure {
    Failure::usage(problem.to_string(), problem.hint)
}
