//! Where a packet was met: which capture, which interface, inside which encapsulations.
//!
//! Places get small numbers, so that a flow can carry one.

use super::flow::{Medium, Place};
use super::packet::{Address, Packet, ViaList};
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
    last: Option<(Spot, PlaceId)>,
    /// Packets of places beyond the most that are told apart.
    pub(super) untold: u64,
}

impl Places {
    /// The number of the place at which a packet was met.
    #[inline]
    pub(super) fn number(&mut self, input: u16, packet: &Packet<'_>) -> PlaceId {
        if let Some((spot, number)) = &self.last
            && (spot.input, spot.interface, spot.medium) == (input, packet.interface, packet.medium)
            && (spot.via.is_empty() == packet.via.is_empty())
            && (packet.via.is_empty() || spot.via == packet.via)
            && spot.tunnel == ordered(packet.tunnel)
        {
            return *number;
        }
        let Packet { interface, medium, via, .. } = *packet;
        let spot = Spot { input, interface, medium, via, tunnel: ordered(packet.tunnel) };
        let number = self.look_up(spot);
        self.last = Some((spot, number));
        number
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

    /// Whether these are one place without any encapsulation.
    pub(super) fn are_plain(&self, places: &[PlaceId]) -> bool {
        let plain =
            |place: &PlaceId| self.spots.get(usize::from(*place)).is_none_or(|spot| spot.via.is_empty());
        places.len() <= 1 && places.iter().all(plain)
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
