//! Follows a cluster: every kind is listed once and then watched from there on.
//!
//! A watch that breaks goes on where it ended. Where the server no longer remembers that (410), the kind
//! is listed again as a whole, so that nothing that happened meanwhile is missed; what is known stands
//! until the new list is complete. Kinds that appear later are found by looking again.

use super::connect::{Connection, chain, connect, refused, request, status};
use super::discover::{Found, Served, discover, queries};
use super::list::{self, ends, one};
use super::object::{Json, Maker};
use crate::cluster::{Event, KindName, Progress, Target};
use crate::model::{Problem, WantedKind};
use futures_util::future::{Either, pending, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use kube::core::WatchEvent;
use kube::{Client, Error};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// The server ends a watch after so many seconds; it goes on with a new request.
const WATCH_SECONDS: u32 = 290;
/// The first wait after a failure; it doubles up to the longest.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// When what was refused is asked for again, and new kinds are looked for.
const LATER: Duration = Duration::from_secs(30);

/// Follows all wanted kinds of a cluster until nobody listens any more.
///
/// # Errors
/// No cluster is configured, or it cannot be read at the beginning. What happens later is an event.
pub fn follow(target: &Target, wanted: &[WantedKind], heard: &Sender<Event>) -> Result<(), Problem> {
    super::runtime()?.block_on(follow_all(target, wanted, heard))
}

/// What the followers of all kinds share.
struct Shared<'a> {
    target: &'a Target,
    heard: &'a Sender<Event>,
    name: String,
    client: RefCell<Client>,
    /// Counts renewed clients, so that one failure renews it once.
    renewed: Cell<u32>,
    /// Followers that wait for the server.
    failing: RefCell<BTreeSet<usize>>,
    /// Followers that have not read their kind yet.
    reading: RefCell<BTreeSet<usize>>,
    /// The version in which each kind is followed now.
    current: RefCell<BTreeMap<KindName, String>>,
    complete: Cell<bool>,
}

/// Nobody listens any more, or the follower was replaced.
struct Over;

async fn follow_all(target: &Target, wanted: &[WantedKind], heard: &Sender<Event>) -> Result<(), Problem> {
    let Connection { client, name } = connect(target).await?;
    let found = discover(&client, wanted).await.map_err(|error| refused(&name, &error))?;
    let shared = Shared {
        target,
        heard,
        name,
        client: RefCell::new(client),
        renewed: Cell::new(0),
        failing: RefCell::default(),
        reading: RefCell::default(),
        current: RefCell::default(),
        complete: Cell::new(false),
    };
    let mut followers = FuturesUnordered::new();
    let mut count = 0;
    let mut add = |found: Found, followers: &mut FuturesUnordered<_>| {
        for served in found.served {
            let kind = kind_of(&served);
            let known = shared.current.borrow_mut().insert(kind, served.api_version.clone());
            if known.as_ref() == Some(&served.api_version) {
                continue;
            }
            for query in queries(&served) {
                shared.reading.borrow_mut().insert(count);
                followers
                    .push(Follower { shared: &shared, number: count, served: served.clone(), query }.run());
                count += 1;
            }
        }
        for refused in found.refused {
            let kind = KindName { group: refused.group.clone(), kind: String::new() };
            let _ = shared.say(Event::Refused { kind, refused: Some(refused) });
        }
    };
    add(found, &mut followers);
    loop {
        let later = pin!(tokio::time::sleep(LATER));
        // Without any follower there is nothing to wait for but new kinds.
        let next = async { if followers.is_empty() { pending().await } else { followers.next().await } };
        match select(pin!(next), later).await {
            Either::Left((Some(Over), _)) if shared.say(Event::Tick).is_err() => return Ok(()),
            Either::Left(_) => {}
            Either::Right(_) => {
                let client = shared.client.borrow().clone();
                if let Ok(found) = discover(&client, wanted).await {
                    add(found, &mut followers);
                }
            }
        }
    }
}

fn kind_of(served: &Served) -> KindName {
    KindName { group: served.wanted.api.group.to_owned(), kind: served.wanted.api.kind.to_owned() }
}

impl Shared<'_> {
    fn say(&self, event: Event) -> Result<(), Over> {
        self.heard.send(event).map_err(|_| Over)
    }

    /// A follower waits for the server.
    fn lost(&self, number: usize, why: &Error) -> Result<(), Over> {
        let first = self.failing.borrow().is_empty();
        self.failing.borrow_mut().insert(number);
        if first { self.say(Event::Lost { why: chain(why) }) } else { Ok(()) }
    }

    /// A follower is where the server is.
    fn back(&self, number: usize) -> Result<(), Over> {
        let waited = self.failing.borrow_mut().remove(&number);
        if waited && self.failing.borrow().is_empty() { self.say(Event::Back) } else { Ok(()) }
    }

    /// A kind was read for the first time, or cannot be.
    fn read(&self, number: usize) -> Result<(), Over> {
        self.reading.borrow_mut().remove(&number);
        if self.complete.get() || !self.reading.borrow().is_empty() {
            return Ok(());
        }
        self.complete.set(true);
        self.say(Event::Complete { name: self.name.clone() })
    }

    /// Credentials are read again; tokens run out and are renewed by others.
    async fn renew(&self, seen: u32) {
        if self.renewed.get() == seen {
            self.renewed.set(seen + 1);
            if let Ok(Connection { client, .. }) = connect(self.target).await {
                *self.client.borrow_mut() = client;
            }
        }
    }
}

