//! SMB 1 to 3 (MS-CIFS, MS-SMB2): the magic of each message tells clear from encrypted.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};
use crate::model::Encryption;

detector! {
    Smb: "smb"; Stream, ports [445, 139], Either;
    "SMB: messages in the clear, and the transform header of encrypted ones";
    "MS-SMB2 section 2.2.41; MS-CIFS; RFC 1002";
    begins [Opening::client(SESSION), Opening::server(SESSION)]
}

/// One message by its magic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    /// The first version asks which version is spoken, which clients of the others begin with, too.
    Asked,
    First,
    /// The second version, with its command.
    Second(u16),
    Encrypted,
    Compressed,
}

/// First bytes of the packets of a session.
const SESSION: First = First::of(&[0]).or(First::range(0x81, 0x85));

/// The command of the first version that asks for a version (MS-CIFS, section 2.2.4.52).
const NEGOTIATE: u8 = 0x72;

/// Commands that set up a session and the way to a share: negotiate to tree disconnect.
const SET_UP: std::ops::RangeInclusive<u16> = 0..=4;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (ahead, back) = (messages(seen.client), messages(seen.server));
    let all = || ahead.iter().chain(&back);
    all().next()?;
    let encrypted = all().any(|message| *message == Message::Encrypted);
    let clear_content = all().any(|message| match message {
        Message::First | Message::Compressed => true,
        Message::Second(command) => !SET_UP.contains(command),
        Message::Asked | Message::Encrypted => false,
    });
    let detection = match (encrypted, clear_content) {
        (true, false) => {
            Detection::encrypted("smb", Encryption::Own, "messages with the transform header of SMB 3")
        }
        (true, true) => Detection::plain("smb", "some messages are encrypted and some are in the clear"),
        (false, _) => Detection::plain("smb", "messages in the clear"),
    };
    let old = |message: &Message| matches!(message, Message::First | Message::Asked);
    let newer = all().any(|message| !old(message)) && !all().any(|message| *message == Message::First);
    let version = if newer { "2+" } else { "1" };
    detection.with("smb_version", version).certain()
}

/// Messages behind their length (RFC 1002, section 4.3.1); other packets of the session are passed over.
fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut cursor = Cursor(bytes);
    let mut found = Vec::new();
    while let (Some(kind), Some(length)) = (cursor.u8(), cursor.u24()) {
        let body = &cursor.0[..cursor.0.len().min(length)];
        match (kind, body) {
            (0, [0xff, b'S', b'M', b'B', NEGOTIATE, ..]) => found.push(Message::Asked),
            (0, [0xff, b'S', b'M', b'B', ..]) => found.push(Message::First),
            (0, [0xfe, b'S', b'M', b'B', rest @ ..]) => {
                found.push(Message::Second(rest.get(8..10).map_or(0, |c| u16::from_le_bytes([c[0], c[1]]))));
            }
            (0, [0xfd, b'S', b'M', b'B', ..]) => found.push(Message::Encrypted),
            (0, [0xfc, b'S', b'M', b'B', ..]) => found.push(Message::Compressed),
            (0x81..=0x85, _) => {}
            _ => break,
        }
        if cursor.take(length).is_none() {
            break;
        }
    }
    found
}
