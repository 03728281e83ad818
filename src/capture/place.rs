//! Where a packet was met: which capture, which interface, inside which encapsulations.
//!
//! Places get small numbers, so that a flow can carry one.

use super::block::Anew;
use super::copies::fold;
use super::flow::{Medium, Place, Tunnel};
use super::packet::{Address, Apart, Packet, Via, ViaList, transport};
use hashbrown::HashMap;

/// Places that are told apart; further ones share the last number.
const MOST: usize = 60_000;
/// The number of no place.
pub(super) const NO_PLACE: PlaceId = PlaceId::MAX;

/// Number of a place.
pub(super) type PlaceId = u16;

/// Stands for a place beyond the most that are told apart.
pub(super) const UNTOLD: PlaceId = NO_PLACE - 1;
/// Places that a decoder numbers before it begins anew.
const MOST_NUMBERED: usize = 4_096;
/// Interfaces of whose places those without encapsulation are found without a look into the table; a
/// power of two.
const PLAIN: usize = 8;
/// Places in other encapsulations that are found without one; a power of two.
const OTHERS: usize = 16;
/// Places in VXLAN that are found without a look into the table; a power of two.
const OVERLAY: usize = 64;

/// What makes a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    input: u16,
    interface: u32,
    medium: Medium,
    via: ViaList,
    /// Ends of the outermost tunnel, the lower one first.
    tunnel: Option<(Address, Address)>,
}

impl Spot {
    /// The place of a decoded packet.
    pub(super) fn of(input: u16, packet: &Packet<'_>) -> Spot {
        let Packet { interface, medium, via, .. } = *packet;
        Spot { input, interface, medium, via, tunnel: ordered(packet.tunnel) }
    }

    fn tunnel(&self) -> Option<Tunnel> {
        let ((low, high), (kind, protocol, port)) = self.tunnel.zip(self.via.carrier())?;
        Some(Tunnel { ends: (low.ip(), high.ip()), kind, over: transport(protocol), port })
    }

    /// The place of packets in one VXLAN between two nodes, and nothing else around.
    fn overlay(input: u16, interface: u32, via: Via, ends: (Address, Address)) -> Spot {
        let mut list = ViaList::default();
        list.push(via);
        Spot { input, interface, medium: Medium::Unknown, via: list, tunnel: ordered(Some(ends)) }
    }
}

/// The numbers that one decoder gives to places: what it met first has the number that its list of
/// news had at that time. They mean something to who hears of all its news.
#[derive(Debug, Default)]
pub(super) struct Spots {
    numbers: HashMap<Spot, u32>,
    /// The latest places without encapsulation, by the lowest bits of the interface and by what the
    /// link layer says: nearly all packets are met at them.
    plain: [[Option<(Spot, u32)>; Medium::KINDS]; PLAIN],
    /// The latest places in VXLAN, by a mix of what tells them apart.
    overlay: Vec<Option<(Spot, u32)>>,
    /// The latest other ones, by their outermost encapsulation.
    others: [Option<(Spot, u32)>; OTHERS],
}

impl Spots {
    /// Forgets all numbers where there are too many.
    pub(super) fn bound(&mut self) -> Anew {
        if self.numbers.len() < MOST_NUMBERED {
            return Anew::No;
        }
        *self = Spots::default();
        Anew::Yes
    }

    /// The number of a place.
    #[inline]
    pub(super) fn number(&mut self, spot: Spot, news: &mut Vec<Spot>) -> u32 {
        let Spot { input, interface, medium, via, tunnel } = spot;
        if via.is_empty() && tunnel.is_none() {
            return self.plain(input, interface, medium, news);
        }
        let latest = &mut self.others[via.mixed() as usize % OTHERS];
        match latest {
            Some((known, number)) if *known == spot => *number,
            _ => {
                let number = look_up(&mut self.numbers, spot, news);
                *latest = Some((spot, number));
                number
            }
        }
    }

