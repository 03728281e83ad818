//! Where a detector says that it has heard enough of a side, nothing that the side could still say
//! changes the verdict: its bytes are not kept.

#[path = "common/streams.rs"]
mod streams;

use std::collections::BTreeMap;
use watertight::capture::{Exchange, Handshake, Speaker, StillWanted, Transport};
use watertight::protocol::{DETECTORS, Detection, Seen, judge, seeks, still_wanted};

/// Bytes that a body may hold which nobody can read, and a reader of text finds nothing in.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8 | 0x80
    };
    (0..length).map(|_| next()).collect()
}

/// What both sides said, and what would be kept of it.
fn verdict(seen: &Seen<'_>, client: &[u8], server: &[u8], limit: usize) -> Detection {
    let kept = |bytes: &[u8]| bytes[..bytes.len().min(limit)].to_vec();
    let (client, server) = (kept(client), kept(server));
    judge(&Seen { client: &client, server: &server, ..*seen })
}

#[test]
fn what_is_said_behind_enough_changes_no_verdict() {
    let cases: Vec<streams::Case> =
        streams::names().iter().flat_map(|name| streams::cases(name)).filter(is_connection).collect();
    let said = |case: &streams::Case| [case.start.forward.clone(), case.start.backward.clone()];
    // Whatever any protocol says may follow, each once in so many tries.
    let anything: Vec<Vec<u8>> = cases.iter().flat_map(said).filter(|bytes| !bytes.is_empty()).collect();
    let mut enough = BTreeMap::new();
    let (mut tried, mut sought) = (0, 0);
    for (case, limit) in cases.iter().flat_map(|case| [48, 160, 16_384].map(|limit| (case, limit))) {
        let seen = case.seen();
        let [client, server] = [seen.client, seen.server];
        for heard in 1..=client.len().min(limit) + server.len().min(limit) {
            // The caller speaks first, then the called side.
            let (asked, answered) = (heard.min(client.len()), heard.saturating_sub(client.len()));
            let [caller, called] = [&client[..asked], &server[..answered.min(limit)]];
            for speaker in [Speaker::Caller, Speaker::Called] {
                let exchange = Exchange { caller, called, speaker, limit };
                let wanted = still_wanted(&exchange);
                if wanted == StillWanted::Both {
                    continue;
                }
                let now = verdict(&seen, caller, called, limit);
                *enough.entry((now.protocol, format!("{wanted:?}"))).or_insert(0) += 1;
                // Of a body that nobody can read, it is not asked what else it might be.
                let random = [noise(400)];
                let hidden = now.protocol == "http" && wanted == StillWanted::TheOther;
                let more = if hidden { &random[..] } else { &anything[..] };
                if wanted == StillWanted::Sought {
                    sought += 1;
                    assert!(seeks(&[exchange.said(), b"-----BEGIN PRIVATE KEY-----"].concat()));
                }
                for more in more.iter().skip(tried % 3).step_by(3) {
                    tried += 1;
                    let longer = |bytes: &[u8]| [bytes, more].concat();
                    if wanted == StillWanted::Sought && seeks(&longer(exchange.said())) {
                        continue;
                    }
                    let (all, other): (Detection, Detection) = match (wanted, speaker) {
                        (StillWanted::Nothing, _) => {
                            (verdict(&seen, &longer(caller), &longer(called), limit), now.clone())
                        }
                        (_, Speaker::Caller) => (
                            verdict(&seen, &longer(caller), &longer(called), limit),
                            verdict(&seen, caller, &longer(called), limit),
                        ),
                        (_, Speaker::Called) => (
                            verdict(&seen, &longer(caller), &longer(called), limit),
                            verdict(&seen, &longer(caller), called, limit),
                        ),
                    };
                    assert_eq!(all, other, "{}: {exchange:?}, and then {more:?}", case.title);
                }
            }
        }
    }
    println!("{tried} tries; {enough:?}");
    assert!(sought > 0, "no side is searched");
    let telling = DETECTORS.iter().filter(|detector| detector.heard().is_some());
    for name in telling.map(|detector| detector.name()) {
        assert!(enough.keys().any(|(protocol, _)| *protocol == name), "{name} never has enough: {enough:?}");
    }
    assert!(tried > 1_000, "{tried}");
}

/// Only of those somebody is asked.
fn is_connection(case: &streams::Case) -> bool {
    case.seen().handshake == Handshake::Seen && case.transport == Transport::Tcp
}
