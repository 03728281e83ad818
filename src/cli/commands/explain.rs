//! `explain`: why two ends may or may not talk.

use super::{Session, need_paths};
use crate::analysis::Analysis;
use crate::cli::args::Explain;
use crate::cli::{Failure, settings};
use crate::graph::PeerId;
use crate::report::explain::{self, Question};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Answers one question about two ends.
pub(super) fn run(session: &mut Session, args: &Explain) -> Result<ExitCode, Failure> {
    let port = args.rest.first().and_then(|text| settings::port(text));
    let paths: Vec<PathBuf> = args.rest.iter().skip(usize::from(port.is_some())).map(PathBuf::from).collect();
    need_paths(&paths)?;
    let analysis = session.declared(&paths)?;
    let (from, to) = (end(&analysis, &args.from)?, end(&analysis, &args.to)?);
    let pairs = from.1.iter().flat_map(|a| to.1.iter().map(move |b| (*a, *b))).collect();
    let question = Question { names: [from.0, to.0], pairs, port };
    let mut out = io::stdout().lock();
    explain::write(&analysis, &question, &mut out)?;
    out.flush()?;
    Ok(session.exit_code(&analysis))
}

/// A name and the peers behind it: classes of a workload, or the atom of an address.
fn end(analysis: &Analysis, text: &str) -> Result<(String, Vec<PeerId>), Failure> {
    let address = text.split('/').next().and_then(|ip| ip.parse().ok());
    if let Some(address) = address {
        return Ok((text.to_owned(), vec![analysis.graph.atom_of(address)]));
    }
    let index = settings::workload(analysis, text)?;
    let mut classes = analysis.graph.classes_of(index).to_vec();
    classes.sort_unstable();
    classes.dedup();
    Ok((analysis.inventory.workloads[index].name.to_string(), classes))
}
