//! One rule of a policy or profile → a rule of the tier, or none where it decides nothing.

use super::super::{Action, Direction, Peer, Peers, PortName, Rule, TrafficMatch};
use super::entity::{self, Owner, Reach, Side, conditions, together};
use super::families::Families;
use super::place::Place;
use super::traffic::{self, Ports, of_protocol, with_ports};
use super::wire::{EntitySpec, HttpSpec, NumberOrName, PathSpec, RuleSpec, ServiceSpec};
use crate::model::{Condition, IpProtocols, Narrowing, Problem, TrafficSet};

/// Lowers the rules of one direction.
///
/// # Errors
/// The first rule that the API refuses.
pub fn rules(
    owner: &Owner<'_>,
    spec: &Place<'_>,
    direction: Direction,
    list: &[RuleSpec],
) -> Result<Vec<Rule>, Problem> {
    let place = spec.field(direction.word());
    let mut rules = Vec::new();
    for (index, rule) in list.iter().enumerate() {
        let reading = Reading { owner, place: place.item(index), direction, index };
        rules.extend(reading.rule(rule)?);
    }
    Ok(rules)
}

/// A rule that is being read.
struct Reading<'a> {
    owner: &'a Owner<'a>,
    place: Place<'a>,
    direction: Direction,
    index: usize,
}

