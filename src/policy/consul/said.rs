//! What manifests do not tell of the mesh, or what is not modelled: always said, with the way it bends.

use super::super::shapes::{self, Shape};
use super::membership::Members;
use super::settings::{DefaultPolicy, Settings, Switch};
use crate::model::{Bend, Document, Gap, Node, Origin};

/// Annotations of pods that change how traffic is carried and are not modelled.
const NOT_MODELLED: &[&str] = &[
    "consul.hashicorp.com/transparent-proxy-exclude-outbound-cidrs",
    "consul.hashicorp.com/transparent-proxy-exclude-uids",
    "consul.hashicorp.com/connect-proxy-port",
];

/// Kinds of gateways that are not in the table of kinds, whose pods and legs are not modelled.
const GATEWAYS: &[&str] = &["GatewayClassConfig", "MeshGateway"];

/// Everything that is to be said where the mesh is in use.
pub fn of_the_mesh(
    documents: &[Document],
    shapes: &[Shape<'_>],
    settings: &Settings,
    members: &Members,
) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut say =
        |origin: &Origin, what: String, bends| gaps.push(Gap { what, origin: origin.clone(), bends });
    if settings.known == Switch::Off {
        let word = match settings.default {
            DefaultPolicy::Allow => "allow",
            DefaultPolicy::Deny => "deny",
        };
        let what = format!(
            "the configuration of the servers was not read: what no intention decides is taken for {word}, as it \
             is without ACLs"
        );
        say(&members.origin, what, Bend::MayAllowLess);
    }
    if settings.injector == Switch::Off {
        let what = "the injector was not read: as in the chart, pods get a proxy only where they ask for one, and that \
                    proxy is transparent";
        say(&members.origin, what.to_owned(), Bend::MayAllowMore);
    }
    for shape in shapes {
        for key in NOT_MODELLED.iter().filter(|key| shapes::annotation(shape.body, key).is_some()) {
            say(shape.origin, format!("the annotation {key} is not modelled"), Bend::MayAllowMore);
        }
    }
    for document in documents.iter().filter(|d| d.api_version.starts_with("consul.hashicorp.com/")) {
        let origin = &document.origin;
        let at = |path: &[&str]| document.body.path(path).filter(|node| !node.is_null());
        let only = at(&["spec", "transparentProxy", "meshDestinationsOnly"]).and_then(Node::bool);
        match &*origin.kind {
            "Mesh" if only == Some(true) => {
                let what = "meshDestinationsOnly: proxies refuse destinations that are not in the mesh, which is \
                            advice that applications can bypass: it closes nothing in the graph";
                say(origin, what.to_owned(), Bend::MayAllowLess);
            }
            "ServiceDefaults" | "ProxyDefaults" if at(&["spec", "expose"]).is_some() => {
                let what =
                    "expose opens plaintext listeners for paths or probes, to which no intention applies";
                say(origin, what.to_owned(), Bend::MayAllowMore);
            }
            "TerminatingGateway" if links_everything(document) => {
                let what = "a TerminatingGateway that links every service: which of them it leads to is not \
                            followed, only those that are named are";
                say(origin, what.to_owned(), Bend::MayMissTraffic);
            }
            "IngressGateway" | "TerminatingGateway" if members.gateways == Switch::Off => {
                let what = "no pod of a gateway was read: what is called through it is not shown";
                say(origin, what.to_owned(), Bend::MayMissTraffic);
            }
            kind if GATEWAYS.contains(&kind) => {
                let what = format!(
                    "the legs through a {kind} are not modelled: what is called through it is not shown"
                );
                say(origin, what, Bend::MayMissTraffic);
            }
            _ => {}
        }
    }
    gaps
}

fn links_everything(gateway: &Document) -> bool {
    let services = gateway.body.path(&["spec", "services"]).map_or(&[][..], Node::items);
    services.iter().any(|service| service.text_of("name") == Some("*"))
}
