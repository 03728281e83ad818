//! TFTP (RFC 1350): a request with a file's name and a mode; data and acknowledgements follow
//! between other ports.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Tftp: "tftp"; Datagram, ports [69], Clear;
    "TFTP: requests with name and mode; blocks and acknowledgements that count";
    "RFC 1350, 2347";
    begins [Opening::client(First::of(&[0])), Opening::server(First::of(&[0]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let asks = is_request(seen.client_first()).is_some();
    (asks || counts(seen)).then(|| Detection::plain("tftp", "file transfer in the clear"))?.certain()
}

fn is_request(bytes: &[u8]) -> Option<()> {
    let mut cursor = Cursor(bytes);
    let kind = cursor.u16()?;
    let name = cursor.zero_ended()?;
    let mode = cursor.zero_ended()?.to_ascii_lowercase();
    let known = matches!(mode.as_slice(), b"octet" | b"netascii" | b"mail");
    (matches!(kind, 1 | 2) && !name.is_empty() && name.iter().all(|b| *b >= 0x20) && known).then_some(())
}

/// Blocks of 512 bytes one way, their acknowledgements the other way, both from 1 on.
fn counts(seen: &Seen<'_>) -> bool {
    let is_block = |(bytes, number): (&[u8], u16)| {
        bytes.starts_with(&[0, 3]) && bytes.get(2..4) == Some(&number.to_be_bytes()) && bytes.len() <= 516
    };
    let is_acknowledgement = |bytes: &[u8]| bytes.len() == 4 && bytes.starts_with(&[0, 4]);
    let one_way = |mut data: super::seen::Datagrams<'_>, mut back: super::seen::Datagrams<'_>| {
        let whole = data.next().is_some_and(|first| is_block((first, 1)) && first.len() == 516);
        whole && data.next().is_some_and(|second| is_block((second, 2))) && back.all(is_acknowledgement)
    };
    // A file that fills no block: it is the first and the last one, and nothing else is acknowledged.
    let short = |mut data: super::seen::Datagrams<'_>, mut back: super::seen::Datagrams<'_>| {
        let mut acknowledged = false;
        let one = |bytes: &[u8]| is_block((bytes, 1)) && (5..516).contains(&bytes.len());
        data.next().is_some_and(one)
            && data.all(one)
            && back.all(|bytes| {
                acknowledged |= bytes == [0, 4, 0, 1];
                is_acknowledgement(bytes) && bytes[2] == 0 && bytes[3] <= 1
            })
            && acknowledged
    };
    let (client, server) = (|| seen.client_datagrams(), || seen.server_datagrams());
    one_way(client(), server()) && !seen.server.is_empty()
        || one_way(server(), client()) && !seen.client.is_empty()
        || short(client(), server())
        || short(server(), client())
}
