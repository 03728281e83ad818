//! What a build without the feature `cluster` says when it is asked for one.

use super::{Event, Live, Target, Told};
use crate::model::{Problem, WantedKind};
use crate::source;
use std::sync::mpsc::Sender;

fn problem() -> Problem {
    let hint = "build it with the feature `cluster`, which is on by default";
    source::problem("cluster", "this program was built without the means to read clusters", hint)
}

/// Says so.
///
/// # Errors
/// Always.
pub fn read(_: &Target, _: &[WantedKind], _: Told<'_>) -> Result<Live, Problem> {
    Err(problem())
}

/// Says so.
///
/// # Errors
/// Always.
pub fn follow(_: &Target, _: &[WantedKind], _: &Sender<Event>) -> Result<(), Problem> {
    Err(problem())
}
