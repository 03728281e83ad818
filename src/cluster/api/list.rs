//! Lists in pages: what does not answer is asked again, and a list that grew too old on the way is
//! begun anew.

use super::connect::{chain, get, status};
use super::discover::{Served, queries};
use super::object::{Json, Maker};
use crate::cluster::{Access, Progress, Refused, Told};
use crate::model::{Bend, Document};
use kube::{Client, Error};
use serde::Deserialize;
use std::time::Duration;

/// Objects of a page.
pub(super) const PAGE: usize = 500;
/// How often one page is asked for before the kind is given up.
const ATTEMPTS: u32 = 5;
/// How often a list that grew too old is begun anew; then it is asked for in one piece.
const RESTARTS: u32 = 3;
/// The first wait before another attempt; it doubles.
const WAIT: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    /// `null` where there are none.
    items: Option<Vec<Json>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "resourceVersion")]
    resource_version: String,
    #[serde(default, rename = "continue")]
    rest: String,
}

/// All objects of a kind at one moment.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub documents: Vec<Document>,
    /// From here on a watch goes on; for kinds of several lists one for each.
    pub resource_versions: Vec<String>,
    pub refused: Option<Refused>,
}

/// Reads a kind. Credentials that are not accepted, and a server that is not there, are errors;
/// whatever else goes wrong concerns this kind alone.
pub(super) async fn list(
    client: &Client,
    served: &Served,
    maker: &Maker,
    told: Told<'_>,
    namespaces: &[String],
) -> Result<Listed, Error> {
    let mut all = Listed::default();
    for query in queries(served) {
        match one(client, served, &query, maker, told).await {
            Ok((documents, version)) => {
                all.documents.extend(documents);
                all.resource_versions.push(version);
            }
            Err(error) if ends(&error) => return Err(error),
            Err(error) => {
                let places = if status(&error) == 403 { served.inside_each(namespaces) } else { Vec::new() };
                let mut readable = Vec::new();
                for place in places {
                    match one(client, &place, &query, maker, told).await {
                        Ok((documents, version)) => {
                            all.documents.extend(documents);
                            all.resource_versions.push(version);
                            readable.extend(place.inside);
                        }
                        Err(error) if ends(&error) => return Err(error),
                        Err(_) => {}
                    }
                }
                if readable.is_empty() {
                    all.resource_versions.push(String::new());
                }
                all.refused = Some(refused(served, "list", &error).only_in(readable));
            }
        }
    }
    all.documents.sort_by(|a, b| a.origin.cmp(&b.origin));
    Ok(all)
}

/// One list, from its first page to its last.
pub(super) async fn one(
    client: &Client,
    served: &Served,
    query: &str,
    maker: &Maker,
    told: Told<'_>,
) -> Result<(Vec<Document>, String), Error> {
    let mut restarts = 0;
    'anew: loop {
        let limit = if restarts < RESTARTS { PAGE } else { 0 };
        let (mut documents, mut rest) = (Vec::new(), String::new());
        loop {
            let path = format!("{}?limit={limit}&continue={}&{query}", served.path(), escaped(&rest));
            let page: Page = match attempts(client, &path, told).await {
                // The rest of the list is older than what the server remembers.
                Err(error) if status(&error) == 410 && restarts < RESTARTS => {
                    restarts += 1;
                    told(Progress::Again { what: format!("{}: {}", served.resource, chain(&error)) });
                    continue 'anew;
                }
                other => other?,
            };
            let items = page.items.unwrap_or_default();
            told(Progress::Objects { kind: served.wanted.api.kind.to_owned(), count: items.len() });
            documents.extend(items.into_iter().map(|item| maker.document(item)));
            rest = page.metadata.rest;
            if rest.is_empty() {
                return Ok((documents, page.metadata.resource_version));
            }
        }
    }
}

/// Whether lists of the whole cluster are forbidden.
pub(super) async fn is_forbidden(client: &Client, served: &Served, query: &str) -> Option<Error> {
    let answer: Result<Page, Error> = get(client, &format!("{}?limit=1&{query}", served.path())).await;
    answer.err().filter(|error| status(error) == 403)
}

/// Asks until there is an answer that another attempt would not change.
async fn attempts<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
    told: Told<'_>,
) -> Result<T, Error> {
    let mut wait = WAIT;
    for _ in 1..ATTEMPTS {
        match get(client, path).await {
            Err(error) if is_passing(&error) => {
                told(Progress::Again { what: chain(&error) });
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            other => return other,
        }
    }
    get(client, path).await
}

/// Whether the same request may be answered later.
pub(super) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Api(status) => matches!(status.code, 429 | 500..=599),
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => true,
        _ => false,
    }
}

/// Whether an error concerns the whole cluster rather than one kind.
pub(super) fn ends(error: &Error) -> bool {
    status(error) == 401 || matches!(error, Error::HyperError(_) | Error::Service(_) | Error::Auth(_))
}

/// What is said of a kind that cannot be read.
pub(super) fn refused(served: &Served, verb: &str, error: &Error) -> Refused {
    let access = match status(error) {
        403 => Access::Forbidden(verb.to_owned()),
        _ => Access::Failed(chain(error)),
    };
    Refused {
        group: served.wanted.api.group.to_owned(),
        resource: served.resource.clone(),
        kind: served.wanted.api.kind.to_owned(),
        access,
        bends: match served.wanted.api.unread {
            // What could not be read at all may have been anything.
            Bend::MayMissTraffic => Bend::MayAllowMore,
            bends => bends,
        },
    }
}

/// The token of a page, for a query.
fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|b| if keep(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}
