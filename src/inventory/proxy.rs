//! Whose proxy a document configures: that of a pod which it names or whose address it has, or one
//! that is no pod.

use super::Attachments;
use super::build::Owned;
use super::workload::{Network, Variant};
use crate::model::proxy::{self, Proxy};
use crate::model::{Document, EndpointName, Few, Labels, Origin};

/// The kind under which proxies that are no pods are named.
pub(super) const KIND: &str = "Envoy";

/// A proxy, and the document that it was read from.
pub(super) type Found = (Proxy, Origin);

/// The proxy of a document that configures one.
pub(super) fn read(document: &Document) -> Option<Found> {
    proxy::of(document).map(|proxy| (proxy, document.origin.clone()))
}

/// Gives each proxy to its pods, or adds it as an endpoint of its own.
pub(super) fn attach(proxies: Vec<Found>, owned: &mut Vec<Owned>) {
    for (proxy, origin) in proxies {
        let own: Vec<usize> = (0..owned.len()).filter(|index| is_of(&proxy, &owned[*index])).collect();
        for index in &own {
            if let Some(variant) = &mut owned[*index].variant {
                variant.proxies.insert(proxy.key.clone());
                variant.addresses.extend(proxy.addresses.iter().copied());
            }
        }
        if own.is_empty() {
            let one = of_template(&proxy, owned).unwrap_or_else(|| standalone(&proxy, origin));
            owned.push(one);
        }
    }
}

/// Whether a pod is the one that a proxy belongs to.
fn is_of(proxy: &Proxy, owned: &Owned) -> bool {
    let Some(variant) = owned.variant.as_ref().filter(|_| owned.name.kind == "Pod") else { return false };
    let EndpointName { namespace, name, .. } = &owned.name;
    if let Some((own_namespace, pod)) = &proxy.pod {
        return own_namespace == namespace && pod == name;
    }
    // Consul's dataplane calls itself POD-SERVICE-sidecar-proxy, Envoy Gateway's proxies by their pod.
    let of_consul = proxy.name.ends_with("sidecar-proxy") && proxy.name.starts_with(&format!("{name}-"));
    let shares = !variant.addresses.is_disjoint(&proxy.addresses);
    shares || of_consul || (proxy.name == *name && !name.is_empty())
}

/// The pod that a proxy names, made by a template that was read.
fn of_template(proxy: &Proxy, owned: &[Owned]) -> Option<Owned> {
    let (namespace, pod) = proxy.pod.as_ref()?;
    let makes = |one: &&Owned| {
        let rest = pod.strip_prefix(&one.name.name).and_then(|rest| rest.strip_prefix('-'));
        let parts = rest.map_or(0, |rest| rest.split('-').count());
        let wanted = if one.name.kind == "Deployment" { 2 } else { 1 };
        one.from_template && one.name.namespace == *namespace && parts == wanted
    };
    let template = owned.iter().find(makes)?;
    let mut variant = template.variant.clone()?;
    variant.proxies.insert(proxy.key.clone());
    variant.addresses.extend(proxy.addresses.iter().copied());
    variant.pods.insert(pod.as_str().into());
    Some(Owned {
        name: EndpointName { namespace: namespace.clone(), kind: "Pod".to_owned(), name: pod.clone() },
        owner: Some(template.name.clone()),
        variant: Some(variant),
        from_template: false,
        origin: template.origin.clone(),
    })
}

fn standalone(proxy: &Proxy, origin: Origin) -> Owned {
    let Proxy { namespace, name, key, addresses, pod: _ } = proxy;
    let variant = Variant {
        labels: Labels::new(),
        annotations: Labels::new(),
        containers: Few::new(),
        ports: Vec::new(),
        network: Network::Standalone,
        service_account: String::new(),
        profiles: Vec::new(),
        addresses: addresses.iter().copied().collect(),
        nodes: Few::new(),
        runs_on: Default::default(),
        pods: Few::new(),
        users: Default::default(),
        proxies: [key.clone()].into(),
        attachments: Attachments::new(),
    };
    Owned {
        name: EndpointName { namespace: namespace.clone(), kind: KIND.to_owned(), name: name.clone() },
        owner: None,
        variant: Some(Box::new(variant)),
        from_template: false,
        origin,
    }
}
