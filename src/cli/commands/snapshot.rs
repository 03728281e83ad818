//! `snapshot`: what the analysis needs of a live cluster, in one file; or the permissions that takes.

use super::{Session, live};
use crate::analysis;
use crate::cli::Failure;
use crate::cli::args::Snapshot;
use crate::cli::say::say;
use crate::cli::settings::now;
use crate::cluster::{self, Form};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

/// Reads and writes; gaps are said, and do not fail unless `--strict` is given.
pub(super) fn run(session: &mut Session, args: &Snapshot) -> Result<ExitCode, Failure> {
    let output = session.common.output.clone();
    if args.rbac {
        let mut out = open(output.as_deref())?;
        out.write_all(cluster::role(&analysis::kinds()).as_bytes())?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let form = form(session.common.format.as_deref(), output.as_deref())?;
    let live = live::read(session)?;
    let packed = output.as_deref().is_some_and(|path| path.extension().is_some_and(|end| end == "zst"));
    let out = open(output.as_deref())?;
    match packed {
        false => write(&live, form, out)?,
        true => {
            let mut encoder = zstd::stream::write::Encoder::new(out, 0)?;
            write(&live, form, &mut encoder)?;
            encoder.finish()?.flush()?;
        }
    }
    for gap in live.gaps() {
        say!("warning: {}", gap.what);
    }
    Ok(match session.common.strict && !live.refused.is_empty() {
        true => ExitCode::from(1),
        false => ExitCode::SUCCESS,
    })
}

fn write(live: &cluster::Live, form: Form, mut out: impl Write) -> Result<(), Failure> {
    cluster::write(live, &now(), form, &mut out)?;
    Ok(out.flush()?)
}

fn open(path: Option<&Path>) -> Result<Box<dyn Write>, Failure> {
    Ok(match path {
        Some(path) => Box::new(BufWriter::new(super::create(path)?)),
        None => Box::new(BufWriter::new(io::stdout().lock())),
    })
}

/// What was named, or else what the file's name says.
fn form(format: Option<&str>, output: Option<&Path>) -> Result<Form, Failure> {
    let name = output.map(|path| path.to_string_lossy().to_lowercase()).unwrap_or_default();
    match format {
        Some("json") => Ok(Form::Json),
        Some("yaml") => Ok(Form::Yaml),
        Some(other) => Err(Failure::usage(format!("a snapshot is no {other}"), "yaml or json")),
        None if name.trim_end_matches(".zst").ends_with(".json") => Ok(Form::Json),
        None => Ok(Form::Yaml),
    }
}
