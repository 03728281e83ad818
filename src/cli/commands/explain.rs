//! `explain`: why two ends may or may not talk.

use super::{Session, need_input};
use crate::cli::args::Explain;
use crate::cli::ends::Typed;
use crate::cli::{Failure, ends, settings};
use crate::graph;
use crate::model::TrafficSet;
use crate::report::explain::{Answer, Case};
use crate::report::{View, ViewKind};
use crate::source;
use std::path::PathBuf;
use std::process::ExitCode;

/// Answers one question about two ends; 0 where something passes, 1 where nothing does.
pub(super) fn run(session: &mut Session, args: &Explain) -> Result<ExitCode, Failure> {
    settings::targets_for(&session.common, ViewKind::Explain)?;
    let first = args.rest.first();
    let asked = first.map(|text| ends::typed(text)).transpose()?.flatten();
    let paths: Vec<PathBuf> =
        args.rest.iter().skip(usize::from(asked.is_some())).map(PathBuf::from).collect();
    need_input(&session.common, &paths, &[])?;
    if let (None, Some(first), [_]) =
        (&asked, paths.first(), source::absent(&paths[..paths.len().min(1)]).as_slice())
    {
        let message = format!("{:?} is neither traffic nor a file or folder", first.display().to_string());
        return Err(Failure::usage(
            message,
            "traffic is tcp/5432, tcp/8000-8100, tcp/NAME of a port, udp or icmp",
        ));
    }
    let analysis = session.declared(&paths)?;
    let (from, to) = (ends::end(&analysis, &args.from)?, ends::end(&analysis, &args.to)?);
    let asked = match asked {
        None => TrafficSet::all(),
        Some(Typed::Traffic(traffic)) => traffic,
        Some(Typed::Named(protocol, name)) => ends::named(&analysis, &to, protocol, &name)?,
    };
    let pairs = from.spots.iter().flat_map(|a| to.spots.iter().map(move |b| (a, b)));
    let walks = pairs.filter_map(|(a, b)| graph::explain(&analysis.graph, a, b, &asked));
    let cases: Vec<Case> = walks
        .map(|walk| Case { remedies: graph::remedies(&analysis.graph, &analysis.inventory, &walk), walk })
        .collect();
    let beside = ends::beside(&analysis, &from, &to, &asked);
    let on_network = |(name, open): &(String, TrafficSet)| {
        format!("the answer is about the network of the cluster; on the network {name}, {open} may travel")
    };
    let notes = from.notes.into_iter().chain(to.notes).chain(beside.iter().map(on_network)).collect();
    let answer = Answer { names: [from.name, to.name], asked, notes, cases };
    session.write(&View::Explain(&analysis, &answer))?;
    Ok(match (session.broken, answer.passes() || !beside.is_empty()) {
        (true, _) => ExitCode::from(2),
        (false, false) => ExitCode::from(1),
        (false, true) => ExitCode::SUCCESS,
    })
}
