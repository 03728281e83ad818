//! The live table: a screen of open flows, made of what is known, a line each.
//!
//! What it looks like is decided here; when it is drawn is left to others.

use crate::model::Protection;
use crate::observed::Glance;
use std::cmp::Reverse;

/// What the table is sorted by, the greatest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Bytes in both directions.
    Bytes,
    /// Packets in both directions.
    Packets,
    /// The time of the first packet.
    Newest,
}

/// How to show flows.
#[derive(Clone, Debug)]
pub struct Look {
    /// The order of lines.
    pub order: Order,
    /// Only lines that contain this, in any case of letters; all where it is empty.
    pub only: String,
    /// Lines and columns of the screen.
    pub size: (usize, usize),
    /// Whether protection is coloured.
    pub colour: Colour,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With escape sequences (ECMA-48).
    Coloured,
    /// Plain text.
    Plain,
}

/// One screen: a head, a line of titles, and as many flows as have room.
pub fn screen(head: &str, open: &[Glance], look: &Look, name: impl Fn(&Glance) -> [String; 2]) -> String {
    let wanted = look.only.to_lowercase();
    let mut shown: Vec<(&Glance, Option<[String; 2]>)> = Vec::new();
    for glance in open {
        if wanted.is_empty() {
            shown.push((glance, None));
            continue;
        }
        let names = name(glance);
        let text = format!("{} {} {} {}", names[0], names[1], service(glance), verdict(glance).join(" "));
        if text.to_lowercase().contains(&wanted) {
            shown.push((glance, Some(names)));
        }
    }
    let total = |glance: &Glance| match look.order {
        Order::Bytes => glance.flow.forward.bytes + glance.flow.backward.bytes,
        Order::Packets => glance.flow.forward.packets + glance.flow.backward.packets,
        Order::Newest => glance.flow.first,
    };
    // Equal ones keep their places from screen to screen.
    shown.sort_by_key(|(glance, _)| {
        (Reverse(total(glance)), glance.flow.first, glance.flow.initiator, glance.flow.responder)
    });
    let (lines, columns) = look.size;
    // The cursor stands below the last line: without room for it, the screen would scroll.
    let mut left = lines.saturating_sub(1).max(1);
    let mut out = String::new();
    let mut print = |line: &str| {
        if left > 0 {
            left -= 1;
            out.push_str(line);
            out.push_str("\x1b[K\r\n");
        }
    };
    let filtered = match look.only.as_str() {
        "" => String::new(),
        only => format!(", {} with {only:?}", shown.len()),
    };
    let word = ["bytes", "packets", "newest"][look.order as usize];
    print(&cut(&format!("{head}, {} open{filtered}, by {word}", open.len()), columns));
    let shape = Shape::of(columns);
    let titles = ["FROM", "TO", "PORT", "PROTOCOL", "PROTECTION", "BYTES", "PACKETS"];
    print(&cut(&shape.line(titles.map(str::to_owned)).concat(), columns));
    for (glance, names) in shown.into_iter().take(lines.saturating_sub(3)) {
        let [from, to] = names.unwrap_or_else(|| name(glance));
        let [protocol, protection] = verdict(glance);
        let bytes = glance.flow.forward.bytes + glance.flow.backward.bytes;
        let packets = glance.flow.forward.packets + glance.flow.backward.packets;
        let amounts = [amount(bytes), amount(packets)];
        let [bytes, packets] = amounts;
        let columns_of =
            [from, to, service(glance), protocol.to_owned(), protection.to_owned(), bytes, packets];
        let [before, middle, after] = shape.line(columns_of);
        let fits = before.chars().count() + middle.chars().count() + after.chars().count() <= columns;
        match (look.colour, colour(glance)) {
            (Colour::Coloured, Some(code)) if fits => {
                print(&format!("{before}\x1b[{code}m{middle}\x1b[0m{after}"));
            }
            _ => print(&cut(&format!("{before}{middle}{after}"), columns)),
        }
    }
    out
}

/// What a line has room for: the protection comes before the amounts.
struct Shape {
    from: usize,
    to: usize,
    protocol: Shown,
    bytes: Shown,
    packets: Shown,
}

/// Whether a column is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

