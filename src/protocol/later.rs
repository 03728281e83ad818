//! What clear messages may still become: many protocols go over to TLS behind them.

use super::{Detection, Seen};
use crate::capture::STREAM_BYTES;
use crate::model::{Encryption, Protection};
use std::borrow::Cow;

/// Protocols that may go over to encryption behind clear messages of both sides; where the first
/// message decides (PostgreSQL, Redis, MongoDB), nothing that comes later can change the verdict.
pub(super) const UPGRADES_LATER: &[&str] = &[
    "smtp", "imap", "pop3", "ftp", "nntp", "sieve", "irc", "xmpp", "ldap", "telnet", "nats", "mysql", "tds",
    "rdp", "socks", "proxy", "vnc", "nbd", "amqp", "diameter", "rpc", "smb", "dcerpc",
];

/// Whether a conversation that was seen in the clear may have gone over to encryption later.
pub fn may_upgrade(detection: &Detection) -> bool {
    let tunnels = |(name, value): &(&str, Cow<'_, str>)| *name == "method" && value == "CONNECT";
    match detection.protocol {
        // Text of a protocol that nobody knows may be anything.
        "unknown" => true,
        "http" => detection.facts.iter().any(tunnels),
        name => UPGRADES_LATER.contains(&name),
    }
}

/// Says of messages that fill all that is kept of a side that nobody looked behind them: of clear ones that
/// TLS may follow, and of those that a protocol encrypts one by one, as SMB does by share.
pub(super) fn as_far_as_seen(detection: Detection, seen: &Seen<'_>) -> Detection {
    let full = [seen.client, seen.server].into_iter().any(|side| side.len() >= STREAM_BYTES);
    let may_change = match detection.protection {
        Protection::Plaintext(_) => UPGRADES_LATER.contains(&detection.protocol),
        Protection::Encrypted(by) => by == Encryption::Own,
        Protection::Unknown(_) => false,
    };
    match full && seen.is_stream() && may_change {
        true => {
            let why = format!("{}, in the first 16 KiB; what follows them was not looked at", detection.why);
            Detection { why: why.into(), ..detection }
        }
        false => detection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{StreamStart, Transport};
    use crate::protocol::judge;

    #[test]
    fn clear_messages_that_fill_what_is_kept_say_that_nobody_looked_behind_them() {
        let start = StreamStart {
            forward: b"EHLO a\r\n".repeat(2_048),
            backward: b"220 mail.example ESMTP\r\n".to_vec(),
            ..Default::default()
        };
        let seen = Seen::new(Transport::Tcp, 40_000, 25, &start);
        let told = as_far_as_seen(judge(&seen), &seen);
        assert!(told.protection.is_plaintext() && told.why.contains("what follows them was not"), "{told:?}");
        let short = Seen { client: &start.forward[..100], ..seen };
        assert_eq!(as_far_as_seen(judge(&short), &short).why, "greeting and commands in the clear");
    }

    #[test]
    fn messages_that_are_encrypted_one_by_one_say_so_too() {
        let sealed = [&[0, 0, 0, 200, 0xfd, b'S', b'M', b'B'][..], &[0xa7; 196]].concat();
        let start = StreamStart { forward: sealed.repeat(90), ..Default::default() };
        let seen = Seen::new(Transport::Tcp, 40_000, 445, &start);
        let told = as_far_as_seen(judge(&seen), &seen);
        assert!(matches!(told.protection, Protection::Encrypted(_)), "{told:?}");
        assert!(told.why.ends_with("what follows them was not looked at"), "{told:?}");
    }
}
