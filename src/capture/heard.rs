//! Asks of a connection that goes on whether more of what a side says could change anything: first
//! bytes that nobody needs are not kept.

use super::cold::Cold;
use super::key::Side;
use super::marks::Marks;
use super::state::{Kept, State};
use super::{Audience, Exchange, Speaker, StillWanted};

/// Somebody is asked when a side has said so many bytes, and each time that it has said four times as many.
const ASKED_FROM: usize = 256;

/// Whether a stream that grew from one length to another passed one at which somebody is asked.
#[inline]
pub(super) fn is_asked(before: usize, now: usize) -> bool {
    let times = |length: usize| (length / ASKED_FROM).checked_ilog2().map_or(0, |doubled| doubled / 2 + 1);
    now >= ASKED_FROM && times(before) < times(now)
}

impl State {
    /// Asks what is still wanted, now that a side said more.
    pub(super) fn hear(
        &mut self,
        side: Side,
        cold: &mut Cold,
        limit: usize,
        audience: &dyn Audience,
    ) -> Kept {
        let exchange = self.exchange(side, cold, limit);
        match exchange.map_or(StillWanted::Both, |exchange| audience.wants(&exchange)) {
            StillWanted::Both => Kept::Some,
            StillWanted::Sought => {
                let stream = &mut cold.streams[side.index()];
                stream.sifted.begin(&stream.bytes);
                Kept::Some
            }
            StillWanted::TheOther => {
                self.marks.set(Marks::FULL[side.index()] | Marks::HEARD);
                match self.marks.has(Marks::FULL[side.other().index()]) {
                    true => Kept::Enough,
                    false => Kept::Some,
                }
            }
            StillWanted::Nothing => Kept::Enough,
        }
    }

    /// What both sides said so far, one of them just now; nothing where it is not certain who called,
    /// or where something is missing.
    fn exchange<'a>(&self, side: Side, cold: &'a Cold, limit: usize) -> Option<Exchange<'a>> {
        let is_certain = self.protocol() == 6 && self.marks.has(Marks::OPENING_SEEN | Marks::ANSWER_SEEN);
        let missing = self.marks.has(Marks::CUT | Marks::HOLES)
            || cold.streams.iter().any(|stream| stream.waits() || stream.holes || stream.cut);
        let sifted = cold.streams[side.index()].sifted.is_begun();
        if !is_certain || missing || sifted {
            return None;
        }
        let caller = if self.marks.has(Marks::LOW_INITIATES) { Side::Low } else { Side::High };
        let said = |side: Side| cold.streams[side.index()].bytes.as_slice();
        Some(Exchange {
            caller: said(caller),
            called: said(caller.other()),
            speaker: if side == caller { Speaker::Caller } else { Speaker::Called },
            limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_asked_once_for_each_fourfold() {
        let lengths = [0, 100, 511, 512, 700, 1_023, 1_024, 1_100, 5_000, 5_100, 16_384];
        let asked: Vec<usize> =
            lengths.windows(2).filter(|pair| is_asked(pair[0], pair[1])).map(|pair| pair[1]).collect();
        assert_eq!(asked, [511, 1_024, 5_000, 16_384]);
    }
}