impl Shape {
    fn of(columns: usize) -> Shape {
        /// Both ends, when they are short.
        const ENDS: usize = 20;
        // The port, the protection, and what is between columns.
        let mut taken = 10 + 10 + 3;
        let mut column = |width: usize| {
            let fits = taken + width + ENDS <= columns;
            taken += if fits { width } else { 0 };
            if fits { Shown::Yes } else { Shown::No }
        };
        let (protocol, bytes, packets) = (column(13), column(10), column(9));
        let ends = columns.saturating_sub(taken).max(2);
        Shape { from: ends / 2, to: ends - ends / 2, protocol, bytes, packets }
    }

    /// What stands before the protection, the protection, and what stands behind it.
    fn line(&self, columns: [String; 7]) -> [String; 3] {
        let [from, to, port, protocol, protection, bytes, packets] = columns;
        let (left, right) = (self.from, self.to);
        let mut before = format!("{:<left$} {:<right$} {port:<10} ", clip(&from, left), clip(&to, right));
        if self.protocol == Shown::Yes {
            before.push_str(&format!("{:<12} ", clip(&protocol, 12)));
        }
        let mut after = String::new();
        for (column, text, width) in [(self.bytes, bytes, 9), (self.packets, packets, 8)] {
            if column == Shown::Yes {
                after.push_str(&format!(" {text:>width$}"));
            }
        }
        [before, format!("{protection:<10}"), after]
    }
}

fn cut(line: &str, columns: usize) -> String {
    line.chars().take(columns).collect()
}

/// `5432/tcp`.
fn service(glance: &Glance) -> String {
    use crate::observed::Transport;
    let port = glance.flow.responder.port;
    match glance.flow.transport {
        Transport::Tcp => format!("{port}/tcp"),
        Transport::Udp => format!("{port}/udp"),
        Transport::Sctp => format!("{port}/sctp"),
        Transport::Icmp => "icmp".to_owned(),
        Transport::Other(number) => format!("ip {number}"),
    }
}

fn verdict(glance: &Glance) -> [&str; 2] {
    match &glance.detection {
        Some(detection) => [detection.protocol, detection.protection.word()],
        None => ["…", "…"],
    }
}

/// Green for encrypted, red for plaintext, yellow for what is not known; none before the verdict.
fn colour(glance: &Glance) -> Option<u8> {
    glance.detection.as_ref().map(|detection| match detection.protection {
        Protection::Encrypted(_) => 32,
        Protection::Plaintext(_) => 31,
        Protection::Unknown(_) => 33,
    })
}

/// The end of a text says more than its beginning: `shop/Deployment/web`.
///
/// Names may come from the wire: what a terminal would obey is not passed on.
fn clip(text: &str, width: usize) -> String {
    let count = text.chars().count();
    let shown = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    match count > width {
        false => shown.collect(),
        true => std::iter::once('…').chain(shown.skip(count + 1 - width)).collect(),
    }
}

