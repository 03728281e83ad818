//! What proxies of Linkerd accept and send: ports that bypass them, ports where an identity is
//! needed, and on which port of the wire connections travel.

use super::super::shapes::{self, Carrier, Choice, Dialled, Passes, Shape, all};
use super::super::{Acceptance, Accepts, Admission, Dialect, Holds, Peer, Sending, Sends, Target, Transport};
use super::access::Access;
use super::membership::{Members, pods_of};
use super::server::Numbers;
use super::settings::{Settings, TransportMode};
use crate::model::{Bend, Document, Gap, Origin, PortSet, Selector};

/// Ports of the proxy itself, which its own traffic does not pass (`proxy-init` skips them).
const OF_THE_PROXY: (u16, u16) = (4_190, 4_191);

/// Lists that the policy controller reads, which takes them whole or not at all
/// (`policy-controller/k8s/index/src/inbound/workload.rs`, `ports_annotation`).
const VOID_AS_A_WHOLE: &[&str] =
    &["config.linkerd.io/opaque-ports", "config.linkerd.io/proxy-require-identity-inbound-ports"];

/// Sources whose connections are not given to the proxy.
const SKIP_SUBNETS: &str = "config.linkerd.io/skip-subnets";

/// What several steps read.
pub struct Ground<'a> {
    /// All objects.
    pub documents: &'a [Document],
    /// Pods and templates.
    pub shapes: &'a [Shape<'a>],
    /// Of the control plane.
    pub settings: &'a Settings,
    /// Who takes part.
    pub members: &'a Members,
}

/// Ports of some pods, and whether clients without an identity have any chance there.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// The pods, with their namespace.
    pub subjects: super::super::Selection,
    /// The ports.
    pub ports: Numbers,
    /// Whether somebody without an identity may be let in, or nobody at all is.
    pub plaintext: Admission,
    /// In words.
    pub why: String,
    /// Where that stands.
    pub origin: Origin,
}

impl Ground<'_> {
    /// The values of an annotation, and the ports that they name; the default where there is none.
    pub fn port_choices(&self, key: &str, default: &PortSet, gaps: &mut Vec<Gap>) -> Vec<(Choice, PortSet)> {
        let choices = shapes::choices(self.documents, self.shapes, key, Carrier::PodOrNamespace);
        let mut read = |choice: Choice| {
            let Some(value) = &choice.value else { return (choice, default.clone()) };
            let (ports, strange) = shapes::ports(value);
            if let (false, Some(origin)) = (strange.is_empty(), &choice.origin) {
                let void = VOID_AS_A_WHOLE.contains(&key);
                let then = if void { "the whole list counts for nothing" } else { "it was left out" };
                let what = format!("{key} names {}, which is no port: {then}", strange.join(" "));
                gaps.push(Gap { what, origin: origin.clone(), bends: Bend::MayAllowMore });
                if void {
                    return (choice, PortSet::none());
                }
            }
            (choice, ports)
        };
        choices.into_iter().map(&mut read).collect()
    }
}

