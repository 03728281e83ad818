//! Where a command writes: files, standard output, and Graphviz in between.

use crate::cli::Failure;
use crate::cli::args::Common;
use crate::cli::say::say;
use crate::cli::settings::{Drawing, Target};
use crate::report::{Printable, View};
use crate::source;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

/// Writes one report.
pub(super) fn write_target(target: &Target, view: &View<'_>, quiet: bool) -> Result<(), Failure> {
    let mut out: Box<dyn Write> = match &target.file {
        Some(path) => Box::new(create(path)?),
        None => Box::new(io::stdout().lock()),
    };
    match target.drawing {
        Drawing::AsText => {
            let mut buffered = BufWriter::with_capacity(1 << 16, out);
            match target.format.escapes() {
                true => target.format.write(view, &mut buffered)?,
                false => target.format.write(view, &mut Printable::new(&mut buffered))?,
            }
            buffered.flush()?;
        }
        Drawing::Svg => {
            let mut text = Vec::new();
            target.format.write(view, &mut Printable::new(&mut text))?;
            let edges = memchr::memmem::find_iter(&text, " -> ").count();
            if edges > MANY_EDGES && !quiet {
                say!(
                    "note: Graphviz has {edges} edges to draw, which can take minutes; --by namespace, --namespace \
                     and --focus leave fewer, and -f dot writes them down without drawing"
                );
            }
            out.write_all(&draw(&text)?)?;
        }
    }
    Ok(())
}

/// Where a command writes that has one output.
pub(super) fn open(common: &Common) -> Result<Box<dyn Write>, Failure> {
    Ok(match &common.output {
        Some(path) => Box::new(BufWriter::new(create(path)?)),
        None => Box::new(BufWriter::new(io::stdout().lock())),
    })
}

/// A file to write to; one that exists is replaced.
#[expect(clippy::disallowed_methods, reason = "reports are written where the user says")]
pub(super) fn create(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::File::create(path).map_err(|error| cannot_write(path, &error))
}

/// Whether a report can be written there later; what is there now stays until then.
pub(super) fn can_write(path: &Path) -> Result<(), Failure> {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "does the folder exist?",
        _ => source::hint_of(error),
    };
    Failure::usage(format!("cannot write {}: {error}", path.display()), hint)
}

/// Graphviz takes some ten seconds for so many edges between as many nodes as a third of them, and
/// minutes for twice as many.
const MANY_EDGES: usize = 500;

/// Graphviz, where it is installed.
fn draw(text: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut child = std::process::Command::new("dot")
        .arg("-Tsvg")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let hint =
                "install Graphviz (its package is called graphviz), or write -f dot and draw it elsewhere";
            Failure::usage(format!("cannot run Graphviz: {error}"), hint)
        })?;
    let mut stdin = child.stdin.take();
    let text = text.to_vec();
    let feeder = std::thread::spawn(move || stdin.as_mut().map_or(Ok(()), |pipe| pipe.write_all(&text)));
    let output = child.wait_with_output()?;
    if feeder.join().is_err() || !output.status.success() {
        return Err(Failure::usage("Graphviz could not draw this graph", "try -f dot and look at the file"));
    }
    Ok(output.stdout)
}