/// Four digits at most, and a unit.
fn amount(number: u64) -> String {
    let units = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match units.iter().find(|(unit, _)| number >= *unit * 10) {
        Some((unit, word)) => format!("{} {word}", number / unit),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Encryption, Proof};
    use crate::observed::{Counters, FlowEnd, OpenFlow, Transport};
    use crate::protocol::Detection;
    use std::sync::Arc;

    fn glance(port: u16, bytes: u64, packets: u64, first: u64, protection: Option<Protection>) -> Glance {
        let end = |last: u8, port| FlowEnd { ip: [10, 0, 0, last].into(), port };
        let detection = protection.map(|protection| {
            Arc::new(Detection { protocol: "tls", protection, why: "".into(), facts: vec![], names: vec![] })
        });
        let flow = OpenFlow {
            initiator: end(1, 40_000),
            responder: end(2, port),
            transport: Transport::Tcp,
            forward: Counters { packets, bytes },
            backward: Counters::default(),
            first,
            last: first,
            verdict: None,
        };
        Glance { flow, detection }
    }

    fn flows() -> Vec<Glance> {
        vec![
            glance(80, 900, 9, 1, Some(Protection::Plaintext(Proof::Grammar))),
            glance(443, 50_000, 5, 2, Some(Protection::Encrypted(Encryption::Tls))),
            glance(22, 10, 1, 3, None),
        ]
    }

    fn look(order: Order, only: &str) -> Look {
        Look { order, only: only.to_owned(), size: (24, 120), colour: Colour::Plain }
    }

    fn ports(look: &Look) -> Vec<String> {
        let text = screen("head", &flows(), look, |_| ["shop/Deployment/web".into(), "api".into()]);
        let ports = text.split("\r\n").skip(2).filter(|line| !line.is_empty());
        ports.map(|line| line.split_whitespace().nth(2).expect("a port").to_owned()).collect()
    }

    #[test]
    fn lines_are_sorted_and_filtered() {
        assert_eq!(ports(&look(Order::Bytes, "")), ["443/tcp", "80/tcp", "22/tcp"]);
        assert_eq!(ports(&look(Order::Packets, "")), ["80/tcp", "443/tcp", "22/tcp"]);
        assert_eq!(ports(&look(Order::Newest, "")), ["22/tcp", "443/tcp", "80/tcp"]);
        assert_eq!(ports(&look(Order::Bytes, "PLAIN")), ["80/tcp"]);
        assert_eq!(ports(&look(Order::Bytes, "deployment/WEB")).len(), 3);
        assert!(ports(&look(Order::Bytes, "nobody")).is_empty());
    }

    #[test]
    fn a_screen_is_never_larger_than_the_terminal() {
        let small = Look { size: (4, 30), ..look(Order::Bytes, "") };
        let text = screen("a rather long head of the table", &flows(), &small, |_| {
            ["shop/Deployment/a-long-name-of-a-workload".into(), "data/StatefulSet/db".into()]
        });
        let lines: Vec<&str> = text.trim_end().split("\r\n").collect();
        assert!(lines.len() < 4, "{text}");
        assert!(lines.iter().all(|line| line.trim_end_matches("\x1b[K").chars().count() <= 30), "{text}");
        for (lines, columns) in [(0, 0), (1, 1), (2, 10), (3, 43), (5, 200)] {
            let tiny = Look { size: (lines, columns), colour: Colour::Coloured, ..look(Order::Bytes, "") };
            let text = screen("head", &flows(), &tiny, |_| ["a".into(), "b".into()]);
            assert!(text.matches("\r\n").count() < lines.max(2), "{lines} lines: {text:?}");
        }
    }

    #[test]
    fn the_protection_is_shown_before_the_amounts_are() {
        let shown = |columns| {
            let narrow = Look { size: (24, columns), ..look(Order::Bytes, "") };
            let text = screen("head", &flows(), &narrow, |_| ["shop/Deployment/web".into(), "api".into()]);
            text.split("\r\n").nth(1).expect("titles").to_owned()
        };
        for (columns, last) in
            [(120, "PACKETS"), (75, "PACKETS"), (74, "BYTES"), (56, "PROTECTION"), (43, "PROTECTION")]
        {
            let titles = shown(columns);
            assert!(titles.trim_end_matches("\x1b[K").trim_end().ends_with(last), "{columns}: {titles:?}");
        }
        assert!(shown(56).contains("PROTOCOL") && !shown(43).contains("PROTOCOL"));
    }

    #[test]
    fn protection_is_coloured_and_nothing_before_the_verdict() {
        let coloured = Look { colour: Colour::Coloured, ..look(Order::Bytes, "") };
        let text = screen("head", &flows(), &coloured, |_| ["a".into(), "b".into()]);
        assert!(
            text.contains("\x1b[32mencrypted \x1b[0m") && text.contains("\x1b[31mplaintext \x1b[0m"),
            "{text}"
        );
        let undecided = text.split("\r\n").find(|line| line.contains("22/tcp")).expect("a line");
        assert!(!undecided.contains("\x1b[3"), "{undecided}");
    }

    #[test]
    fn names_from_the_wire_give_the_terminal_no_orders() {
        let text =
            screen("head", &flows(), &look(Order::Bytes, ""), |_| ["a\x1b[2J\x07b".into(), "c".into()]);
        assert!(!text.contains("\x1b[2J") && !text.contains('\x07'), "{text:?}");
    }

    #[test]
    fn amounts_are_short() {
        let all =
            [(0, "0"), (9_999, "9999"), (10_000, "10 k"), (12_345_678, "12 M"), (u64::MAX, "18446744 T")];
        for (number, text) in all {
            assert_eq!(amount(number), text);
        }
    }
}