/// The lists of both sides. `defaults` are the default policies by pods, `needing` the ports that
/// need an identity whatever an allowing default says.
pub fn lower(
    ground: &Ground<'_>,
    guarded: &[Guarded],
    defaults: &[(Choice, Access)],
    needing: &[(Choice, PortSet)],
    gaps: &mut Vec<Gap>,
) -> Transport {
    let settings = ground.settings;
    let opaque = ground.port_choices("config.linkerd.io/opaque-ports", &settings.opaque, gaps);
    let accepting = Accepting { ground, opaque: &opaque };
    let mut transport =
        Transport { members: super::membership::list(ground.members), ..Transport::default() };
    for (choice, skipped) in
        ground.port_choices("config.linkerd.io/skip-inbound-ports", &settings.skip_inbound, gaps)
    {
        transport.accepts.push(Acceptance {
            holds: Holds::Surely,
            subjects: vec![pods_of(all([ground.members.meshed.clone(), choice.pods]))],
            ports: skipped.union(&PortSet::range(OF_THE_PROXY.0, OF_THE_PROXY.1)),
            accepts: Accepts::BARE,
            why: "the port bypasses the proxy (skip-inbound-ports, or a port of the proxy itself)".to_owned(),
            origin: choice.origin,
        });
    }
    for one in guarded {
        let (ports, plaintext) = match &one.ports {
            Numbers::Same(ports) => (ports, one.plaintext),
            // Some pods have the port elsewhere; authorization decides for each, nothing is promised here.
            Numbers::Differing(ports) => (ports, Admission::Admitted),
        };
        let mut subjects = one.subjects.clone();
        subjects.endpoints = all([subjects.endpoints, ground.members.meshed.clone()]);
        let of = Part { subjects, ports, plaintext, why: &one.why, origin: Some(&one.origin) };
        accepting.add(&of, &mut transport.accepts);
    }
    // What is only logged is not refused, whatever needs an identity.
    let audited = |(_, access): &&(Choice, Access)| *access == Access::Audit;
    let by_default = |(choice, access): &(Choice, Access), accepts: &mut Vec<Acceptance>| {
        let why = format!("the default inbound policy is {}", access.name());
        let of = Part {
            subjects: pods_of(all([ground.members.meshed.clone(), choice.pods.clone()])),
            ports: &PortSet::all(),
            plaintext: plaintext(*access),
            why: &why,
            origin: choice.origin.as_ref().or(settings.origin.as_ref()),
        };
        accepting.add(&of, accepts);
    };
    defaults.iter().filter(audited).for_each(|one| by_default(one, &mut transport.accepts));
    for (choice, ports) in needing {
        let of = Part {
            subjects: pods_of(all([ground.members.meshed.clone(), choice.pods.clone()])),
            ports,
            plaintext: Admission::Refused,
            why: "the port needs an identity (proxy-require-identity-inbound-ports)",
            origin: choice.origin.as_ref(),
        };
        accepting.add(&of, &mut transport.accepts);
    }
    defaults.iter().filter(|one| !audited(one)).for_each(|one| by_default(one, &mut transport.accepts));
    transport.accepts = beside_subnets(ground, std::mem::take(&mut transport.accepts), gaps);
    transport.sends = sends(ground, &opaque, gaps);
    transport
}

/// What comes from some subnets goes past the proxy of the server (`proxy-init` returns it from its
/// redirecting chain by source address), so that nobody is refused for want of TLS: who has an
/// address there is not told apart. What is sent to port 4143 still ends in the proxy.
fn beside_subnets(ground: &Ground<'_>, accepts: Vec<Acceptance>, gaps: &mut Vec<Gap>) -> Vec<Acceptance> {
    let choices = shapes::choices(ground.documents, ground.shapes, SKIP_SUBNETS, Carrier::PodOrNamespace);
    let named = |choice: &Choice| choice.value.as_ref().is_some_and(|value| !value.trim().is_empty());
    let choices: Vec<Choice> = choices.into_iter().filter(named).collect();
    for choice in &choices {
        let subnets = choice.value.as_deref().unwrap_or_default();
        let what = format!(
            "what comes from {subnets} goes past the proxy (skip-subnets): no authorization of the mesh holds for it, \
             and who is in there is not told apart"
        );
        let origin = choice.origin.clone().unwrap_or_else(|| ground.members.origin.clone());
        gaps.push(Gap { what, origin, bends: Bend::MayAllowMore });
    }
    let mut list = Vec::new();
    for acceptance in accepts {
        for choice in choices.iter().filter(|_| acceptance.accepts.plaintext == Admission::Refused) {
            let mut open = acceptance.clone();
            for subjects in &mut open.subjects {
                subjects.endpoints = all([subjects.endpoints.clone(), choice.pods.clone()]);
            }
            open.accepts.plaintext = Admission::Admitted;
            open.why = "plaintext from some subnets goes past the proxy (skip-subnets)".to_owned();
            open.origin.clone_from(&choice.origin);
            list.push(open);
        }
        list.push(acceptance);
    }
    list
}

/// Whether a policy refuses whoever has no identity, and nobody else.
fn plaintext(access: Access) -> Admission {
    match access {
        Access::AllAuthenticated | Access::ClusterAuthenticated => Admission::Refused,
        Access::AllUnauthenticated | Access::ClusterUnauthenticated | Access::Audit | Access::Deny => {
            Admission::Admitted
        }
    }
}

/// One acceptance before it is known how connections travel.
struct Part<'a> {
    subjects: super::super::Selection,
    ports: &'a PortSet,
    plaintext: Admission,
    why: &'a str,
    origin: Option<&'a Origin>,
}

struct Accepting<'a> {
    ground: &'a Ground<'a>,
    opaque: &'a [(Choice, PortSet)],
}

