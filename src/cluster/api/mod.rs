//! Talks to an API server. Everything asynchronous is in here; what goes out are plain values.

mod connect;
mod discover;
mod follow;
mod list;
mod object;

pub use follow::follow;

use super::{Live, Read, Target, Told, file_name};
use crate::model::{Problem, WantedKind};
use crate::source;
use connect::{Connection, connect, refused};
use discover::{Found, discover};
use futures_util::stream::{self, StreamExt};
use object::Maker;

/// Kinds that are read at the same time.
const AT_ONCE: usize = 4;

/// Reads all wanted kinds of a cluster.
///
/// # Errors
/// No cluster is configured, it does not answer, or it does not accept who asks. A kind that may not
/// be read does not end the reading.
pub fn read(target: &Target, wanted: &[WantedKind], told: Told<'_>) -> Result<Live, Problem> {
    runtime()?.block_on(read_all(target, wanted, told))
}

fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| source::problem("cluster", &format!("cannot start: {error}"), ""))
}

async fn read_all(target: &Target, wanted: &[WantedKind], told: Told<'_>) -> Result<Live, Problem> {
    let Connection { client, name } = connect(target).await?;
    let failed = |error: kube::Error| refused(&name, &error);
    let Found { version, served, refused } = discover(&client, wanted).await.map_err(failed)?;
    let lists: Vec<_> = served
        .iter()
        .map(|served| {
            let maker = Maker::new(&name, served.number, &served.api_version, served.wanted.api.kind);
            let client = &client;
            async move { (served, list::list(client, served, &maker, told, &target.namespaces).await) }
        })
        .collect();
    let mut live = Live { version, refused, ..Live::default() };
    let mut answers = stream::iter(lists).buffered(AT_ONCE);
    while let Some((served, listed)) = answers.next().await {
        let listed = listed.map_err(failed)?;
        live.reads.push(Read {
            api_version: served.api_version.clone(),
            kind: served.wanted.api.kind.to_owned(),
            resource_version: listed.resource_versions.join(","),
            objects: listed.documents.len(),
        });
        live.documents.extend(listed.documents);
        live.refused.extend(listed.refused);
    }
    drop(answers);
    live.refused.sort();
    live.name = name;
    if live.documents.is_empty() && !live.refused.is_empty() {
        let first = live.refused[0].words();
        let hint = "`watertight snapshot --rbac` prints the permissions that are needed; \
                    --allowed-namespace NAME where only some namespaces may be read";
        return Err(source::problem(&file_name(&live.name), &format!("nothing may be read: {first}"), hint));
    }
    Ok(live)
}
