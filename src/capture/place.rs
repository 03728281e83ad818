//! Where a packet was met: which capture, which interface, inside which encapsulations.
//!
//! Places get small numbers, so that a flow can carry one.

use super::copies::fold;
use super::flow::{Medium, Place};
use super::packet::{Address, Packet, Via, ViaList};
use hashbrown::HashMap;

/// Places that are told apart; further ones share the last number.
const MOST: usize = 60_000;
/// The number of no place.
pub(super) const NO_PLACE: PlaceId = PlaceId::MAX;

/// Number of a place.
pub(super) type PlaceId = u16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Spot {
    input: u16,
    interface: u32,
    medium: Medium,
    via: ViaList,
    /// Ends of the outermost tunnel, the lower one first.
    tunnel: Option<(Address, Address)>,
}

/// All places of a run.
#[derive(Debug, Default)]
pub(super) struct Places {
    numbers: HashMap<Spot, PlaceId>,
    spots: Vec<Spot>,
    /// The latest place without encapsulation: nearly all packets are met at it.
    plain: Option<(Spot, PlaceId)>,
    /// The latest places in VXLAN, by a mix of what tells them apart.
    overlay: Vec<Option<(Spot, PlaceId)>>,
    last: Option<(Spot, PlaceId)>,
    /// Packets of places beyond the most that are told apart.
    pub(super) untold: u64,
}

/// Places in VXLAN that are found without a look into the table; a power of two.
const OVERLAY: usize = 64;

impl Places {
    /// The number of the place at which a packet was met.
    #[inline]
    pub(super) fn number(&mut self, input: u16, packet: &Packet<'_>) -> PlaceId {
        if packet.via.is_empty() && packet.tunnel.is_none() {
            return self.plain(input, packet.interface, packet.medium);
        }
        let Packet { interface, medium, via, .. } = *packet;
        let spot = Spot { input, interface, medium, via, tunnel: ordered(packet.tunnel) };
        match &self.last {
            Some((known, number)) if *known == spot => *number,
            _ => {
                let number = self.look_up(spot);
                self.last = Some((spot, number));
                number
            }
        }
    }

    /// The place of packets without encapsulation.
    #[inline]
    pub(super) fn plain(&mut self, input: u16, interface: u32, medium: Medium) -> PlaceId {
        match &self.plain {
            Some((spot, number))
                if (spot.input, spot.interface, spot.medium) == (input, interface, medium) =>
            {
                *number
            }
            _ => {
                let spot = Spot { input, interface, medium, via: ViaList::default(), tunnel: None };
                let number = self.look_up(spot);
                self.plain = Some((spot, number));
                number
            }
        }
    }

    /// The place of packets in one VXLAN between two nodes, and nothing else around.
    #[inline]
    pub(super) fn overlay(
        &mut self,
        input: u16,
        interface: u32,
        via: Via,
        ends: (Address, Address),
    ) -> PlaceId {
        let mut list = ViaList::default();
        list.push(via);
        let medium = Medium::Unknown;
        let spot = Spot { input, interface, medium, via: list, tunnel: ordered(Some(ends)) };
        if self.overlay.is_empty() {
            self.overlay.resize(OVERLAY, None);
        }
        let mixed = fold(ends.0.lower ^ ends.1.lower.rotate_left(7), 0x9e37_79b9_7f4a_7c15);
        let at = mixed as usize % OVERLAY;
        match &self.overlay[at] {
            Some((known, number)) if *known == spot => *number,
            _ => {
                let number = self.look_up(spot);
                self.overlay[at] = Some((spot, number));
                number
            }
        }
    }

    fn look_up(&mut self, spot: Spot) -> PlaceId {
        if let Some(number) = self.numbers.get(&spot) {
            return *number;
        }
        if self.spots.len() >= MOST {
            self.untold += 1;
            return (MOST - 1) as PlaceId;
        }
        let number = self.spots.len() as PlaceId;
        self.numbers.insert(spot, number);
        self.spots.push(spot);
        number
    }

    /// Whether there is no encapsulation around a place, or no place.
    #[inline]
    pub(super) fn is_plain(&self, place: PlaceId) -> bool {
        self.spots.get(usize::from(place)).is_none_or(|spot| spot.via.is_empty())
    }

    /// Whether these are one place without any encapsulation.
    pub(super) fn are_plain(&self, places: &[PlaceId]) -> bool {
        places.len() <= 1 && places.iter().all(|place| self.is_plain(*place))
    }

    /// What the link layer says of one place.
    #[inline]
    pub(super) fn medium_of(&self, place: PlaceId) -> Medium {
        self.spots.get(usize::from(place)).map_or(Medium::Unknown, |spot| spot.medium)
    }

    /// What link layers say of some places: loopback only where all of them are.
    pub(super) fn medium(&self, places: &[PlaceId]) -> Medium {
        let each = places.iter().filter_map(|place| self.spots.get(usize::from(*place)));
        let mut all: Vec<Medium> = each.map(|spot| spot.medium).collect();
        all.sort_unstable();
        all.dedup();
        match all.as_slice() {
            [one] => *one,
            all if all.contains(&Medium::Link) => Medium::Link,
            _ => Medium::Unknown,
        }
    }

    /// The encapsulations of a place, outermost first.
    pub(super) fn via(&self, place: PlaceId) -> Vec<String> {
        match self.spots.get(usize::from(place)) {
            Some(spot) if !spot.via.is_empty() => spot.via.texts(),
            _ => Vec::new(),
        }
    }

    /// The ends of the outermost tunnel of a place.
    pub(super) fn tunnel(&self, place: PlaceId) -> Option<(std::net::IpAddr, std::net::IpAddr)> {
        let (low, high) = self.spots.get(usize::from(place))?.tunnel?;
        Some((low.ip(), high.ip()))
    }

    /// A place in words that the outside understands.
    pub(super) fn describe(&self, place: PlaceId) -> Place {
        let spot = self.spots.get(usize::from(place));
        Place {
            input: spot.map_or(0, |spot| usize::from(spot.input)),
            interface: spot.map_or(0, |spot| spot.interface),
            via: self.via(place),
        }
    }
}

fn ordered(ends: Option<(Address, Address)>) -> Option<(Address, Address)> {
    ends.map(|(a, b)| if a <= b { (a, b) } else { (b, a) })
}