    /// The number of a place without encapsulation.
    #[inline]
    pub(super) fn plain(&mut self, input: u16, interface: u32, medium: Medium, news: &mut Vec<Spot>) -> u32 {
        let latest = &mut self.plain[interface as usize % PLAIN][medium as usize];
        match latest {
            Some((spot, number))
                if (spot.input, spot.interface, spot.medium) == (input, interface, medium) =>
            {
                *number
            }
            _ => {
                let spot = Spot { input, interface, medium, via: ViaList::default(), tunnel: None };
                let number = look_up(&mut self.numbers, spot, news);
                *latest = Some((spot, number));
                number
            }
        }
    }

    /// The number of a place in one VXLAN between two nodes.
    #[inline]
    pub(super) fn overlay(
        &mut self,
        (input, interface): (u16, u32),
        via: Via,
        ends: (Address, Address),
        news: &mut Vec<Spot>,
    ) -> u32 {
        if self.overlay.is_empty() {
            self.overlay.resize(OVERLAY, None);
        }
        let mixed = ends.0.lower ^ ends.1.lower.rotate_left(7) ^ u64::from(interface).rotate_left(48);
        let mixed = fold(mixed, 0x9e37_79b9_7f4a_7c15);
        let at = mixed as usize % OVERLAY;
        if let Some((known, number)) = &self.overlay[at]
            && (known.input, known.interface) == (input, interface)
            && known.via.is_only(via)
            && (known.tunnel == Some(ends) || known.tunnel == Some((ends.1, ends.0)))
        {
            return *number;
        }
        let spot = Spot::overlay(input, interface, via, ends);
        let number = look_up(&mut self.numbers, spot, news);
        self.overlay[at] = Some((spot, number));
        number
    }
}

fn look_up(numbers: &mut HashMap<Spot, u32>, spot: Spot, news: &mut Vec<Spot>) -> u32 {
    let next = numbers.len() as u32;
    *numbers.entry(spot).or_insert_with(|| {
        news.push(spot);
        next
    })
}

/// All places of a run.
#[derive(Debug, Default)]
pub(super) struct Places {
    numbers: HashMap<Spot, PlaceId>,
    spots: Vec<Spot>,
    /// The encapsulations of each place in words.
    vias: Vec<Vec<String>>,
    /// Those of each place that tell networks apart.
    networks: Vec<ViaList>,
    tunnels: Vec<Option<Tunnel>>,
    /// Packets of places beyond the most that are told apart.
    pub(super) untold: u64,
}

impl Places {
    /// The number of a place, [`UNTOLD`] for those beyond the most.
    pub(super) fn number(&mut self, spot: Spot) -> PlaceId {
        if let Some(number) = self.numbers.get(&spot) {
            return *number;
        }
        if self.spots.len() >= MOST {
            return UNTOLD;
        }
        let number = self.spots.len() as PlaceId;
        self.numbers.insert(spot, number);
        self.spots.push(spot);
        self.vias.push(spot.via.texts());
        self.networks.push(spot.via.networks());
        self.tunnels.push(spot.tunnel());
        number
    }

    /// The number that a flow carries for a place.
    #[inline]
    pub(super) fn told(&mut self, place: PlaceId) -> PlaceId {
        match place {
            UNTOLD => {
                self.untold += 1;
                (MOST - 1) as PlaceId
            }
            told => told,
        }
    }

    /// How the networks of two places differ.
    pub(super) fn apart(&self, one: PlaceId, other: PlaceId) -> Apart {
        let networks = |place: PlaceId| self.networks.get(usize::from(place));
        networks(one).zip(networks(other)).map_or(Apart::No, |(one, other)| one.apart(other))
    }

    /// Whether a place is in a network that has a number.
    pub(super) fn is_numbered(&self, place: PlaceId) -> bool {
        self.networks.get(usize::from(place)).is_some_and(|networks| !networks.is_empty())
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
    #[inline]
    pub(super) fn via(&self, place: PlaceId) -> Vec<String> {
        self.vias.get(usize::from(place)).cloned().unwrap_or_default()
    }

    /// The outermost tunnel of a place.
    #[inline]
    pub(super) fn tunnel(&self, place: PlaceId) -> Option<Tunnel> {
        self.tunnels.get(usize::from(place)).copied().flatten()
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
