//! What captures do not show though it was on the wire: nobody takes their silence for safety.

use super::{Observed, Stored};
use crate::capture::{NOT_IP, Place};
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
    let apart = flows_of_several_networks(observed);
    let apart = (apart > 0).then(|| {
        format!(
            "{apart} x flows that came by several VLANs, with other packets by each: networks apart that use \
             the same addresses are told as one"
        )
    });
    own.chain(unread(observed).chain(apart).map(|what| gap(what, &files))).collect()
}

/// The captures, as a place where something stands.
pub(super) fn files(observed: &Observed) -> String {
    match observed.captures.as_slice() {
        [only] => only.name.clone(),
        all => format!("{} captures", all.len()),
    }
}

/// Flows that one interface met in several VLANs where hardly a packet is a copy of another: a packet that
/// is routed from one VLAN to another is met twice.
fn flows_of_several_networks(observed: &Observed) -> usize {
    let flows = &observed.flows;
    if !flows.places().any(are_apart) {
        return 0;
    }
    let one_by_one = flows.stored_among(0..flows.len()).filter(|stored| {
        let (places, copies, packets) = match stored {
            Stored::Shared(kept) => {
                let packets = kept.flow.forward.packets + kept.flow.backward.packets;
                (kept.around.map_or(&[][..], |around| &around.places), kept.flow.copies, packets)
            }
            Stored::Whole(seen) => {
                let (flow, more) = (&seen.flow, seen.flow.seen.more.as_deref());
                let packets = flow.forward.packets + flow.backward.packets;
                more.map_or((&[][..], 0, packets), |more| (&more.places, more.copies, packets))
            }
        };
        are_apart(places) && copies.saturating_mul(4) < packets
    });
    one_by_one.count()
}

/// Whether an interface is among the places with several VLANs.
fn are_apart(places: &[Place]) -> bool {
    let networks = |place: &Place| -> Vec<String> {
        place.via.iter().filter(|via| via.starts_with("vlan:")).cloned().collect()
    };
    let same = |a: &Place, b: &Place| (a.input, a.interface) == (b.input, b.interface);
    places.iter().enumerate().any(|(number, place)| {
        let own = networks(place);
        let others = places[number + 1..].iter().filter(|other| same(place, other));
        !own.is_empty() && others.map(networks).any(|other| !other.is_empty() && other != own)
    })
}

/// Packets of all captures that could not be read, each kind in a few words.
pub fn unread(observed: &Observed) -> impl Iterator<Item = String> {
    let packets = observed.oddities.iter().filter(|(what, _)| !HARMLESS.contains(&what.as_str()));
    packets.map(|(what, count)| format!("{count} x {what}"))
}

fn gap(what: String, file: &str) -> Gap {
    Gap { what, origin: Origin::of_file(file), bends: Bend::MayMissTraffic }
}
