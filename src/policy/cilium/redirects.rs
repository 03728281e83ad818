//! Objects that lead calls elsewhere than to whom they name: to proxies of the nodes, and to pods of the own
//! node. What they make of calls is not read; here is what that leaves unknown.

use crate::model::{Document, Node};

/// What is not known for a CiliumEnvoyConfig or CiliumClusterwideEnvoyConfig; `None` for those that
/// Cilium makes of an Ingress or a Gateway, which are ways in by themselves.
///
/// What is called through the proxy meets the policies of the client and of the pods that the proxy
/// chooses (`cilium.l7policy` in `pkg/envoy`), so that calls from the outside come as `reserved:ingress`.
pub fn by_proxy(document: &Document) -> Option<String> {
    let owners = document.body.path(&["metadata", "ownerReferences"]).map_or(&[][..], Node::items);
    let made_of = |owner: &Node| matches!(owner.text_of("kind"), Some("Ingress" | "Gateway"));
    if owners.iter().any(made_of) || &*document.origin.name == SHARED_INGRESS {
        return None;
    }
    let kind = &document.origin.kind;
    let services = services(document, "services");
    Some(match services.is_empty() {
        true => format!(
            "{kind} is not read: whom its listeners lead to and how they protect that is not known, and rules \
             with a listener may send calls to them"
        ),
        false => format!(
            "{kind} is not read: calls of {} go to the proxy of the node, and whom it carries them on to, which \
             requests it lets through and whether it encrypts is not known; from outside they come as the \
             entity ingress",
            services.join(", ")
        ),
    })
}

/// What is not known for a CiliumLocalRedirectPolicy. Policies hold on whom calls are led to, so no pod
/// is reached that the graph shows as closed (`bpf/bpf_lxc.c` looks for policies behind load balancing).
pub fn to_own_node(document: &Document) -> Option<String> {
    let kind = &document.origin.kind;
    let frontend = document.body.path(&["spec", "redirectFrontend"]);
    let of =
        |matcher: &str| frontend.and_then(|frontend| frontend.get(matcher)).filter(|node| !node.is_null());
    let called = match (of("addressMatcher"), of("serviceMatcher")) {
        (Some(address), _) => address.text_of("ip").unwrap_or("an address").to_owned(),
        (None, Some(service)) => format!(
            "the service {}/{}",
            service.text_of("namespace").unwrap_or(document.namespace()),
            service.text_of("serviceName").unwrap_or_default()
        ),
        (None, None) => {
            return Some(format!("{kind} is not read, and it names nobody whose calls it leads elsewhere"));
        }
    };
    Some(format!(
        "{kind} is not read: where Cilium takes such objects (enable-local-redirect-policy), calls of {called} \
         from pods go to pods of their own node that it selects, and have to be allowed to those"
    ))
}

/// The object that stands for all Ingresses with a load balancer in common (`operator/pkg/ingress`).
const SHARED_INGRESS: &str = "cilium-ingress";

/// `namespace/name` of the services in a list.
fn services(document: &Document, list: &str) -> Vec<String> {
    let items = document.body.path(&["spec", list]).map_or(&[][..], Node::items);
    let one = |item: &Node| {
        let namespace = item.text_of("namespace").filter(|name| !name.is_empty());
        Some(format!("{}/{}", namespace.unwrap_or(document.namespace()), item.text_of("name")?))
    };
    items.iter().filter_map(one).collect()
}
