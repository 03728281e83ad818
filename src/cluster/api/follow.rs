//! Follows a cluster: every kind is listed once and then watched from there on.
//!
//! A watch that breaks goes on where it ended. Where the server no longer remembers that (410), the kind
//! is listed again as a whole, so that nothing that happened meanwhile is missed; what is known stands
//! until the new list is complete. Kinds that appear later are found by looking again.

use super::connect::{Connection, chain, connect, refused, request, status};
use super::discover::{Found, Served, discover, queries};
use super::list::{self, ends, one};
use super::object::{Json, Maker};
use crate::cluster::{Event, KindName, Progress, Refused, Target};
use crate::model::{Problem, WantedKind};
use futures_util::future::{Either, pending, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use kube::core::WatchEvent;
use kube::{Client, Error};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// The server ends a watch after so many seconds; it goes on with a new request.
const WATCH_SECONDS: u32 = 290;
/// The first wait after a failure; it doubles up to the longest.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// So many answers in a row that the server cannot answer now are taken for a restart.
const FEW: u32 = 3;
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
    let found = find(&client, wanted, &target.namespaces).await.map_err(|error| refused(&name, &error))?;
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
    let mut away = BTreeSet::new();
    let mut add = |(found, partly): (Found, Partly), followers: &mut FuturesUnordered<_>| {
        for served in found.served {
            let kind = kind_of(&served);
            let known = shared.current.borrow_mut().insert(kind.clone(), served.api_version.clone());
            if known.as_ref() == Some(&served.api_version) {
                continue;
            }
            let refused = partly.get(&kind).cloned();
            if refused.is_some() {
                let _ = shared.say(Event::Refused { kind, refused: refused.clone() });
            }
            let places = match refused {
                Some(_) => served.inside_each(&target.namespaces),
                None => vec![served],
            };
            for (served, query) in places.iter().flat_map(|p| queries(p).into_iter().map(move |q| (p, q))) {
                shared.reading.borrow_mut().insert(count);
                followers.push(Follower::new(&shared, count, served.clone(), query, refused.clone()).run());
                count += 1;
            }
        }
        let now: BTreeSet<String> = found.refused.iter().map(|refused| refused.group.clone()).collect();
        let whole = |group: String| KindName { group, kind: String::new() };
        // A listener that is gone is noticed by the followers.
        for refused in found.refused {
            let _ = shared.say(Event::Refused { kind: whole(refused.group.clone()), refused: Some(refused) });
        }
        for group in away.difference(&now) {
            let _ = shared.say(Event::Refused { kind: whole(group.clone()), refused: None });
        }
        away = now;
    };
    add(found, &mut followers);
    loop {
        let look = async {
            tokio::time::sleep(LATER).await;
            let client = shared.client.borrow().clone();
            find(&client, wanted, &target.namespaces).await
        };
        // Without any follower there is nothing to wait for but new kinds.
        let next = async { if followers.is_empty() { pending().await } else { followers.next().await } };
        match select(pin!(next), pin!(look)).await {
            Either::Left(_) if shared.say(Event::Tick).is_err() => return Ok(()),
            Either::Right((Ok(found), _)) => add(found, &mut followers),
            // A server that does not answer is noticed by who follows a kind.
            Either::Left(_) | Either::Right((Err(_), _)) => {}
        }
    }
}

/// Kinds that may be read in some namespaces alone, with what is said of them.
type Partly = BTreeMap<KindName, Refused>;

/// What is served, and what of it may not be listed everywhere. Where no namespaces were named,
/// whoever follows a kind finds out.
async fn find(
    client: &Client,
    wanted: &[WantedKind],
    namespaces: &[String],
) -> Result<(Found, Partly), Error> {
    let found = discover(client, wanted).await?;
    let mut partly = Partly::new();
    let named = found.served.iter().filter(|served| served.namespaced && !namespaces.is_empty());
    for served in named {
        let query = queries(served).into_iter().next().unwrap_or_default();
        if let Some(error) = list::is_forbidden(client, served, &query).await {
            let refused = list::refused(served, "list", &error).only_in(namespaces.to_vec());
            partly.insert(kind_of(served), refused);
        }
    }
    Ok((found, partly))
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
    /// Whether it was said that the kind cannot be read.
    refused: Cell<bool>,
    /// Answers of the server in a row that say it cannot answer now.
    unanswered: Cell<u32>,
    /// What is said of the kind as long as it can be read: that this is not all of it.
    partly: Option<Refused>,
}

/// How a watch ended.
enum Ended {
    /// As watches do; it goes on from the version.
    Normally,
    /// The version is too old, or the list must be read again for another reason.
    Stale,
    /// The server does not answer, or refuses.
    Failed(Error),
}

impl<'a> Follower<'a> {
    fn new(
        shared: &'a Shared<'a>,
        number: usize,
        served: Served,
        query: String,
        partly: Option<Refused>,
    ) -> Follower<'a> {
        let (refused, unanswered) = (Cell::default(), Cell::default());
        Follower { shared, number, served, query, refused, unanswered, partly }
    }

    async fn run(self) -> Over {
        let mut version = None;
        let mut wait = SHORTEST;
        loop {
            let (seen, begun) = (self.shared.renewed.get(), Instant::now());
            match self.step(&mut version).await {
                Err(Over) => return Over,
                // Whoever ends watches at once is not asked again at once.
                Ok(Ended::Normally | Ended::Stale) if begun.elapsed() < SHORTEST => {
                    tokio::time::sleep(SHORTEST).await;
                }
                Ok(Ended::Normally | Ended::Stale) => wait = SHORTEST,
                Ok(Ended::Failed(error)) => {
                    let longest = match self.failed(&error, &mut version) {
                        Err(Over) => return Over,
                        Ok(longest) => longest,
                    };
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(longest);
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

    /// What a failure means: the server is waited for, or the kind alone cannot be read and is asked
    /// for again after a while. The longest wait is returned.
    fn failed(&self, error: &Error, version: &mut Option<String>) -> Result<Duration, Over> {
        if ends(error) {
            self.shared.lost(self.number, error)?;
            return Ok(LONGEST);
        }
        self.shared.back(self.number)?;
        if list::is_passing(error) && self.unanswered.get() < FEW {
            self.unanswered.set(self.unanswered.get() + 1);
            return Ok(LONGEST);
        }
        let verb = if version.is_some() { "watch" } else { "list" };
        if status(error) == 404 {
            // A kind that is no longer served has no objects.
            self.whole(Vec::new())?;
            self.readable()?;
        } else {
            self.refused.set(true);
            let refused = Some(list::refused(&self.served, verb, error));
            self.shared.say(Event::Refused { kind: kind_of(&self.served), refused })?;
        }
        if !list::is_passing(error) {
            *version = None;
        }
        self.shared.read(self.number)?;
        Ok(LATER)
    }

    /// The kind can be read.
    fn readable(&self) -> Result<(), Over> {
        self.unanswered.set(0);
        if self.refused.replace(false) {
            self.shared.say(Event::Refused { kind: kind_of(&self.served), refused: self.partly.clone() })?;
        }
        Ok(())
    }

    fn whole(&self, documents: Vec<crate::model::Document>) -> Result<(), Over> {
        let name = self.query.rsplit_once("%3D").map(|(_, name)| name.to_owned());
        let namespace = self.served.inside.clone();
        self.shared.say(Event::Whole { kind: kind_of(&self.served), name, namespace, documents })
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
        self.readable()?;
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
