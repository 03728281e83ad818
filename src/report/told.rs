//! What a live review tells as lines of JSON: a finding when it first appears, gaps at the end.

use super::json::{FindingShape, GapShape, finding_shape, gap_shape};
use crate::check::Finding;
use crate::model::Gap;
use serde::Serialize;
use std::io::{self, Write};

/// Writes a finding as a line of its own, `watertight/finding/v1`.
///
/// # Errors
/// Those of the writer.
pub fn finding_line(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        schema: &'static str,
        #[serde(flatten)]
        finding: FindingShape<'a>,
    }
    let line = Line { schema: "watertight/finding/v1", finding: finding_shape(finding) };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// Writes a gap as a line of its own, `watertight/gap/v1`.
///
/// # Errors
/// Those of the writer.
pub fn gap_line(gap: &Gap, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        schema: &'static str,
        #[serde(flatten)]
        gap: GapShape<'a>,
    }
    serde_json::to_writer(&mut *out, &Line { schema: "watertight/gap/v1", gap: gap_shape(gap) })?;
    out.write_all(b"\n")
}