/// Follows one list.
struct Follower<'a> {
    shared: &'a Shared<'a>,
    number: usize,
    served: Served,
    query: String,
}

/// How a watch ended.
enum Ended {
    /// As watches do; it goes on from the version.
    Normally,
    /// The version is too old, or the list must be read again for another reason.
    Stale,
    /// The server does not answer.
    Failed(Error),
}

impl Follower<'_> {
    async fn run(self) -> Over {
        let mut version = None;
        let mut wait = SHORTEST;
        loop {
            let seen = self.shared.renewed.get();
            match self.step(&mut version).await {
                Err(Over) => return Over,
                Ok(Ended::Normally | Ended::Stale) => wait = SHORTEST,
                Ok(Ended::Failed(error)) => {
                    let pause = match self.failed(&error, &mut version) {
                        Err(Over) => return Over,
                        Ok(pause) => pause.unwrap_or(wait),
                    };
                    tokio::time::sleep(pause).await;
                    wait = (wait * 2).min(LONGEST);
                    if status(&error) == 401 {
                        self.shared.renew(seen).await;
                    }
                }
            }
            let current = self.shared.current.borrow().get(&kind_of(&self.served)).cloned();
            if current.as_ref() != Some(&self.served.api_version) {
                return Over;
            }
        }
    }

    /// What a failure means: the kind alone is refused and asked for later, or the server is waited for.
    fn failed(&self, error: &Error, version: &mut Option<String>) -> Result<Option<Duration>, Over> {
        let kind = kind_of(&self.served);
        if ends(error) || list::is_passing(error) {
            self.shared.lost(self.number, error)?;
            return Ok(None);
        }
        let verb = if version.is_some() { "watch" } else { "list" };
        // A kind that is no longer served has no objects.
        if status(error) == 404 {
            self.whole(Vec::new())?;
        } else {
            let refused = list::refused(&self.served, verb, error);
            self.shared.say(Event::Refused { kind, refused: Some(refused) })?;
        }
        *version = None;
        self.shared.back(self.number)?;
        self.shared.read(self.number)?;
        Ok(Some(LATER))
    }

    fn whole(&self, documents: Vec<crate::model::Document>) -> Result<(), Over> {
        let name = self.query.rsplit_once("%3D").map(|(_, name)| name.to_owned());
        self.shared.say(Event::Whole { kind: kind_of(&self.served), name, documents })
    }

    /// Lists where nothing is known yet, and watches from there on until the watch ends.
    async fn step(&self, version: &mut Option<String>) -> Result<Ended, Over> {
        let client = self.shared.client.borrow().clone();
        let api = &self.served;
        let maker = Maker::new(&self.shared.name, api.number, &api.api_version, api.wanted.api.kind);
        let from = match version.clone() {
            Some(from) => from,
            None => match one(&client, api, &self.query, &maker, &|_: Progress| {}).await {
                Err(error) => return Ok(Ended::Failed(error)),
                Ok((documents, from)) => {
                    self.whole(documents)?;
                    self.shared.say(Event::Refused { kind: kind_of(api), refused: None })?;
                    self.shared.read(self.number)?;
                    *version = Some(from.clone());
                    from
                }
            },
        };
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={from}&{}",
            api.path(),
            self.query
        );
        let opened = match request(&path) {
            Ok(request) => client.request_events::<Json>(request).await,
            Err(error) => Err(error),
        };
        let mut events = match opened {
            Ok(events) => pin!(events),
            Err(error) if status(&error) == 410 => {
                *version = None;
                return Ok(Ended::Stale);
            }
            Err(error) => return Ok(Ended::Failed(error)),
        };
        self.shared.back(self.number)?;
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) if status(&error) == 410 => {
                    *version = None;
                    return Ok(Ended::Stale);
                }
                Err(error) => return Ok(Ended::Failed(error)),
            };
            let (object, gone) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
                WatchEvent::Deleted(object) => (object, true),
                WatchEvent::Bookmark(mark) => {
                    *version = Some(mark.metadata.resource_version);
                    continue;
                }
                WatchEvent::Error(why) if why.code == 410 => {
                    *version = None;
                    return Ok(Ended::Stale);
                }
                WatchEvent::Error(why) => return Ok(Ended::Failed(Error::Api(why))),
            };
            *version = Some(object.text(&["metadata", "resourceVersion"]).to_owned());
            let document = Box::new(maker.document(object));
            self.shared.say(if gone { Event::Gone(document) } else { Event::Changed(document) })?;
        }
        Ok(Ended::Normally)
    }
}
