//! What only few flows have: that they were met at several places, or are very long.

use super::copies::{Copies, IDENTITY, Point, Sighting};
use super::head::Arrival;
use super::key::Side;
use super::place::{NO_PLACE, PlaceId};
use super::pool::Pool;
use super::state::{State, is_after, segment_end};

/// Places that are remembered of one flow.
const MOST_PLACES: usize = 16;

/// What only flows have that were met at several places, or that are very long.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Besides the usual ones: the end of the highest segment in each direction.
    pub(super) places: Vec<(PlaceId, [Option<u32>; 2])>,
    copies: Copies,
    /// Packets that were copies.
    pub(super) copied: u64,
    /// How often 2^32 packets were counted.
    pub(super) carried: [u32; 2],
}

impl State {
    /// A flow that is met at several places.
    pub(super) fn sight_elsewhere(&mut self, packet: &Arrival<'_>, pool: &mut Pool<Elsewhere>) -> Sighting {
        let (side, place) = (packet.key.side, packet.place);
        let elsewhere = self.elsewhere(pool);
        let mut sighting = elsewhere.copies.look(packet);
        let usual = self.place[side.index()];
        if usual == NO_PLACE {
            self.place[side.index()] = place;
        } else if place != usual
            && elsewhere.places.len() < MOST_PLACES
            && !elsewhere.places.iter().any(|(known, _)| *known == place)
        {
            elsewhere.places.push((place, [None; 2]));
        }
        // Offload cuts segments differently at each place: one whose bytes were all seen at
        // another place, and not yet at this one, is a copy in other pieces.
        if let Some(end) = segment_end(packet) {
            let first = (self.place[side.index()], self.highest_of(side));
            let reached = |here: bool| {
                let all = elsewhere.places.iter().map(|(known, ends)| (*known, ends[side.index()]));
                all.chain([first])
                    .filter(|(known, _)| (*known == place) == here)
                    .filter_map(|(_, reached)| reached)
                    .any(|reached| !is_after(end, reached))
            };
            if !reached(true) && reached(false) {
                sighting = Sighting::Copy;
            }
            match elsewhere.places.iter_mut().find(|(known, _)| *known == place && place != first.0) {
                Some((_, ends)) => {
                    let known = ends[side.index()].get_or_insert(end);
                    if is_after(end, *known) {
                        *known = end;
                    }
                }
                None if place == first.0 => self.raise(side, end),
                None => {}
            }
        }
        elsewhere.copied += u64::from(sighting == Sighting::Copy);
        sighting
    }

    /// Its place for what few flows have, lent where it has none: what was met so far was met at
    /// the usual places.
    pub(super) fn elsewhere<'p>(&mut self, pool: &'p mut Pool<Elsewhere>) -> &'p mut Elsewhere {
        let fresh = self.elsewhere == 0;
        if fresh {
            self.elsewhere = pool.lend();
        }
        let elsewhere = pool.get_mut(self.elsewhere).expect("what was lent is there");
        if fresh {
            *elsewhere = Elsewhere::default();
            for side in [Side::High, Side::Low] {
                let index = side.index();
                if self.place[index] != NO_PLACE {
                    let (identity, hops) = (self.recent[index] & IDENTITY, self.recent[index] as u8);
                    let point = Point { place: self.place[index], hops };
                    elsewhere.copies.remember(identity, side, point, self.last);
                }
            }
        }
        elsewhere
    }
}
