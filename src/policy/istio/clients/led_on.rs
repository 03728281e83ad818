//! Calls that are sent with the settings of another host, or another port, than the one that is called.
//!
//! Routes may lead to hosts that have no endpoints of their own for a client's proxy: it goes on to the
//! address that was called. That is so of headless services and of rules with PASSTHROUGH
//! (`convertResolution`, `applyLoadBalancer`), and of sidecars alone. Of hosts outside without addresses
//! that declare one port for bytes, the listener of one takes the calls of all.

use super::super::super::{OutsideSpeech, Sending, Sends};
use super::super::called::Called;
use super::super::destination_rule::{DestinationRule, Effective};
use super::super::routes::{By, Lead};
use super::{Clients, One, Port, Whom};
use std::collections::{BTreeMap, BTreeSet};

/// Calls of one host at one port, and where a route leads them.
struct Led<'a> {
    called: &'a Called,
    port: &'a Port,
    to: &'a Called,
    lead: Lead<'a>,
    by: Cause,
}

/// What leads them there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Route,
    Listener,
}

impl Clients<'_> {
    /// What is sent to hosts whose calls a route leads to such a host. It stands beside what is sent
    /// without the route.
    pub(super) fn to_led_on(&self, hosts: &[Called], list: &mut Vec<Sending>) {
        let mut by_host: BTreeMap<&str, Vec<&Called>> = BTreeMap::new();
        hosts.iter().for_each(|called| by_host.entry(&called.host).or_default().push(called));
        let everywhere: Vec<&Called> = hosts.iter().filter(|host| host.listens_everywhere).collect();
        let ports = hosts.iter().flat_map(|host| &host.ports);
        let of_requests: BTreeSet<u16> =
            ports.filter(|port| port.is_http()).map(|port| port.number).collect();
        for called in hosts {
            let beside = if called.listens_everywhere { &everywhere[..] } else { &[] };
            for port in &called.ports {
                for lead in self.routes.leads_of(&called.host, port.number, port.speech) {
                    for to in by_host.get(lead.to).into_iter().flatten() {
                        self.to_led(&Led { called, port, to, lead, by: Cause::Route }, list);
                    }
                }
                if called.listens_for_bytes(port.number) && of_requests.contains(&port.number) {
                    self.to_lost(called, port, list);
                }
                for to in beside.iter().filter(|other| called.shares(port, other)) {
                    let (exported_to, port_there) = (&to.exported_to[..], port.number);
                    let lead = Lead { exported_to, to: &to.host, port: port_there, subset: None };
                    self.to_led(&Led { called, port, to, lead, by: Cause::Listener }, list);
                }
            }
        }
    }

    /// The listener for requests may be the only one of a port.
    fn to_lost(&self, called: &Called, port: &Port, list: &mut Vec<Sending>) {
        let Some(target) = called.target(Some(port.number)) else { return };
        let whom = Whom { by: Some(By::Sidecars), ..Whom::default() };
        let why = format!("another host has port {} for requests: bytes may be passed on", port.number);
        list.push(self.to(&whom, target.for_some_calls(), Sends::AsIs, why, None));
    }

    fn to_led(&self, led: &Led<'_>, list: &mut Vec<Sending>) {
        let Led { to, lead, .. } = led;
        let is_itself = led.called.host == to.host && lead.port == led.port.number && lead.subset.is_none();
        if is_itself || !to.ports.iter().any(|port| port.number == lead.port) {
            return;
        }
        let is_for_all = lead.exported_to.iter().any(|name| name == "*");
        let names = if is_for_all { self.rules.client_namespaces() } else { lead.exported_to.to_vec() };
        let clients = names.iter().map(Some).chain(is_for_all.then_some(None));
        for client in clients {
            let found = self.rules.find(client.map(String::as_str), &to.namespace, &to.host);
            let whom = Whom { namespace: client, labels: None, by: Some(By::Sidecars) };
            for rule in found.selective {
                let whom = Whom { labels: rule.clients.as_ref(), ..whom };
                self.to_led_by(led, &whom, Some(rule), list);
            }
            self.to_led_by(led, &whom, found.general, list);
        }
    }

    fn to_led_by(
        &self,
        led: &Led<'_>,
        whom: &Whom<'_>,
        rule: Option<&DestinationRule>,
        list: &mut Vec<Sending>,
    ) {
        let Led { called, port, to, lead, by } = led;
        let subset = lead.subset.and_then(|name| rule?.subsets.get(name));
        let effective = rule.map_or_else(Effective::default, |rule| rule.effective(Some(lead.port), subset));
        let goes_on = to.headless || effective.passes_on;
        // Another port of a host outside is one of its own.
        let is_outside = |host: &Called| host.outside().next().is_some();
        let is_own = called.host == to.host && is_outside(called) && is_outside(to);
        if !goes_on && !is_own && *by == Cause::Route {
            return;
        }
        let Some(target) = called.target(Some(port.number)) else { return };
        let one = One { called: to, whom, rule, port: Some(port) };
        let (sends, why) = match rule {
            Some(rule) => self.of_rule(&one, rule, effective),
            None => self.automatic_to(to, false),
        };
        let why = match by {
            Cause::Listener => format!("{} has the same port at every address: {why}", to.name),
            Cause::Route if goes_on => {
                format!("a route leads to {}, and on to the address that was called: {why}", to.name)
            }
            Cause::Route => format!("a route leads to port {}: {why}", lead.port),
        };
        // What endpoints speak is asked of those that the route names, and not of those that are called.
        let sent = match sends {
            Sends::IfAdvertised(dialect) | Sends::IfAllAdvertise(dialect) if called.name != to.name => {
                vec![Sends::AsIs, Sends::Always(dialect)]
            }
            Sends::OtherTlsOverHttp => vec![Sends::OtherTls],
            other => vec![other],
        };
        for sends in sent {
            let origin = rule.map(|rule| &rule.origin);
            list.push(self.to(whom, target.clone().for_some_calls(), sends, why.clone(), origin));
        }
    }
}

impl Called {
    /// Whether the listener of another host outside may take its calls at a port, both without addresses.
    fn shares(&self, port: &Port, other: &Called) -> bool {
        let number = port.number;
        self.host != other.host && self.listens_for_bytes(number) && other.listens_for_bytes(number)
    }

    /// Whether it is a host outside, without addresses, that has a port for bytes.
    fn listens_for_bytes(&self, number: u16) -> bool {
        let mut ports = self.outside().filter(|outside| outside.port == number);
        let asks = self.ports.iter().any(|own| own.number == number && !own.is_http());
        self.listens_everywhere && asks && ports.any(|outside| outside.speech != OutsideSpeech::Tls)
    }
}
