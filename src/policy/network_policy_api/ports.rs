//! Ports of rules: `ports` of the first generation, `protocols` of the second.

use super::super::{PortName, TrafficMatch};
use super::wire::{Reader, present};
use crate::model::{Node, PortSet, Problem, Protocol, TrafficSet};

impl Reader<'_> {
    /// `ports[]` of the first generation; an absent or empty list is no condition.
    pub(super) fn ports(&self, rule: &Node) -> Result<TrafficMatch, Problem> {
        let items = self.list(rule, "ports", self.dialect.limit)?;
        if items.is_empty() {
            return Ok(TrafficMatch::all());
        }
        let mut traffic = TrafficMatch::default();
        for item in items {
            let ports = match self.only(item, &["portNumber", "portRange", "namedPort"])? {
                ("namedPort", value) => {
                    traffic.named.push(PortName::Container(None, self.port_name(value)?));
                    continue;
                }
                ("portNumber", value) => {
                    let port = self.port(value, "port")?;
                    TrafficSet::port(self.protocol(value)?, port)
                }
                (_, value) => {
                    let (first, last) = (self.port(value, "start")?, self.port(value, "end")?);
                    if last < first {
                        return Err(self.unordered(value, first, last));
                    }
                    TrafficSet::of(self.protocol(value)?, PortSet::range(first, last))
                }
            };
            traffic.fixed = traffic.fixed.union(&ports);
        }
        Ok(traffic)
    }

    /// `protocols[]` of the second generation; absent, it is no condition; present, it holds an item.
    pub(super) fn protocols(&self, rule: &Node) -> Result<TrafficMatch, Problem> {
        let items = self.list(rule, "protocols", self.dialect.limit)?;
        if items.is_empty() {
            return match present(rule, "protocols") {
                Some(list) => {
                    Err(self.refuse(list, "protocols is empty", "leave it out to match everything"))
                }
                None => Ok(TrafficMatch::all()),
            };
        }
        let mut traffic = TrafficMatch::default();
        for item in items {
            let protocol = match self.only(item, &["tcp", "udp", "sctp", "destinationNamedPort"])? {
                ("destinationNamedPort", value) => {
                    traffic.named.push(PortName::Container(None, self.port_name(value)?));
                    continue;
                }
                ("tcp", value) => (Protocol::Tcp, value),
                ("udp", value) => (Protocol::Udp, value),
                (_, value) => (Protocol::Sctp, value),
            };
            let (protocol, value) = protocol;
            let (_, port) = self.only(value, &["destinationPort"])?;
            let ports = match self.only(port, &["number", "range"])? {
                ("number", _) => {
                    let number = self.port(port, "number")?;
                    PortSet::range(number, number)
                }
                (_, range) => {
                    let (first, last) = (self.port(range, "start")?, self.port(range, "end")?);
                    if last <= first {
                        return Err(self.unordered(range, first, last));
                    }
                    PortSet::range(first, last)
                }
            };
            traffic.fixed = traffic.fixed.union(&TrafficSet::of(protocol, ports));
        }
        Ok(traffic)
    }

    /// The one field of an object that must have exactly one of these.
    fn only<'n>(&self, node: &'n Node, fields: &[&'static str]) -> Result<(&'static str, &'n Node), Problem> {
        let mut given = fields.iter().filter_map(|field| Some((*field, present(node, field)?)));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            _ => {
                let message = match fields {
                    [only] => format!("{only} is missing"),
                    several => format!("exactly one of {} is needed here", several.join(", ")),
                };
                Err(self.refuse(node, message, "write each condition as a list item of its own"))
            }
        }
    }

    fn unordered(&self, node: &Node, first: u16, last: u16) -> Problem {
        let hint = "start must be below end; a single port is written as a number";
        self.refuse(node, format!("the range from {first} to {last} is not in order"), hint)
    }

    fn port_name(&self, node: &Node) -> Result<String, Problem> {
        let name: String = self.typed(node)?;
        match name.is_empty() {
            true => {
                Err(self.refuse(node, "the name of a port is empty", "write the name of a container port"))
            }
            false => Ok(name),
        }
    }

    fn port(&self, node: &Node, field: &str) -> Result<u16, Problem> {
        let hint = "ports run from 1 to 65535";
        let Some(value) = present(node, field) else {
            return Err(self.refuse(node, format!("{field} is missing"), hint));
        };
        let number: i64 = self.typed(value)?;
        u16::try_from(number)
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| self.refuse(value, format!("{field} {number} is out of range"), hint))
    }

    fn protocol(&self, node: &Node) -> Result<Protocol, Problem> {
        let Some(value) = present(node, "protocol") else { return Ok(Protocol::Tcp) };
        let name: String = self.typed(value)?;
        Protocol::from_name(&name).ok_or_else(|| {
            self.refuse(value, format!("protocol {name:?} is not known"), "TCP, UDP or SCTP, in capitals")
        })
    }
}
