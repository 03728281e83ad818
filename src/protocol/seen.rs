//! What a detector looks at: the first bytes of one conversation, the caller's first.

use crate::capture::{Flow, Handshake, StreamStart, Transport};

/// One conversation as detectors see it; cheap to copy, it borrows the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What carries it.
    pub transport: Transport,
    /// The first bytes of the side that is taken for the caller.
    pub client: &'a [u8],
    /// The first bytes of the side that is taken for the called one.
    pub server: &'a [u8],
    /// The caller's port; 0 where there is none.
    pub client_port: u16,
    /// The called port; 0 where there is none.
    pub server_port: u16,
    /// Lengths of the caller's datagrams; empty for streams.
    pub client_lengths: &'a [u32],
    /// Lengths of the called side's datagrams; empty for streams.
    pub server_lengths: &'a [u32],
    /// What the choice of the caller rests on.
    pub handshake: Handshake,
    /// When it began, in nanoseconds since 1970: what certificates are held against.
    pub time: u64,
    /// The stream was joined after its beginning.
    pub late: bool,
    /// Bytes are missing because the capture cut packets.
    pub cut: bool,
    /// Bytes are missing because packets are missing.
    pub holes: bool,
    /// The flow table was full before the end.
    pub evicted: bool,
    /// Packets of both directions.
    pub packets: u64,
    /// How many conversations this one is wrapped in (proxies); bounds the recursion.
    pub depth: u8,
}

impl<'a> Seen<'a> {
    /// The view of the initiator of a flow.
    pub fn of(flow: &'a Flow) -> Seen<'a> {
        let seen = Seen::new(flow.transport, flow.initiator.port, flow.responder.port, &flow.start);
        Seen {
            handshake: flow.handshake,
            time: flow.first,
            evicted: flow.evicted,
            packets: flow.forward.packets + flow.backward.packets,
            ..seen
        }
    }

    /// A conversation without a flow around it, opened by `client_port`.
    pub fn new(transport: Transport, client_port: u16, server_port: u16, start: &'a StreamStart) -> Seen<'a> {
        Seen {
            transport,
            client: &start.forward,
            server: &start.backward,
            client_port,
            server_port,
            client_lengths: &start.forward_lengths,
            server_lengths: &start.backward_lengths,
            handshake: Handshake::Seen,
            time: 0,
            late: start.late,
            cut: start.cut,
            holes: start.holes,
            evicted: false,
            packets: 0,
            depth: 0,
        }
    }

    /// The same conversation with the roles exchanged.
    pub fn swapped(&self) -> Seen<'a> {
        Seen {
            client: self.server,
            server: self.client,
            client_port: self.server_port,
            server_port: self.client_port,
            client_lengths: self.server_lengths,
            server_lengths: self.client_lengths,
            ..*self
        }
    }

    /// What is left when a wrapper was taken off both sides of a stream; `None` when too deep.
    pub(super) fn inside(&self, client: &'a [u8], server: &'a [u8]) -> Option<Seen<'a>> {
        let depth = self.depth + 1;
        (depth <= 4).then_some(Seen { client, server, depth, ..*self })
    }

    /// Whether any payload was seen.
    pub fn has_payload(&self) -> bool {
        !self.client.is_empty() || !self.server.is_empty()
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.transport, Transport::Tcp | Transport::Sctp)
    }

    /// Whether one of the ports is among the usual ones.
    pub(super) fn hinted(&self, ports: &[u16]) -> bool {
        ports.contains(&self.server_port) || ports.contains(&self.client_port)
    }

    /// The caller's datagrams that were kept; a stream counts as one.
    pub(super) fn client_datagrams(&self) -> Datagrams<'a> {
        Datagrams { rest: self.client, lengths: self.client_lengths, stream: self.is_stream() }
    }

    /// The called side's datagrams that were kept; a stream counts as one.
    pub(super) fn server_datagrams(&self) -> Datagrams<'a> {
        Datagrams { rest: self.server, lengths: self.server_lengths, stream: self.is_stream() }
    }

    /// The datagrams of both sides, the caller's first.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.client_datagrams().chain(self.server_datagrams())
    }

    /// The first datagram or the whole stream of the caller; empty where nothing was seen.
    pub(super) fn client_first(&self) -> &'a [u8] {
        self.client_datagrams().next().unwrap_or(&[])
    }

    /// The first datagram or the whole stream of the called side; empty where nothing was seen.
    pub(super) fn server_first(&self) -> &'a [u8] {
        self.server_datagrams().next().unwrap_or(&[])
    }

    /// Whether a reader fits the first bytes of either side, and none that is there does not fit.
    pub(super) fn fits(&self, reads: impl Fn(&'a [u8]) -> bool) -> Fit {
        let side = |bytes: &'a [u8]| (!bytes.is_empty()).then(|| reads(bytes));
        match (side(self.client_first()), side(self.server_first())) {
            (Some(true), Some(true)) => Fit::Both,
            (Some(true), None) | (None, Some(true)) => Fit::TheOnlySide,
            (Some(true), _) | (_, Some(true)) => Fit::OneOfTwo,
            _ => Fit::None,
        }
    }
}

/// How far a grammar fits the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Both sides.
    Both,
    /// The one side that was seen.
    TheOnlySide,
    /// One side, while the other says something else.
    OneOfTwo,
    /// Neither.
    None,
}

/// Datagrams of one direction, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagrams<'a> {
    rest: &'a [u8],
    lengths: &'a [u32],
    stream: bool,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.stream {
            self.stream = false;
            let all = std::mem::take(&mut self.rest);
            self.lengths = &[];
            return (!all.is_empty()).then_some(all);
        }
        loop {
            let (length, behind) = self.lengths.split_first()?;
            self.lengths = behind;
            let (datagram, rest) = self.rest.split_at_checked(*length as usize)?;
            self.rest = rest;
            if !datagram.is_empty() {
                return Some(datagram);
            }
        }
    }
}
