//! What only few flows have: that they were met at several places, or are very long.
//!
//! Who is met at several places may be several: networks apart may use the same addresses.

use super::copies::{Copies, IDENTITY, Point, Sighting};
use super::flow::Unity;
use super::head::Arrival;
use super::key::Side;
use super::packet::Apart;
use super::place::{NO_PLACE, PlaceId, Places};
use super::pool::Pool;
use super::state::{NEAR, State, is_after, segment_end};

/// Places that are remembered of one flow.
const MOST_PLACES: usize = 16;
/// How far the usual place may be ahead of another when that is met for the first time.
const AHEAD: u32 = 1 << 24;
/// How far one place may be behind another where the same bytes are met in other pieces.
const BEHIND: u32 = 1 << 26;
/// A direction of more bytes says nothing by its sequence numbers, which come round.
const ROUND: u64 = 1 << 30;
/// Of so many packets in one of two networks, one that was met in both tells that it is routed
/// between them.
const ROUTED: u32 = 4;

/// What only flows have that were met at several places, or that are very long.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Besides the usual ones.
    pub(super) places: Vec<Met>,
    copies: Copies,
    /// Packets that were copies.
    pub(super) copied: u64,
    /// How often 2^32 packets were counted.
    pub(super) carried: [u32; 2],
    /// Where each direction began at its usual place, as far as is known.
    began: [Option<u32>; 2],
    /// Where its latest segment begins, wherever that was met.
    latest: [Option<u32>; 2],
    /// Whether it went far back from one segment to the next, as no connection does.
    back: [bool; 2],
    /// Of the directions that came by networks which differ in nothing but their number: packets that
    /// were met in one of them, and those that were met in both.
    numbered: [Option<Numbered>; 2],
}

