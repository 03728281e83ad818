//! Frames made by hand: the headers, and the same datagram in every wrapping that is read. Tests read
//! them, and fuzzing begins with them.

pub fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind.to_be_bytes(), body].concat()
}

/// Linux cooked capture, version 2, which tells the interface.
pub fn cooked(interface: u32, body: &[u8]) -> Vec<u8> {
    let index = interface.to_be_bytes();
    [&[8, 0, 0, 0][..], &index, &[0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], body].concat()
}

/// An IPv4 header.
pub struct Ip {
    pub id: u16,
    pub hops: u8,
    pub source: [u8; 4],
    pub target: [u8; 4],
}

pub const A: [u8; 4] = [10, 1, 0, 7];
pub const B: [u8; 4] = [10, 2, 0, 9];
pub const NODE_A: [u8; 4] = [192, 168, 0, 1];
pub const NODE_B: [u8; 4] = [192, 168, 0, 2];

pub fn from_a(id: u16) -> Ip {
    Ip { id, hops: 64, source: A, target: B }
}

pub fn from_b(id: u16) -> Ip {
    Ip { id, hops: 64, source: B, target: A }
}

pub fn nodes(id: u16) -> Ip {
    Ip { id, hops: 64, source: NODE_A, target: NODE_B }
}

impl Ip {
    pub fn whole(&self, protocol: u8, body: &[u8]) -> Vec<u8> {
        self.part(protocol, 0x4000, body)
    }

    pub fn part(&self, protocol: u8, position: u16, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16 + 20).to_be_bytes();
        let (id, position) = (self.id.to_be_bytes(), position.to_be_bytes());
        let mut bytes = vec![0x45, 0, length[0], length[1], id[0], id[1], position[0], position[1]];
        bytes.extend([self.hops, protocol, 0, 0]);
        bytes.extend(self.source);
        bytes.extend(self.target);
        let mut sum: u32 = bytes.chunks(2).map(|p| u32::from(p[0]) << 8 | u32::from(p[1])).sum();
        sum = (sum & 0xffff) + (sum >> 16);
        bytes[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        bytes.extend(body);
        bytes
    }
}

