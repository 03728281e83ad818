//! What captures do not show though it was on the wire: nobody takes their silence for safety.

use super::Observed;
use crate::capture::NOT_IP;
use crate::model::{Bend, Gap, Origin};
use std::collections::BTreeMap;

/// A capture that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureRead {
    /// File or interfaces, as the user named them.
    pub name: String,
    /// Packets in it.
    pub packets: u64,
    /// What is damaged, cut off, or was dropped before it got there, counted.
    pub losses: BTreeMap<String, u64>,
}

/// Flows of a capture that goes on which are counted only, because others like them were kept.
pub const NOT_KEPT: &str = "flows that were not kept: too many, and of a kind that others show";
/// Records of flows that were judged all the same.
pub const NOT_WRITTEN: &str = "records that could not be written";

/// Oddities that hide no traffic of endpoints.
const HARMLESS: [&str; 3] = [NOT_IP, NOT_KEPT, NOT_WRITTEN];

impl CaptureRead {
    /// What this capture does not show, each in a few words.
    pub fn unseen(&self) -> impl Iterator<Item = String> {
        let empty = (self.packets == 0).then(|| "no packet is in this capture".to_owned());
        let lost = self.losses.iter().map(|(what, count)| format!("{count} x {what}"));
        empty.into_iter().chain(lost)
    }
}

/// Everything that the captures may have missed.
pub fn gaps(observed: &Observed) -> Vec<Gap> {
    let own = observed
        .captures
        .iter()
        .flat_map(|capture| capture.unseen().map(|what| gap(what, capture.name.as_str())));
    let files = files(observed);
    let unread = unread(observed).map(|what| gap(what, &files));
    own.chain(unread).chain(super::mingled::networks_apart(observed)).collect()
}

/// The captures, as a place where something stands.
pub(super) fn files(observed: &Observed) -> String {
    match observed.captures.as_slice() {
        [only] => only.name.clone(),
        all => format!("{} captures", all.len()),
    }
}

/// Packets of all captures that could not be read, each kind in a few words.
pub fn unread(observed: &Observed) -> impl Iterator<Item = String> {
    let packets = observed.oddities.iter().filter(|(what, _)| !HARMLESS.contains(&what.as_str()));
    packets.map(|(what, count)| format!("{count} x {what}"))
}

fn gap(what: String, file: &str) -> Gap {
    Gap { what, origin: Origin::of_file(file), bends: Bend::MayMissTraffic }
}