/// A place of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    pub(super) place: PlaceId,
    /// Which directions were met there.
    sides: [bool; 2],
    /// The begin of the first and the end of the highest segment in each direction.
    heard: [Option<(u32, u32)>; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Numbered {
    alone: u32,
    both: u32,
}

impl Numbered {
    fn is_of_several(self) -> bool {
        self.alone > self.both.saturating_mul(ROUTED)
    }
}

impl State {
    /// A flow that is met at several places.
    pub(super) fn sight_elsewhere(
        &mut self,
        packet: &Arrival<'_>,
        pool: &mut Pool<Elsewhere>,
        places: &Places,
    ) -> Sighting {
        let (side, place) = (packet.key.side, packet.place);
        let elsewhere = self.elsewhere(pool);
        let (mut sighting, before) = elsewhere.copies.look(packet);
        let usual = self.place[side.index()];
        if usual == NO_PLACE {
            self.place[side.index()] = place;
        } else if place != usual {
            elsewhere.meet(place, side, usual, places);
        }
        if let Some(numbered) = &mut elsewhere.numbered[side.index()] {
            let is_other = |before: &PlaceId| places.apart(*before, place) == Apart::InNumber;
            match before.iter().any(is_other) {
                true => numbered.both = numbered.both.saturating_add(1),
                false if places.is_numbered(place) => numbered.alone = numbered.alone.saturating_add(1),
                false => {}
            }
        }
        // Offload cuts segments differently at each place: one whose bytes were all seen at
        // another place, and not yet at this one, is a copy in other pieces.
        if let Some(end) = segment_end(packet) {
            let usual = self.place[side.index()];
            let first = (usual, self.highest_of(side));
            let reached = |here: bool| {
                let of = |met: &Met| (met.place, met.heard[side.index()].map(|(_, reached)| reached));
                let all = elsewhere.places.iter().map(of);
                all.chain([first])
                    .filter(|(known, _)| (*known == place) == here)
                    .filter_map(|(_, reached)| reached)
                    .any(|reached| !is_after(end, reached) && (here || reached.wrapping_sub(end) < BEHIND))
            };
            if !reached(true) && reached(false) {
                sighting = Sighting::Copy;
            }
            let before = elsewhere.latest[side.index()].replace(packet.sequence);
            let ahead = before.map_or(0, |before| packet.sequence.wrapping_sub(before) as i32);
            elsewhere.back[side.index()] |= ahead < -(NEAR as i32);
            if place == usual {
                elsewhere.began[side.index()].get_or_insert(packet.sequence);
                self.raise(side, end);
            } else if let Some(met) = elsewhere.places.iter_mut().find(|met| met.place == place) {
                let (begin, known) = met.heard[side.index()].get_or_insert((packet.sequence, end));
                if is_after(*begin, packet.sequence) {
                    *begin = packet.sequence;
                }
                if is_after(end, *known) {
                    *known = end;
                }
            }
        }
        elsewhere.copied += u64::from(sighting == Sighting::Copy);
        sighting
    }

    /// The sequence numbers that a direction went through at its usual place.
    fn heard_at_usual(&self, elsewhere: &Elsewhere, side: Side) -> Option<(u32, u32)> {
        let begin = self.sequence(side).filter(|_| self.protocol() == 6);
        Some((begin.or(elsewhere.began[side.index()])?, self.highest_of(side)?))
    }

    /// Whether the packets are those of one connection, as far as their places tell. A connection
    /// may go by other networks than it comes back by, and a packet may be met on both sides of a
    /// router or of a tunnel's end; but bytes of one direction follow each other wherever they are met,
    /// and datagrams in two networks that differ in nothing but their number are the same ones there.
    pub(super) fn unity(&self, elsewhere: &Elsewhere, places: &Places) -> Unity {
        let several = [Side::High, Side::Low].into_iter().any(|side| {
            match self.protocol() == 6 && self.bytes[side.index()] < ROUND {
                true => self.goes_on_apart(elsewhere, side, places),
                false => elsewhere.numbered[side.index()].is_some_and(Numbered::is_of_several),
            }
        });
        if several { Unity::Several } else { Unity::One }
    }

    /// Whether a direction of TCP went through numbers at one place that are far from those at another:
    /// in networks that differ in nothing but their number, or back and forth. Captures that were
    /// taken one after the other show a connection at one place, and further on at another.
    fn goes_on_apart(&self, elsewhere: &Elsewhere, side: Side, places: &Places) -> bool {
        let index = side.index();
        let others = elsewhere.places.iter().filter_map(|met| Some((met.place, met.heard[index]?)));
        let usual = self.heard_at_usual(elsewhere, side).map(|heard| (self.place[index], heard));
        let all: Vec<(PlaceId, (u32, u32))> = usual.into_iter().chain(others).collect();
        let behind = |one: (u32, u32), other: (u32, u32)| other.0.wrapping_sub(one.1) as i32 > NEAR as i32;
        let far = |one, other| behind(one, other) || behind(other, one);
        let are_apart = |(one, heard): &(PlaceId, _), (other, too): &(PlaceId, _)| {
            let proves = || elsewhere.back[index] || places.apart(*one, *other) == Apart::InNumber;
            far(*heard, *too) && proves()
        };
        all.iter().enumerate().any(|(at, one)| all[at + 1..].iter().any(|other| are_apart(one, other)))
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
                elsewhere.latest[index] = self.highest_of(side);
                elsewhere.began[index] = self.highest_of(side).map(|end| end.wrapping_sub(AHEAD));
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

impl Elsewhere {
    /// A direction is met at a place that is not its usual one.
    fn meet(&mut self, place: PlaceId, side: Side, usual: PlaceId, places: &Places) {
        let index = side.index();
        if let Some(met) = self.places.iter_mut().find(|met| met.place == place) {
            if std::mem::replace(&mut met.sides[index], true) {
                return;
            }
        } else if self.places.len() < MOST_PLACES {
            let sides = [side == Side::High, side == Side::Low];
            self.places.push(Met { place, sides, heard: [None; 2] });
        } else {
            return;
        }
        let others = self.places.iter().filter(|met| met.sides[index]).map(|met| met.place);
        if others.chain([usual]).any(|other| places.apart(other, place) == Apart::InNumber) {
            self.numbered[index].get_or_insert_default();
        }
    }
}
