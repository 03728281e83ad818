//! Ports that the proxies of a mesh open for themselves: metrics, health, administration, tunnels.
//!
//! They are no part of what an application serves; how they are protected is the mesh's affair and
//! does not count for the protection of a whole edge. A tunnel's port counts where it carries
//! something, by the ports of the application that it carries.

use super::transport::MeshMode;
use crate::model::{PortSet, Protocol, TrafficSet};

/// By mode: the ports, each a range.
///
/// - Istio: "Ports used by Istio", sidecar proxy: 15000 administration, 15001 and 15006 capture, 15004
///   debug, 15008 HBONE, 15020 merged metrics, 15021 health, 15053 DNS, 15090 metrics. The node's
///   proxy of ambient opens fewer of them inside of a pod.
/// - Linkerd: 4140 outbound, 4143 inbound, 4190 control, 4191 administration (`proxy.ports` of the
///   chart).
/// - Consul: 15001 capture, 19000 administration, 20000 public listener.
const OWN: [(MeshMode, &[(u16, u16)]); 5] = [
    (MeshMode::IstioSidecar, ISTIO_PROXY),
    (MeshMode::IstioGateway, ISTIO_PROXY),
    (MeshMode::IstioAmbient, &[(15_001, 15_001), (15_006, 15_006), (15_008, 15_008), (15_053, 15_053)]),
    (MeshMode::Linkerd, &[(4_140, 4_140), (4_143, 4_143), (4_190, 4_191)]),
    (MeshMode::Consul, &[(15_001, 15_001), (19_000, 19_000), (20_000, 20_000)]),
];

const ISTIO_PROXY: &[(u16, u16)] = &[
    (15_000, 15_001),
    (15_004, 15_004),
    (15_006, 15_006),
    (15_008, 15_008),
    (15_020, 15_021),
    (15_053, 15_053),
    (15_090, 15_090),
];

impl MeshMode {
    /// The TCP ports that the proxy beside or below such an endpoint opens for itself.
    pub fn own_ports(self) -> TrafficSet {
        let rows = OWN.iter().filter(|(mode, _)| *mode == self).flat_map(|(_, ranges)| *ranges);
        rows.fold(TrafficSet::none(), |set, (first, last)| {
            set.union(&TrafficSet::of(Protocol::Tcp, PortSet::range(*first, *last)))
        })
    }
}