impl Accepting<'_> {
    fn add(&self, part: &Part<'_>, accepts: &mut Vec<Acceptance>) {
        let mut push = |pods: Option<&Selector>, ports: PortSet, dialect| {
            let mut subjects = part.subjects.clone();
            if let Some(pods) = pods {
                subjects.endpoints = subjects.endpoints.and(pods.clone());
            }
            if !ports.is_empty() {
                accepts.push(Acceptance {
                    holds: Holds::Surely,
                    subjects: vec![subjects],
                    ports,
                    accepts: Accepts {
                        plaintext: part.plaintext,
                        terminates: Some(dialect),
                        advertises: Some(dialect),
                        proxied: Admission::Admitted,
                    },
                    why: part.why.to_owned(),
                    origin: part.origin.cloned(),
                });
            }
        };
        match self.ground.settings.mode {
            TransportMode::TransportHeader => push(None, part.ports.clone(), Dialect::LinkerdTransport),
            TransportMode::Transparent => {
                for (choice, opaque) in self.opaque {
                    push(Some(&choice.pods), part.ports.intersection(opaque), Dialect::LinkerdTransport);
                    push(Some(&choice.pods), part.ports.difference(opaque), Dialect::LinkerdMtls);
                }
            }
        }
    }
}

fn sends(ground: &Ground<'_>, opaque: &[(Choice, PortSet)], gaps: &mut Vec<Gap>) -> Vec<Sending> {
    let (settings, members) = (ground.settings, ground.members);
    let mut sends = Vec::new();
    let skipping =
        ground.port_choices("config.linkerd.io/skip-outbound-ports", &settings.skip_outbound, gaps);
    for (choice, skipped) in skipping {
        let subjects = vec![pods_of(all([members.meshed.clone(), choice.pods]))];
        sends.extend(bypassing(ground, &subjects, &skipped, choice.origin.as_ref()));
    }
    sends.push(Sending {
        subjects: vec![pods_of(members.ingress.clone())],
        to: Target::Anything,
        ports: PortSet::all(),
        sends: Sends::AsIs,
        why: "in ingress mode only requests with the header l5d-dst-override are sent with mTLS".to_owned(),
        origin: None,
    });
    for plane in &members.planes {
        // Who is not known to be a member may be one: nobody is called refused for want of knowledge.
        let own = members.of_plane(plane, settings);
        let clients = match *plane == settings.home {
            true => Selector::any_of(vec![own.clone(), members.unclear.clone()]),
            false => own.clone(),
        };
        let subjects = vec![pods_of(clients)];
        let mut push = |pods: Selector, ports: PortSet, dialect| {
            sends.push(Sending {
                subjects: subjects.clone(),
                to: Target::Peer(Peer::Endpoints(pods_of(pods))),
                ports,
                sends: Sends::IfAdvertised(dialect),
                why: "the proxy sends mTLS to members of the same control plane".to_owned(),
                origin: None,
            });
        };
        match settings.mode {
            TransportMode::TransportHeader => push(own, PortSet::all(), Dialect::LinkerdTransport),
            TransportMode::Transparent => {
                for (choice, ports) in opaque.iter().filter(|(_, ports)| !ports.is_empty()) {
                    let pods = all([own.clone(), choice.pods.clone()]);
                    push(pods, ports.clone(), Dialect::LinkerdTransport);
                }
                push(own, PortSet::all(), Dialect::LinkerdMtls);
            }
        }
    }
    sends
}

/// What clients send around their proxies: the ports are those that clients dial, of services where
/// they call one, of pods otherwise.
fn bypassing<'a>(
    ground: &'a Ground<'_>,
    subjects: &'a [super::super::Selection],
    skipped: &'a PortSet,
    origin: Option<&'a Origin>,
) -> Vec<Sending> {
    let sending = |to, ports, sends, why: &str| Sending {
        subjects: subjects.to_vec(),
        to,
        ports,
        sends,
        why: why.to_owned(),
        origin: origin.cloned(),
    };
    let bypasses = "the client's proxy is bypassed (skip-outbound-ports)";
    let mut list = Vec::new();
    if skipped.is_empty() {
        return list;
    }
    let dialect = match ground.settings.mode {
        TransportMode::TransportHeader => Dialect::LinkerdTransport,
        TransportMode::Transparent => Dialect::LinkerdMtls,
    };
    for Dialled { services, port, passes } in shapes::dialled(ground.documents, skipped) {
        let target = Target::Service(services, Some(port));
        match passes {
            Passes::By => list.push(sending(target, PortSet::all(), Sends::AsIs, bypasses)),
            // Several control planes are told apart by the pods behind the service, further down.
            Passes::Through if ground.members.planes.len() > 1 => {}
            Passes::Through => {
                let why = "the service's own port is not among those that bypass the proxy";
                list.push(sending(target, PortSet::all(), Sends::IfAdvertised(dialect), why));
            }
        }
    }
    list.push(sending(Target::Anything, skipped.clone(), Sends::AsIs, bypasses));
    list
}
