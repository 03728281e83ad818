//! `snapshot`: what the analysis needs of a live cluster, in one file; or the permissions that takes.

use super::output::open;
use super::{Session, live};
use crate::analysis;
use crate::cli::args::{Common, Snapshot};
use crate::cli::say::say;
use crate::cli::{Failure, settings};
use crate::cluster::{self, Form};
use std::io::Write;
use std::process::ExitCode;

/// Reads and writes; gaps are said, and do not fail unless `--strict` is given.
pub(super) fn run(session: &mut Session, args: &Snapshot) -> Result<ExitCode, Failure> {
    let output = session.common.output.clone();
    if args.rbac {
        settings::only_output(&session.common, "ClusterRole", &["yaml"])?;
        let mut out = open(&session.common)?;
        out.write_all(cluster::role(&analysis::kinds()).as_bytes())?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let form = form(&session.common)?;
    let live = live::read(session)?;
    let packed = output.as_deref().is_some_and(|path| path.extension().is_some_and(|end| end == "zst"));
    let out = open(&session.common)?;
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
    cluster::write(live, &settings::now(), form, &mut out)?;
    Ok(out.flush()?)
}

/// What was named, or else what the file's name says.
fn form(common: &Common) -> Result<Form, Failure> {
    let name = common.output.as_ref().map(|path| path.to_string_lossy().to_lowercase()).unwrap_or_default();
    let default = match name.trim_end_matches(".zst").ends_with(".json") {
        true => ["json", "yaml"],
        false => ["yaml", "json"],
    };
    Ok(match settings::only_output(common, "snapshot", &default)? {
        "json" => Form::Json,
        _ => Form::Yaml,
    })
}