impl Reading<'_> {
    /// None where the rule decides nothing, two where it means owners of ports and addresses.
    fn rule(&self, rule: &RuleSpec) -> Result<Vec<Rule>, Problem> {
        let RuleSpec {
            action,
            ip_version,
            protocol,
            not_protocol,
            icmp,
            not_icmp,
            source,
            destination,
            http,
        } = rule;
        let action = self.action(action.as_deref())?;
        let number = |field: &str, text: &Option<NumberOrName>| match text {
            Some(text) => traffic::protocol(&self.place.field(field), text).map(Some),
            None => Ok(None),
        };
        let (protocol, left_out) = (number("protocol", protocol)?, number("notProtocol", not_protocol)?);
        let nothing = EntitySpec::default();
        let (source, destination) =
            (source.as_ref().unwrap_or(&nothing), destination.as_ref().unwrap_or(&nothing));
        self.check_ports(protocol, Side::Source, source)?;
        self.check_ports(protocol, Side::Destination, destination)?;
        self.check_services(Side::Source, source)?;
        self.check_services(Side::Destination, destination)?;
        let mut narrowing = Vec::new();
        for (field, fields) in [("icmp", icmp), ("notICMP", not_icmp)] {
            if let Some(fields) = fields {
                narrowing.extend(traffic::icmp(&self.place, field, fields)?);
            }
        }
        // Without a type there is no condition, not even that it is ICMP (`RuleAPIV2ToBackend`).
        let is_icmp = [icmp, not_icmp].into_iter().flatten().any(|fields| fields.kind.is_some());
        if let Some(http) = http {
            narrowing.extend(self.http(http, action, protocol)?);
        }
        let source_place = self.place.field("source");
        narrowing.extend(traffic::source_ports(
            &source_place,
            source.ports.as_ref(),
            source.not_ports.as_ref(),
        )?);
        if [source, destination].iter().any(|side| side.domains.as_ref().is_some_and(|list| !list.is_empty()))
        {
            narrowing.push(Condition::Other("domains, which only Calico Enterprise knows".to_owned()));
        }
        if [source, destination].iter().any(|side| side.services.as_ref().is_some_and(ServiceSpec::is_bare)) {
            narrowing.push(Condition::Other(entity::BARE_SERVICE.to_owned()));
        }
        let written = self.family(*ip_version)?.and(Families::of(source)).and(Families::of(destination));
        let families = written.and(family_of(protocol));
        let to = self.place.field("destination");
        let mut sides = [
            conditions(self.owner, &source_place, source, families, Reach::Everything)?,
            conditions(self.owner, &to, destination, families, Reach::Everything)?,
        ];
        let mut fixed = protocol.map_or_else(TrafficSet::all, of_protocol);
        fixed = fixed.difference(&left_out.map_or_else(TrafficSet::none, of_protocol));
        if is_icmp && protocol.is_none() {
            let both = IpProtocols::of(IpProtocols::ICMP).union(IpProtocols::of(IpProtocols::ICMPV6));
            fixed = fixed.intersection(&TrafficSet::portless(both));
        }
        let traffic = self.traffic(protocol, fixed, destination, &mut narrowing)?;
        // What is of a protocol and of another is nothing, whatever the names of its ports stand for.
        let contradicts = families.is_none() || protocol.is_some() && protocol == left_out;
        let Some(action) = action.filter(|_| !contradicts) else { return Ok(Vec::new()) };
        // Ports by number hold for addresses, those by name for their owners.
        let mut of_names = match traffic.has_names() {
            false => None,
            true => Some(conditions(self.owner, &to, destination, families, Reach::NamedPorts)?)
                .filter(|of_names| *of_names != sides[1]),
        };
        // ICMP of the other family is nothing that could be let through, so that a rule which takes it
        // away need not ask for the family of endpoints that have both.
        let families = if action == Action::Allow { families } else { written };
        let peer_side = usize::from(self.direction == Direction::Egress);
        if let Some(addresses) = families.addresses() {
            sides[peer_side].push(vec![Peer::Addresses(addresses.clone())]);
            if let (1, Some(of_names)) = (peer_side, &mut of_names) {
                of_names.push(vec![Peer::Addresses(addresses)]);
            }
        }
        let [source, destination] = sides.map(together);
        let narrowed = narrowing
            .into_iter()
            .fold(None, |all: Option<Narrowing>, condition| Some(all.unwrap_or_default().and(condition)));
        let name = format!("{}[{}]", self.direction.word(), self.index);
        let origin = self.place.origin.at(&name, self.place.line);
        let rule = |destination: Peers, traffic: TrafficMatch| {
            let (own, peers) = match self.direction {
                Direction::Ingress => (destination, source.clone()),
                Direction::Egress => (source.clone(), destination),
            };
            Rule { action, own, peers, traffic, narrowed: narrowed.clone(), origin: origin.clone() }
        };
        let Some(of_names) = of_names else { return Ok(vec![rule(destination, traffic)]) };
        let numbered = TrafficMatch { named: Vec::new(), ..traffic.clone() };
        let named = TrafficMatch { fixed: TrafficSet::none(), ..traffic };
        let owners = together(of_names);
        let mut rules = Vec::new();
        if !numbered.fixed.is_empty() && numbered.except.is_empty() {
            rules.push(rule(destination, numbered));
        } else if !numbered.fixed.is_empty() {
            // A name to leave out is looked for among the owners too: what else has the address keeps
            // the port (`notDstNamedPortIPSets` in `ruleToParsedRule`).
            let others = TrafficMatch { except: Vec::new(), ..numbered.clone() };
            rules.push(rule(owners.clone(), numbered));
            rules.push(rule(entity::but(destination, &owners), others));
        }
        rules.extend((!named.named.is_empty()).then(|| rule(owners, named)));
        Ok(rules)
    }

    /// What happens; `None` for Log, which decides nothing.
    fn action(&self, action: Option<&str>) -> Result<Option<Action>, Problem> {
        match action {
            Some("Allow") => Ok(Some(Action::Allow)),
            Some("Deny") => Ok(Some(Action::Deny)),
            Some("Pass") => Ok(Some(Action::Pass)),
            Some("Log") => Ok(None),
            other => {
                let message = format!("action {:?} is not known", other.unwrap_or_default());
                Err(self.place.field("action").refuse(message, "Allow, Deny, Pass or Log, spelt exactly so"))
            }
        }
    }

    fn family(&self, version: Option<i64>) -> Result<Families, Problem> {
        match version {
            None => Ok(Families::BOTH),
            Some(4) => Ok(Families::V4),
            Some(6) => Ok(Families::V6),
            Some(other) => {
                let message = format!("ipVersion {other} is not known");
                Err(self.place.field("ipVersion").refuse(message, "ipVersion is 4 or 6"))
            }
        }
    }

    fn check_ports(&self, protocol: Option<u8>, side: Side, entity: &EntitySpec) -> Result<(), Problem> {
        for (field, list) in [("ports", &entity.ports), ("notPorts", &entity.not_ports)] {
            let present = list.as_ref().is_some_and(|list| !list.is_empty());
            if present && protocol.and_then(with_ports).is_none() {
                let place = self.place.field(side.word()).field(field);
                let message = format!("{}.{field} stands without a protocol that has ports", side.word());
                return Err(place.refuse(message, "add protocol: TCP, UDP or SCTP to the rule"));
            }
        }
        Ok(())
    }

    /// Services are sources of ingress rules and destinations of egress rules, and stand alone.
    fn check_services(&self, side: Side, entity: &EntitySpec) -> Result<(), Problem> {
        let place = self.place.field(side.word()).field("services");
        if entity.services.is_none() {
            return Ok(());
        }
        let peer = match self.direction {
            Direction::Ingress => Side::Source,
            Direction::Egress => Side::Destination,
        };
        if side != peer {
            let message = format!("{}.services stands in a rule for {}", side.word(), self.direction.word());
            let hint = "services are the source of ingress rules or the destination of egress rules";
            return Err(place.refuse(message, hint));
        }
        let text = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let list = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        let selectors = [&entity.selector, &entity.not_selector, &entity.namespace_selector];
        let beside = selectors.into_iter().any(text)
            || [&entity.nets, &entity.not_nets].into_iter().any(list)
            || entity.service_accounts.is_some();
        if beside {
            let hint = "write the other criteria as a rule of their own";
            return Err(place.refuse("services stands beside other criteria of the same side", hint));
        }
        if side == Side::Destination && (entity.ports.is_some() || entity.not_ports.is_some()) {
            let hint = "the ports are those of the service's endpoints";
            return Err(place.refuse("services stands beside ports", hint));
        }
        Ok(())
    }

    /// HTTP conditions, which only proxies enforce.
    fn http(
        &self,
        http: &HttpSpec,
        action: Option<Action>,
        protocol: Option<u8>,
    ) -> Result<Vec<Condition>, Problem> {
        let HttpSpec { methods, paths } = http;
        let place = self.place.field("http");
        let fits = action == Some(Action::Allow) && self.direction == Direction::Ingress;
        if !fits || protocol.is_some_and(|number| number != 6) {
            let hint = "http stands in ingress rules with action Allow, with protocol TCP or none";
            return Err(place.refuse("http stands in a rule that cannot have it", hint));
        }
        let mut conditions = Vec::new();
        if let Some(methods) = methods.clone().filter(|methods| !methods.is_empty()) {
            conditions.push(Condition::Methods(methods));
        }
        let path = |path: &PathSpec| match path {
            PathSpec { exact: Some(exact), .. } => exact.clone(),
            PathSpec { prefix, .. } => format!("{}*", prefix.as_deref().unwrap_or_default()),
        };
        if let Some(paths) = paths.as_ref().filter(|paths| !paths.is_empty()) {
            conditions.push(Condition::Paths(paths.iter().map(path).collect()));
        }
        Ok(conditions)
    }

    /// Traffic by the ports of the destination.
    fn traffic(
        &self,
        protocol: Option<u8>,
        fixed: TrafficSet,
        destination: &EntitySpec,
        narrowing: &mut Vec<Condition>,
    ) -> Result<TrafficMatch, Problem> {
        let place = self.place.field("destination");
        if let Some(service) = &destination.services {
            if !fixed.has_all_ports() {
                narrowing
                    .push(Condition::Other("ports of the service's endpoints of one protocol".to_owned()));
            }
            let services = entity::of_service(self.owner, &place, service)?;
            return Ok(TrafficMatch { named: vec![PortName::Backend(services)], ..TrafficMatch::default() });
        }
        let Some(protocol) = protocol.and_then(with_ports) else { return Ok(TrafficMatch::fixed(fixed)) };
        let given = |list: &Option<Vec<NumberOrName>>| list.clone().filter(|list| !list.is_empty());
        let mut traffic = match given(&destination.ports) {
            None => TrafficMatch::fixed(fixed),
            Some(list) => {
                let mut traffic = Ports::read(&place.field("ports"), &list)?.traffic(protocol);
                traffic.fixed = traffic.fixed.intersection(&fixed);
                traffic
            }
        };
        if let Some(list) = given(&destination.not_ports) {
            let left_out = Ports::read(&place.field("notPorts"), &list)?.traffic(protocol);
            if !traffic.named.is_empty() && !left_out.fixed.is_empty() {
                narrowing.push(Condition::Other("named ports but for numbers".to_owned()));
            }
            traffic.fixed = traffic.fixed.difference(&left_out.fixed);
            traffic.except = left_out.named;
        }
        Ok(traffic)
    }
}

/// ICMP exists for IPv4 alone, ICMPv6 for IPv6 alone.
fn family_of(protocol: Option<u8>) -> Families {
    match protocol {
        Some(IpProtocols::ICMP) => Families::V4,
        Some(IpProtocols::ICMPV6) => Families::V6,
        _ => Families::BOTH,
    }
}