pub fn ip6(next: u8, from_first: bool, body: &[u8]) -> Vec<u8> {
    let ends = [
        [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    ];
    let (source, target) = if from_first { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
    let length = (body.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0, length[0], length[1], next, 64][..], &source, &target, body].concat()
}

pub fn udp(source: u16, target: u16, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16 + 8;
    let head = [source.to_be_bytes(), target.to_be_bytes(), length.to_be_bytes(), [0, 0]];
    [head.concat().as_slice(), payload].concat()
}

/// A segment without options.
pub fn tcp(ports: (u16, u16), sequence: u32, acknowledged: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(acknowledged.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// Name, link type, frame, chain.
pub type Wrapped = (&'static str, u32, Vec<u8>, Vec<&'static str>);

/// Every way in which the same datagram may be wrapped.
pub fn wrapped() -> Vec<Wrapped> {
    let inner = from_a(7).whole(17, &udp(5_000, 53, b"a question, in the clear"));
    let frame = ethernet(0x0800, &inner);
    let on_wire = |body: &[u8]| ethernet(0x0800, body);
    let in_udp = |port: u16, header: &[u8], body: &[u8]| {
        on_wire(&nodes(1).whole(17, &udp(40_000, port, &[header, body].concat())))
    };
    let gre = |header: &[u8], body: &[u8]| on_wire(&nodes(1).whole(47, &[header, body].concat()));
    let wifi = [&[0x08, 0, 0, 0][..], &[2; 20], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner].concat();
    let nflog = {
        let length = (inner.len() as u16 + 4).to_ne_bytes();
        [
            &[2, 0, 0, 1][..],
            &5_u16.to_ne_bytes(),
            &10_u16.to_ne_bytes(),
            &[0, 0, 0, 0],
            &length,
            &9_u16.to_ne_bytes(),
            &inner,
        ]
        .concat()
    };
    let vxlan = [8, 0, 0, 0, 0, 0x10, 0, 0];
    let twice = in_udp(4_789, &vxlan, &in_udp(8_472, &[8, 0, 0, 0, 0, 0, 1, 0], &frame));
    vec![
        ("Ethernet", 1, frame.clone(), vec![]),
        ("raw IP", 101, inner.clone(), vec![]),
        ("raw IPv4", 228, inner.clone(), vec![]),
        ("cooked", 113, [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0][..], &inner].concat(), vec![]),
        ("cooked, version 2", 276, cooked(3, &inner), vec![]),
        ("BSD loopback", 0, [&[2, 0, 0, 0][..], &inner].concat(), vec![]),
        ("OpenBSD loopback", 108, [&[0, 0, 0, 2][..], &inner].concat(), vec![]),
        ("PPP", 9, [&[0xff, 3, 0, 0x21][..], &inner].concat(), vec![]),
        ("PPP, compressed", 9, [&[0x21][..], &inner].concat(), vec![]),
        ("PPP, serial", 50, [&[0xff, 3, 0, 0x21][..], &inner].concat(), vec![]),
        ("HDLC", 104, [&[0x0f, 0, 8, 0][..], &inner].concat(), vec![]),
        ("HDLC in a serial capture", 50, [&[0x8f, 0, 8, 0][..], &inner].concat(), vec![]),
        ("FDDI", 10, [&[0x50][..], &[2; 12], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner].concat(), vec![]),
        ("PPPoE link", 51, [&[0x11, 0, 0, 5, 0, 60, 0, 0x21][..], &inner].concat(), vec!["pppoe"]),
        ("802.11", 105, wifi.clone(), vec![]),
        (
            "802.11 with quality of service and HT control",
            105,
            [&[0x88, 0x80, 0, 0][..], &[2; 20], &[0, 0, 1, 2, 3, 4], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner]
                .concat(),
            vec![],
        ),
        ("802.11 in GRE", 1, gre(&[0, 0, 0x82, 0], &wifi), vec!["gre"]),
        ("radiotap", 127, [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wifi].concat(), vec![]),
        ("PPI", 192, [&[0, 0, 8, 0, 1, 0, 0, 0][..], &frame].concat(), vec![]),
        ("NFLOG", 239, nflog, vec![]),
        ("802.3 with SNAP", 1, ethernet(60, &[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &inner].concat()), vec![]),
        ("VLAN", 1, ethernet(0x8100, &[&[0, 12, 8, 0][..], &inner].concat()), vec!["vlan:12"]),
        (
            "VLAN in VLAN",
            1,
            ethernet(0x88a8, &[&[0, 100, 0x81, 0, 0, 12, 8, 0][..], &inner].concat()),
            vec!["vlan:100", "vlan:12"],
        ),
        (
            "MPLS",
            1,
            ethernet(0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64][..], &inner].concat()),
            vec!["mpls:16", "mpls:32"],
        ),
        (
            "MPLS pseudo-wire",
            1,
            ethernet(0x8847, &[&[0, 1, 1, 64, 0, 0, 0, 0][..], &frame].concat()),
            vec!["mpls:16"],
        ),
        (
            "PPPoE",
            1,
            ethernet(0x8864, &[&[0x11, 0, 0, 5, 0, 60, 0, 0x21][..], &inner].concat()),
            vec!["pppoe"],
        ),
        ("VXLAN", 1, in_udp(4_789, &vxlan, &frame), vec!["vxlan:4096"]),
        ("VXLAN with the flag of GPE", 1, in_udp(4_789, &[12, 0, 0, 3, 0, 0, 9, 0], &frame), vec!["vxlan:9"]),
        ("VXLAN on 8472", 1, in_udp(8_472, &[8, 0, 0, 0, 0, 0, 1, 0], &frame), vec!["vxlan:1"]),
        ("VXLAN known by its bytes", 1, in_udp(12_345, &vxlan, &frame), vec!["vxlan:4096"]),
        (
            "VXLAN with a group policy",
            1,
            in_udp(4_789, &[0x88, 0, 0, 9, 0, 0, 1, 0], &frame),
            vec!["vxlan:1"],
        ),
        ("VXLAN-GPE", 1, in_udp(4_790, &[0x0c, 0, 0, 1, 0, 0, 1, 0], &inner), vec!["vxlan:1"]),
        ("Geneve", 1, in_udp(6_081, &[0, 0, 0x65, 0x58, 0, 0, 5, 0], &frame), vec!["geneve:5"]),
        (
            "Geneve with options",
            1,
            in_udp(6_081, &[2, 0, 0x65, 0x58, 0, 0, 5, 0, 1, 2, 3, 1, 9, 9, 9, 9], &frame),
            vec!["geneve:5"],
        ),
        ("Geneve with bare IP", 1, in_udp(6_081, &[0, 0, 8, 0, 0, 0, 5, 0], &inner), vec!["geneve:5"]),
        ("IP in IP", 1, on_wire(&nodes(1).whole(4, &inner)), vec!["ipip"]),
        ("IPv4 in IPv6", 1, ethernet(0x86dd, &ip6(4, true, &inner)), vec!["4in6"]),
        ("GRE", 1, gre(&[0, 0, 8, 0], &inner), vec!["gre"]),
        ("GRE with checksum", 1, gre(&[0x80, 0, 8, 0, 1, 2, 0, 0], &inner), vec!["gre"]),
        ("GRE with a key", 1, gre(&[0x20, 0, 8, 0, 0, 0, 0, 9], &inner), vec!["gre:9"]),
        (
            "GRE with everything",
            1,
            gre(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1], &inner),
            vec!["gre:9"],
        ),
        ("NVGRE", 1, gre(&[0x20, 0, 0x65, 0x58, 0, 0x10, 0, 1], &frame), vec!["nvgre:4096"]),
        ("Ethernet in GRE", 1, gre(&[0, 0, 0x65, 0x58], &frame), vec!["gre"]),
        (
            "ERSPAN II",
            1,
            gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 3, 0, 0, 0, 0], &frame),
            vec!["gre", "erspan:3"],
        ),
        (
            "AH",
            1,
            on_wire(
                &nodes(1).whole(51, &[&[4, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1][..], &[7; 12], &inner].concat()),
            ),
            vec!["ah", "ipip"],
        ),
        ("GTP-U", 1, in_udp(2_152, &[0x30, 0xff, 0, 60, 0, 0, 0, 5], &inner), vec!["gtp:5"]),
        ("PBB", 1, ethernet(0x88e7, &[&[0, 0, 0, 5][..], &frame].concat()), vec!["pbb:5"]),
        (
            "MACsec without encryption",
            1,
            ethernet(0x88e5, &[&[0, 0, 0, 0, 0, 1, 8, 0][..], &inner, &[7; 16]].concat()),
            vec!["macsec-integrity"],
        ),
        (
            "PPTP",
            1,
            gre(&[0x30, 1, 0x88, 0x0b, 0, 60, 0, 7, 0, 0, 0, 1, 0xff, 3, 0, 0x21], &inner),
            vec!["pptp:7"],
        ),
        (
            "Ethernet in IP",
            1,
            on_wire(&nodes(1).whole(97, &[&[0x30, 0][..], &frame].concat())),
            vec!["etherip"],
        ),
        (
            "MPLS in IP",
            1,
            on_wire(&nodes(1).whole(137, &[&[0, 1, 1, 64][..], &inner].concat())),
            vec!["mpls-in-ip", "mpls:16"],
        ),
        ("MPLS in UDP", 1, in_udp(6_635, &[0, 1, 1, 64], &inner), vec!["mpls-in-udp", "mpls:16"]),
        ("VXLAN in VXLAN", 1, twice, vec!["vxlan:4096", "vxlan:1"]),
        ("CAPWAP", 1, in_udp(5_247, &[0, 0x10, 0x40, 0, 0, 0, 0, 0], &frame), vec!["capwap"]),
        ("CAPWAP with 802.11", 1, in_udp(5_247, &[0, 0x10, 0x43, 0, 0, 0, 0, 0], &wifi), vec!["capwap"]),
        (
            "CAPWAP with 802.11 of swapped control",
            1,
            in_udp(
                5_247,
                &[0, 0x30, 0x43, 0x30, 0, 0, 0, 0, 6, 2, 0, 0, 0, 0, 1, 0, 4, 60, 0, 0, 0, 0, 0, 0],
                &[&[1, 8][..], &wifi[2..]].concat(),
            ),
            vec!["capwap"],
        ),
        ("L2TP", 1, in_udp(1_701, &[0, 2, 0, 1, 0, 7, 0xff, 3, 0, 0x21], &inner), vec!["l2tp:7"]),
        (
            "L2TP with everything",
            1,
            in_udp(1_701, &[0x4a, 2, 0, 0, 0, 1, 0, 7, 0, 1, 0, 0, 0, 2, 9, 9, 0x21], &inner),
            vec!["l2tp:7"],
        ),
        (
            "NSH",
            1,
            ethernet(0x894f, &[&[0x0f, 0xc6, 1, 1, 0, 0, 9, 7][..], &[0; 16], &inner].concat()),
            vec!["nsh:9"],
        ),
        (
            "NSH in VXLAN-GPE",
            1,
            in_udp(4_790, &[0x0c, 0, 0, 4, 0, 0, 1, 0, 0x0f, 0xc2, 2, 3, 0, 0, 9, 7], &frame),
            vec!["vxlan:1", "nsh:9"],
        ),
    ]
}

/// The same for a datagram of IPv6.
pub fn wrapped_6() -> Vec<Wrapped> {
    let inner = ip6(17, true, &udp(5_000, 53, b"a question, in the clear"));
    let teredo = nodes(1).whole(17, &udp(40_000, 3_544, &inner));
    vec![
        ("IPv6 in IPv4", 1, ethernet(0x0800, &nodes(1).whole(41, &inner)), vec!["6in4"]),
        ("IPv6 in IPv6", 1, ethernet(0x86dd, &ip6(41, false, &inner)), vec!["6in6"]),
        ("Teredo", 1, ethernet(0x0800, &teredo), vec!["teredo"]),
    ]
}

/// A frame of IEEE 802.11 with several in it: each with addresses, length, LLC and padding.
pub fn aggregated(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = [&[0x88, 2, 0, 0][..], &[2; 20], &[0x80, 0]].concat();
    for packet in packets {
        let body = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], packet].concat();
        let padding = (14 + body.len()).next_multiple_of(4) - 14 - body.len();
        frame.extend([&[2; 12][..], &(body.len() as u16).to_be_bytes(), &body, &vec![0; padding]].concat());
    }
    frame
}
