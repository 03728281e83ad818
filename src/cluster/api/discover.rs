//! What the API server serves of what is wanted: resources and versions. What it does not serve is
//! normal; a group whose server does not answer is not.

use super::connect::{chain, get, status};
use crate::cluster::{Access, Refused};
use crate::model::{Bend, Objects, WantedKind};
use futures_util::stream::{self, StreamExt};
use kube::{Client, Error};
use serde::Deserialize;

/// A kind that is served.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub wanted: WantedKind,
    /// `apps/v1`; `v1` for the core API.
    pub api_version: String,
    /// The resource as paths and roles name it.
    pub resource: String,
    /// Its place among the wanted kinds.
    pub number: u32,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Where only those of one namespace are read, that namespace.
    pub inside: Option<String>,
}

impl Served {
    /// The path of the list.
    pub fn path(&self) -> String {
        let base = if self.api_version.contains('/') { "/apis" } else { "/api" };
        let inside = self.inside.as_ref().map(|name| format!("namespaces/{name}/")).unwrap_or_default();
        format!("{base}/{}/{inside}{}", self.api_version, self.resource)
    }

    /// The same kind in single namespaces, where it has any.
    pub fn inside_each(&self, namespaces: &[String]) -> Vec<Served> {
        let one = |name: &String| Served { inside: Some(name.clone()), ..self.clone() };
        if self.namespaced { namespaces.iter().map(one).collect() } else { Vec::new() }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub version: String,
    pub served: Vec<Served>,
    pub refused: Vec<Refused>,
}

/// Kinds of which two names lead to the same objects: where the first is served, the second is not asked for.
const SAME: &[([&str; 2], [&str; 2])] = &[
    (["networking.k8s.io", "NetworkPolicy"], ["extensions", "NetworkPolicy"]),
    (["networking.k8s.io", "Ingress"], ["extensions", "Ingress"]),
    // The control plane mirrors Endpoints that somebody writes by hand into slices.
    (["discovery.k8s.io", "EndpointSlice"], ["", "Endpoints"]),
];
/// The same for whole groups: what Calico stores, and what its API server makes of it.
const SAME_GROUP: &[[&str; 2]] = &[["projectcalico.org", "crd.projectcalico.org"]];

/// Requests that are under way together.
const AT_ONCE: usize = 4;

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Clone, Deserialize)]
struct Group {
    name: String,
    /// In the order of the server, the preferred one first.
    versions: Vec<Version>,
}

#[derive(Clone, Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
    namespaced: bool,
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct ServerVersion {
    #[serde(rename = "gitVersion")]
    git_version: String,
}

/// Asks which of the wanted kinds there are.
pub(super) async fn discover(client: &Client, wanted: &[WantedKind]) -> Result<Found, Error> {
    let version: ServerVersion = get(client, "/version").await?;
    let Groups { groups } = get(client, "/apis").await?;
    let core = Group { name: String::new(), versions: vec![Version { version: "v1".to_owned() }] };
    let is_wanted = |group: &Group| wanted.iter().any(|kind| kind.api.group == group.name);
    let groups: Vec<Group> = groups.into_iter().chain([core]).filter(is_wanted).collect();
    let lists = groups.iter().flat_map(|group| {
        group.versions.iter().map(|version| {
            let (name, version) = (group.name.clone(), version.version.clone());
            async move {
                let path = match name.is_empty() {
                    true => format!("/api/{version}"),
                    false => format!("/apis/{name}/{version}"),
                };
                let resources: Result<Resources, Error> = get(client, &path).await;
                (name, version, resources)
            }
        })
    });
    let lists: Vec<_> = lists.collect();
    let answers: Vec<_> = stream::iter(lists).buffered(AT_ONCE).collect().await;
    let mut found = Found { version: version.git_version, ..Found::default() };
    for (group, version, answer) in &answers {
        if let Err(error) = answer {
            if status(error) == 401 {
                return Err(copied(error));
            }
            let why = format!("its version {version} does not answer: {}", chain(error));
            found.refused.push(of_group(group, why));
        }
    }
    for (number, kind) in wanted.iter().enumerate() {
        let here = answers.iter().filter(|(group, ..)| *group == kind.api.group);
        let with: Vec<(&str, &Resource)> = here
            .filter_map(|(_, version, answer)| {
                let fits = |r: &&Resource| {
                    r.kind == kind.api.kind
                        && !r.name.contains('/')
                        && r.verbs.iter().any(|verb| verb == "list")
                };
                Some((version.as_str(), answer.as_ref().ok()?.resources.iter().find(fits)?))
            })
            .collect();
        let understood =
            |(version, _): &&(&str, &Resource)| kind.versions.is_empty() || kind.versions.contains(version);
        // One that nobody understands is read all the same: it becomes a gap for each object.
        let Some((version, resource)) = with.iter().find(understood).or(with.first()) else { continue };
        found.served.push(Served {
            wanted: kind.clone(),
            api_version: match kind.api.group {
                "" => (*version).to_owned(),
                group => format!("{group}/{version}"),
            },
            resource: resource.name.clone(),
            number: number as u32,
            namespaced: resource.namespaced,
            inside: None,
        });
    }
    drop_twins(&mut found.served);
    Ok(found)
}

fn drop_twins(served: &mut Vec<Served>) {
    let names: Vec<[&str; 2]> = served.iter().map(|s| [s.wanted.api.group, s.wanted.api.kind]).collect();
    let is_twin = |s: &Served| {
        let own = [s.wanted.api.group, s.wanted.api.kind];
        SAME.iter().any(|(first, second)| *second == own && names.contains(first))
            || SAME_GROUP.iter().any(|[first, second]| *second == own[0] && names.contains(&[*first, own[1]]))
    };
    let keep: Vec<bool> = served.iter().map(|s| !is_twin(s)).collect();
    let mut keep = keep.into_iter();
    served.retain(|_| keep.next().unwrap_or(true));
}

fn of_group(group: &str, why: String) -> Refused {
    let (group, resource, kind) = (group.to_owned(), String::new(), "*".to_owned());
    Refused { group, resource, kind, access: Access::Failed(why), bends: Bend::MayAllowMore }
}

fn copied(error: &Error) -> Error {
    match error {
        Error::Api(status) => Error::Api(status.clone()),
        other => Error::Service(other.to_string().into()),
    }
}

/// The lists that a kind is read by: one, or one for each name.
pub(super) fn queries(served: &Served) -> Vec<String> {
    match served.wanted.api.objects {
        Objects::All => vec![String::new()],
        Objects::Named(names) => {
            names.iter().map(|name| format!("fieldSelector=metadata.name%3D{name}")).collect()
        }
    }
}
