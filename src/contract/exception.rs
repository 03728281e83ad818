//! Exceptions: what is known to be wrong and stays so for a while, why, and who said so.

use super::{Date, Pattern};
use crate::model::{Origin, TrafficSet};

/// Findings that somebody answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Name of the check.
    pub check: String,
    /// Which of its findings.
    pub about: About,
    /// Only findings about this traffic and no other; `None` for all.
    pub ports: Option<TrafficSet>,
    /// The reason.
    pub why: String,
    /// Who agreed.
    pub approved_by: String,
    /// Where it is written down; may be empty.
    pub ticket: String,
    /// The last day on which it holds.
    pub expires: Date,
    /// Where it stands.
    pub origin: Origin,
}

/// Which findings an exception is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Those whose subject fits.
    Subject(Pattern),
    /// Those about connections between two ends: segments by name, workloads by pattern. An end
    /// that is not given fits everything.
    Ends {
        /// Who opens the connection.
        from: Option<Pattern>,
        /// Who is called; the subject where a finding has only one.
        to: Option<Pattern>,
    },
}

impl Exception {
    /// Whether its last day has passed.
    pub fn is_expired(&self, today: Date) -> bool {
        self.expires < today
    }

    /// What it is about, for people: `subject` or `from -> to`.
    pub fn words(&self) -> String {
        let end = |pattern: &Option<Pattern>| pattern.as_ref().map_or("*", Pattern::text).to_owned();
        let about = match &self.about {
            About::Subject(pattern) => pattern.text().to_owned(),
            About::Ends { from, to } => format!("{} -> {}", end(from), end(to)),
        };
        match &self.ports {
            Some(ports) => format!("{about} {ports}"),
            None => about,
        }
    }

    /// Whether it is about a finding with this subject and traffic; traffic that is empty is not
    /// known, and no exception for some ports covers it.
    ///
    /// `in_segment` says whether a name in a subject is, or is of, the segment that a pattern names.
    pub fn covers(
        &self,
        subject: &str,
        traffic: &TrafficSet,
        in_segment: &dyn Fn(&str, &str) -> bool,
    ) -> bool {
        let ports_fit = self
            .ports
            .as_ref()
            .is_none_or(|ports| !traffic.is_empty() && traffic.difference(ports).is_empty());
        ports_fit && self.fits(subject, in_segment)
    }

    /// Whether it is about a subject, whatever the traffic.
    pub fn fits(&self, subject: &str, in_segment: &dyn Fn(&str, &str) -> bool) -> bool {
        let end = |pattern: &Option<Pattern>, name: &str| {
            pattern.as_ref().is_none_or(|p| fits_name(p, name) || in_segment(name, p.text()))
        };
        match (&self.about, subject.split_once(" -> ")) {
            (About::Subject(pattern), _) => fits_name(pattern, subject),
            (About::Ends { from, to }, Some((initiator, responder))) => {
                end(from, initiator) && end(to, responder)
            }
            (About::Ends { from: None, to }, None) => end(to, subject),
            (About::Ends { from: Some(_), .. }, None) => false,
        }
    }
}

/// `namespace/Kind/name` may be written without its kind.
fn fits_name(pattern: &Pattern, name: &str) -> bool {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [namespace, kind, own] if !name.contains(" -> ") => pattern.matches_workload(namespace, kind, own),
        _ => pattern.matches(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PortSet, Protocol};

    fn exception(about: About, ports: Option<TrafficSet>) -> Exception {
        let none = crate::model::Text::default();
        let origin = Origin {
            file: "".into(),
            document: 1,
            line: 1,
            column: 0,
            kind: none.clone(),
            namespace: none.clone(),
            name: none.clone(),
            rule: none,
        };
        let text = String::new;
        let expires = Date::parse("2027-01-31").expect("a day");
        Exception {
            check: text(),
            about,
            ports,
            why: text(),
            approved_by: text(),
            ticket: text(),
            expires,
            origin,
        }
    }

    #[test]
    fn an_exception_for_a_port_does_not_cover_more_than_that_port() {
        let about = About::Ends { from: Some(Pattern::new("shop/web")), to: None };
        let one = exception(about, Some(TrafficSet::port(Protocol::Tcp, 5432)));
        let covers = |traffic| one.covers("shop/Deployment/web -> data/Pod/db", &traffic, &|_, _| false);
        assert!(covers(TrafficSet::port(Protocol::Tcp, 5432)));
        assert!(!covers(TrafficSet::of(Protocol::Tcp, PortSet::range(5432, 5433))));
        assert!(!covers(TrafficSet::none()), "traffic that is not known may be more");
    }

    #[test]
    fn an_end_is_a_segment_or_a_workload() {
        let about = About::Ends { from: Some(Pattern::new("web")), to: Some(Pattern::new("data/*")) };
        let one = exception(about, None);
        let of_web = |name: &str, segment: &str| segment == "web" && name == "shop/Pod/a";
        assert!(one.covers("shop/Pod/a -> data/Pod/db", &TrafficSet::none(), &of_web));
        assert!(!one.covers("shop/Pod/b -> data/Pod/db", &TrafficSet::none(), &of_web));
        assert!(!one.covers("data/Pod/db", &TrafficSet::none(), &of_web), "an initiator is asked for");
    }

    #[test]
    fn the_last_day_still_counts() {
        let one = exception(About::Subject(Pattern::new("*")), None);
        let day = |text| Date::parse(text).expect("a day");
        assert!(!one.is_expired(day("2027-01-31")) && one.is_expired(day("2027-02-01")));
    }
}
