//! Who is not asked would have said nothing: what detectors declare of first bytes is held against
//! what they find, and choosing them by first bytes against asking all of them.

mod common;
#[path = "common/random.rs"]
#[allow(dead_code, reason = "each test takes the kinds of numbers that it needs")]
mod random;
#[path = "common/streams.rs"]
mod streams;

use random::Random;
use watertight::capture::{self, Flow, FlowLimits, Handshake, StreamStart, Transport};
use watertight::protocol::{DETECTORS, Detection, Probe, Seen, candidates, judge};

/// The answers of all detectors that the transport can carry, in order.
fn all(seen: &Seen<'_>) -> Vec<(&'static str, Probe)> {
    let carried = DETECTORS.iter().filter(|detector| detector.over().carries(seen.transport));
    carried.map(|detector| (detector.name(), detector.probe(seen))).collect()
}

/// The verdict without a choice beforehand; `None` where nobody knows the bytes.
fn asking_all(seen: &Seen<'_>) -> Option<Detection> {
    let guessed = matches!(seen.handshake, Handshake::GuessedByPort | Handshake::FirstPacket);
    let mut unsure = None;
    for seen in [*seen, seen.swapped()].iter().take(if guessed && seen.has_payload() { 2 } else { 1 }) {
        for (_, answer) in all(seen) {
            match answer {
                Probe::Certain(detection) => return Some(detection),
                Probe::Unsure(detection) => drop(unsure.get_or_insert(detection)),
                Probe::NotForUs => {}
            }
        }
    }
    unsure
}

/// Nobody who is left out has something to say, and the verdict is that of asking all.
fn check(seen: &Seen<'_>, place: &dyn Fn() -> String) -> bool {
    for view in [*seen, seen.swapped()] {
        let asked: Vec<&str> = candidates(&view).map(|detector| detector.name()).collect();
        let spoke = all(&view).into_iter().filter(|(_, answer)| *answer != Probe::NotForUs);
        for (name, answer) in spoke {
            assert!(asked.contains(&name), "{}: {name} is not asked and says {answer:?}: {view:?}", place());
        }
    }
    let (chosen, whole) = (judge(seen), asking_all(seen));
    match &whole {
        // What else is said between the same ends is asked afterwards.
        Some(whole) if chosen.why.ends_with(" it, in the clear") => {
            assert_eq!((chosen.protocol, chosen.facts), (whole.protocol, whole.facts.clone()), "{}", place());
        }
        Some(whole) => assert_eq!(chosen, *whole, "{}", place()),
        None => assert_eq!(chosen.protocol, "unknown", "{}", place()),
    }
    whole.is_some()
}

#[test]
fn all_streams_and_pieces_of_them_are_judged_as_if_all_were_asked() {
    let (mut views, mut known) = (0, 0);
    for name in streams::names() {
        for case in streams::cases(&name) {
            let seen = case.seen();
            // The borders of datagrams stay where they are.
            let cut = |part: usize| match seen.client_lengths.is_empty() && seen.server_lengths.is_empty() {
                true => Seen {
                    client: &seen.client[..seen.client.len() / part],
                    server: &seen.server[..seen.server.len() / part],
                    cut: true,
                    ..seen
                },
                false => Seen { cut: true, ..seen },
            };
            let pieces = [
                seen,
                seen.swapped(),
                Seen { server: &[], server_lengths: &[], ..seen },
                Seen { client: &[], client_lengths: &[], ..seen },
                cut(2),
                cut(5),
                Seen { handshake: Handshake::FirstPacket, late: true, ..seen },
                Seen { server_port: 1, client_port: 1, ..seen },
            ];
            for piece in &pieces {
                known += usize::from(check(piece, &|| format!("{name}: {}", case.title)));
                views += 1;
            }
        }
    }
    assert!(views > 1_500 && known > views / 2, "{known} of {views}");
}

/// Pieces of known streams with other first bytes, ports and lengths, and nothing but dice.
#[test]
fn random_bytes_are_judged_as_if_all_were_asked() {
    let cases: Vec<streams::Case> = streams::names()
        .iter()
        .flat_map(|name| streams::cases(name))
        .filter(|c| c.start.forward.len() > 4)
        .collect();
    let ports: Vec<u16> = DETECTORS.iter().flat_map(|detector| detector.ports()).copied().collect();
    let mut dice = Random(5);
    let mut known = 0;
    for round in 0..30_000 {
        let mut start =
            StreamStart { late: dice.below(3) == 0, cut: dice.below(4) == 0, ..StreamStart::default() };
        let (a, b) = (dice.below(cases.len()), dice.below(cases.len()));
        let transport = cases[a].transport;
        let same = if dice.below(3) == 0 { b } else { a };
        (start.forward, start.forward_lengths) =
            (cases[a].start.forward.clone(), cases[a].start.forward_lengths.clone());
        (start.backward, start.backward_lengths) =
            (cases[same].start.backward.clone(), cases[same].start.backward_lengths.clone());
        for bytes in [&mut start.forward, &mut start.backward] {
            match dice.below(6) {
                0 => bytes.iter_mut().take(1).for_each(|byte| *byte = dice.next() as u8),
                1 => bytes.iter_mut().take(4).for_each(|byte| *byte = dice.next() as u8),
                2 => bytes.iter_mut().for_each(|byte| *byte = dice.next() as u8),
                3 if !bytes.is_empty() => {
                    let at = dice.below(bytes.len());
                    bytes[at] ^= 1 << dice.below(8);
                }
                _ => {}
            }
        }
        if !matches!(transport, Transport::Tcp | Transport::Sctp) {
            // A stream's bytes under a datagram's head are one datagram.
            for (bytes, lengths) in
                [(&start.forward, &mut start.forward_lengths), (&start.backward, &mut start.backward_lengths)]
            {
                if lengths.iter().sum::<u32>() as usize != bytes.len() {
                    *lengths = vec![bytes.len() as u32];
                }
            }
        }
        let port = if dice.below(2) == 0 { cases[a].port } else { dice.one_of(&ports) };
        let seen = Seen {
            handshake: dice.one_of(&[Handshake::Seen, Handshake::FirstPacket]),
            ..Seen::new(transport, 40_000, port, &start)
        };
        known += usize::from(check(&seen, &|| format!("round {round}, {}", cases[a].title)));
    }
    assert!(known > 10_000, "{known} of the rounds are known");
}

#[test]
fn every_flow_of_the_corpora_is_judged_as_if_all_were_asked() {
    let Some(root) = common::shared("data/captures") else { return };
    let (mut flows, mut known) = (0, 0);
    for entry in walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().filter_map(Result::ok) {
        let path = entry.path();
        let Some(mut input) = entry.file_type().is_file().then(|| common::open_capture(path)) else {
            continue;
        };
        let mut look = |flow: Flow| {
            flows += 1;
            known += usize::from(check(&Seen::of(&flow), &|| path.display().to_string()));
        };
        // What is no capture has no flows.
        drop(capture::read_capture(&mut input, FlowLimits::default(), &mut look));
    }
    println!("{flows} flows, {known} of them known to a detector");
    assert!(flows > 5_000 && known > flows / 3, "{known} of {flows}");
}
