//! Every detector on its stream file: what it must know, what only looks like it; and the page
//! that is made from the table. `UPDATE_EXPECT=1` rewrites the page.

#![expect(clippy::disallowed_methods, reason = "tests read and write pages")]

#[path = "common/streams.rs"]
mod streams;

use std::collections::BTreeSet;
use std::path::Path;
use watertight::model::Protection;
use watertight::protocol::{DETECTORS, Detector, Form, Over, Probe, judge};

fn names(detector: &dyn Detector) -> BTreeSet<&'static str> {
    [detector.name()].iter().chain(detector.also()).copied().collect()
}

#[test]
fn every_detector_knows_its_streams_and_leaves_what_only_looks_like_them() {
    let mut failures = Vec::new();
    for detector in DETECTORS {
        let cases = streams::cases(detector.name());
        let ours = names(*detector);
        for case in &cases {
            let detection = judge(&case.seen());
            let place = format!("{}: {}", detector.name(), case.title);
            let got = [detection.protocol, detection.protection.word()];
            if !case.answer.iter().zip(got).all(|(want, got)| want == got) {
                failures.push(format!("{place}: want {:?}, got {got:?} ({})", case.answer, detection.why));
            }
            let facts =
                detection.facts.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "_")));
            let named = detection.names.iter().map(|(address, name)| format!("name:{address}={name}"));
            let known: BTreeSet<String> = facts.chain(named).collect();
            for fact in case.facts.iter().filter(|fact| !known.contains(*fact)) {
                failures.push(format!("{place}: no fact {fact} in {known:?}"));
            }
            let answer = detector.probe(&case.seen());
            if case.near_miss && (answer != Probe::NotForUs || ours.contains(detection.protocol)) {
                failures.push(format!("{place}: a near miss was taken: {answer:?}"));
            }
        }
        let own = |case: &&streams::Case| !case.near_miss && ours.contains(case.answer[0].as_str());
        let wrapper = detector.name() == "proxy";
        if !wrapper && cases.iter().filter(own).count() == 0 {
            failures.push(format!("{} has no case that it knows", detector.name()));
        }
        if !cases.iter().any(|case| case.near_miss) {
            failures.push(format!("{} has no near miss", detector.name()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn verdicts_keep_to_the_form_of_the_protocol_and_every_file_has_a_detector() {
    let known: BTreeSet<&str> = DETECTORS.iter().map(|detector| detector.name()).collect();
    for name in streams::names() {
        assert!(known.contains(name.as_str()), "fixtures/streams/{name}.txt has no detector");
        for case in streams::cases(&name) {
            let seen = case.seen();
            for detector in DETECTORS.iter().filter(|detector| detector.over().carries(seen.transport)) {
                let (Probe::Certain(found) | Probe::Unsure(found)) = detector.probe(&seen) else { continue };
                let fits = match detector.form() {
                    Form::Clear => !matches!(found.protection, Protection::Encrypted(_)),
                    Form::Encrypted => !matches!(found.protection, Protection::Plaintext(_)),
                    Form::Either => true,
                };
                assert!(fits, "{} on {}: {:?}", detector.name(), case.title, found.protection);
                let named = names(*detector).contains(found.protocol) || detector.name() == "proxy";
                assert!(named, "{} calls a flow {}", detector.name(), found.protocol);
            }
        }
    }
}

#[test]
fn no_secret_of_a_stream_is_in_its_detection() {
    let (mut cases, mut secrets) = (0, 0);
    for case in streams::names().iter().flat_map(|name| streams::cases(name)) {
        let told = format!("{:?}", judge(&case.seen()));
        assert!(!told.contains("s3cr3t") && !told.contains("czNjcjN0"), "{}: {told}", case.title);
        cases += 1;
        secrets += usize::from(told.contains("(\"credentials\""));
    }
    println!("{cases} streams, {secrets} of them with a secret");
    assert!(cases >= 150 && secrets >= 25, "{cases} streams, {secrets} with a secret");
}

/// A stream that is seen from one side only, or cut, is judged by less and never the other way.
#[test]
fn less_of_a_stream_never_turns_plaintext_into_encrypted() {
    for case in streams::names().iter().flat_map(|name| streams::cases(name)) {
        let whole = judge(&case.seen());
        if !matches!(whole.protection, Protection::Plaintext(_)) || whole.why.contains("cipher") {
            continue;
        }
        let seen = case.seen();
        // What an upgrade or a tunnel carries is encrypted whatever was said before it.
        let views = [
            watertight::protocol::Seen { server: &[], server_lengths: &[], ..seen },
            watertight::protocol::Seen { client: &[], client_lengths: &[], ..seen },
            watertight::protocol::Seen { client: &seen.client[..seen.client.len() / 2], cut: true, ..seen },
        ];
        for view in views {
            let part = judge(&view);
            let bad = matches!(part.protection, Protection::Encrypted(_));
            assert!(!bad, "{}: {} is {:?} when less is seen", case.title, whole.protocol, part);
        }
    }
}

#[test]
fn the_page_of_protocols_is_that_of_the_table() {
    let over = |over| match over {
        Over::Stream => "TCP",
        Over::Datagram => "UDP",
        Over::Both => "TCP, UDP",
        Over::Network => "IP",
        Over::Any => "IP, TCP, UDP",
    };
    let form = |form| match form {
        Form::Clear => "never",
        Form::Encrypted => "always",
        Form::Either => "both forms are told apart",
    };
    let mut page = String::from(
        "# Protocols\n\nThis page is made from the table of detectors by `UPDATE_EXPECT=1 cargo test --test streams`.\n\
         Bytes are proof, ports are hints for what fits more than one protocol.\n\
         Whatever nothing here knows is `unknown`, with the reason; random-looking bytes are a fact, never a verdict.\n\n\
         | protocol | over | usual ports | encrypted | recognised by | reference |\n|---|---|---|---|---|---|\n",
    );
    for detector in DETECTORS {
        let names: Vec<String> =
            [detector.name()].iter().chain(detector.also()).map(|name| format!("`{name}`")).collect();
        let ports: Vec<String> = detector.ports().iter().map(ToString::to_string).collect();
        page += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            names.join(", "),
            over(detector.over()),
            ports.join(", "),
            form(detector.form()),
            detector.summary(),
            detector.reference()
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/protocols.md");
    if std::env::var("UPDATE_EXPECT").is_ok() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &page).expect("the page");
    }
    let kept = std::fs::read_to_string(&path).expect("docs/reference/protocols.md");
    assert!(
        kept == page,
        "docs/reference/protocols.md is not current: UPDATE_EXPECT=1 cargo test --test streams"
    );
}
