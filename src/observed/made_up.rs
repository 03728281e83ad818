//! Whether the numbers that open connections prove anything. Those of real stacks are random (RFC 9293,
//! section 3.4.1), and no two connections share both; captures that somebody put together, as for tests
//! and lectures, open all of theirs with the same.

use super::ObservedFlow;
use crate::capture::Opening;

/// Numbers below this are written by hand: both of a connection are, by chance, once in 2^32.
const SMALL: u32 = 1 << 16;
/// Round ones are, too; a hundredth of a hundredth of all are.
const ROUND: u32 = 100;
/// What both sides of a translation say alike.
const SAID: [&str; 4] = ["host", "ja4", "query", "sni"];

/// Whether the two numbers look like what people write: small, round, or twice the same. A time stamp of
/// the SYN says that there was a real stack.
pub(super) fn is_written_by_hand(opening: Opening) -> bool {
    let Some(responder) = opening.responder else { return false };
    let both = |is: fn(u32) -> bool| is(opening.initiator) && is(responder);
    let written = both(|number| number < SMALL)
        || both(|number| number.is_multiple_of(ROUND))
        || opening.initiator == responder;
    written && opening.timestamp == 0
}

/// Whether two connections with the same numbers cannot be legs of one: a translation that leaves a
/// client its address leaves it its port, for otherwise it would have nothing to do; and none changes
/// what is said.
pub(super) fn contradict(one: &ObservedFlow, other: &ObservedFlow) -> bool {
    let (here, there) = (one.flow.initiator, other.flow.initiator);
    here.ip == there.ip && here.port != there.port || say_different_things(one, other)
}

fn say_different_things(one: &ObservedFlow, other: &ObservedFlow) -> bool {
    let family = |seen: &ObservedFlow| match seen.detection.protocol {
        // Told from TLS by its port.
        "hbone" => "tls",
        // Told from DNS by its port, behind which a name server may stand (that of OpenShift does).
        "mdns" => "dns",
        name => name,
    };
    let (here, there) = (family(one), family(other));
    let known = here != "unknown" && there != "unknown";
    let said = |seen: &ObservedFlow, wanted: &str| {
        seen.detection.facts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    };
    let differ = |name: &&str| matches!((said(one, name), said(other, name)), (Some(a), Some(b)) if a != b);
    known && (here != there || SAID.iter().any(differ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_people_write_are_told_from_those_of_stacks() {
        let opening =
            |initiator, responder, timestamp| Opening { initiator, responder: Some(responder), timestamp };
        for (initiator, responder) in [(0, 0), (1_000, 5_000), (100, 1), (1_000_000, 2_000_000)] {
            assert!(is_written_by_hand(opening(initiator, responder, 0)));
            assert!(!is_written_by_hand(opening(initiator, responder, 7)), "a stack told its time");
        }
        assert!(is_written_by_hand(opening(0x1234_5678, 0x1234_5678, 0)));
        assert!(!is_written_by_hand(opening(0x1234_5678, 500, 0)));
        assert!(!is_written_by_hand(opening(0x1234_5678, 0x9abc_def1, 0)));
        assert!(!is_written_by_hand(Opening { initiator: 0, responder: None, timestamp: 0 }));
    }
}
