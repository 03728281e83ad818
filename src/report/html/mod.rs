//! One page for a browser that needs nothing beside it: no script, no font and no image from
//! elsewhere, and a policy in its head that lets none in, whatever names say that stand in it.

mod rendered;
mod review;

use super::markup::escape;
use super::{Format, View, ViewKind, diff, drift, unsupported};
use std::io::{self, Write};

/// For browsers.
pub struct Html;

impl Format for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn summary(&self) -> &'static str {
        "one self-contained page for a browser"
    }

    fn writes(&self) -> &'static [ViewKind] {
        &[ViewKind::Review, ViewKind::Diff, ViewKind::Drift]
    }

    fn write(&self, view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
        match view {
            View::Review(analysis) => page("review", out, |out| review::write(analysis, out)),
            View::Diff(comparison) => page("what changes", out, |out| {
                rendered::write(|text| diff::write_markdown(comparison, text), out)
            }),
            View::Drift(found) => {
                page("drift", out, |out| rendered::write(|text| drift::write_markdown(found, text), out))
            }
            other => Err(unsupported(self.name(), other.kind())),
        }
    }
}

/// What stands around every page.
fn page(
    title: &str,
    out: &mut dyn Write,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>")?;
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>"
    )?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>")?;
    writeln!(out, "<title>watertight: {}</title>", escape(title))?;
    writeln!(out, "<style>\n{}</style>\n</head>\n<body>", include_str!("style.css"))?;
    body(out)?;
    writeln!(out, "</body>\n</html>")
}
