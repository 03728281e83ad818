//! What labels a selector sees: own ones, those of the namespace, those of the service account.
//!
//! Calico rewrites selectors to labels of its own (`pcns.`, `pcsa.`, `projectcalico.org/…`); here
//! they become facts (`model::fact`), which nothing that a user writes on a pod can stand for.

use super::super::{Namespaces, Population, Selection};
use super::selector::Expr;
use crate::model::{Pattern, Requirement, Selector, fact};

/// Label with the name of the namespace.
pub const NAMESPACE: &str = "projectcalico.org/namespace";
/// Label with the name of the service account.
pub const SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";
/// Label that pods have, with the value `k8s`.
const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";
/// What namespaces and service accounts are called in selectors on their labels.
const NAME: &str = "projectcalico.org/name";
/// What begins the label that an endpoint inherits from its namespace.
pub const OF_NAMESPACE: &str = "pcns.";
/// What begins the label that an endpoint inherits from its service account.
pub const OF_ACCOUNT: &str = "pcsa.";

/// Whose labels a selector is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The endpoint's own.
    Endpoint,
    /// Those of its namespace.
    Namespace,
    /// Those of its service account.
    Account,
}

/// What `all()` means in a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum All {
    /// Everything.
    Everything,
    /// Whatever is in a namespace.
    InNamespace,
    /// Whatever has a service account.
    HasAccount,
}

/// Translates an expression.
pub fn lower(expr: &Expr, scope: Scope, all: All) -> Selector {
    let many = |parts: &[Expr]| parts.iter().map(|part| lower(part, scope, all)).collect::<Vec<_>>();
    match expr {
        Expr::All => match all {
            All::Everything => Selector::everything(),
            All::InNamespace => exists(fact::NAMESPACE),
            All::HasAccount => exists(fact::SERVICE_ACCOUNT),
        },
        Expr::Global => one(Requirement::DoesNotExist(fact::NAMESPACE.to_owned())),
        Expr::Not(inner) => lower(inner, scope, all).negated(),
        Expr::And(parts) => many(parts).into_iter().fold(Selector::everything(), Selector::and),
        Expr::Or(parts) => Selector::any_of(many(parts)),
        Expr::Has(label) => match key(label, scope) {
            Key::Label(key) => exists(&key),
            Key::IsPod => pod(true, false),
        },
        Expr::In(label, values) => match key(label, scope) {
            Key::Label(key) => one(Requirement::In(key, values.clone())),
            Key::IsPod => pod(values.iter().any(|value| value == "k8s"), false),
        },
        Expr::NotIn(label, values) => match key(label, scope) {
            Key::Label(key) => one(Requirement::NotIn(key, values.clone())),
            Key::IsPod => pod(!values.iter().any(|value| value == "k8s"), true),
        },
        Expr::Contains(label, text) => fits(label, scope, Pattern::Contains(text.clone())),
        Expr::StartsWith(label, text) => fits(label, scope, Pattern::StartsWith(text.clone())),
        Expr::EndsWith(label, text) => fits(label, scope, Pattern::EndsWith(text.clone())),
    }
}

/// The pods that a selector means, of one namespace or of all. What it asks of namespaces becomes
/// the selection's, and that a pod has a namespace and a service account goes without saying.
pub fn pods(namespace: Option<&str>, selector: &Selector) -> Selection {
    let (mut name, mut of_namespaces, mut rest) = (namespace.map(str::to_owned), Vec::new(), Vec::new());
    for requirement in &selector.requirements {
        match requirement {
            Requirement::Exists(key) if key == fact::NAMESPACE || key == fact::SERVICE_ACCOUNT => {}
            Requirement::In(key, values) if key == fact::NAMESPACE && values.len() == 1 && name.is_none() => {
                name = values.first().cloned();
            }
            other if is_about_namespaces(other) => of_namespaces.push(other),
            other => rest.push(other.clone()),
        }
    }
    let namespaces = match name {
        Some(name) => {
            rest.extend(of_namespaces.into_iter().cloned());
            rest.sort();
            Namespaces::Named(name)
        }
        None => Namespaces::Matching(Selector {
            requirements: of_namespaces.into_iter().map(unprefixed).collect(),
        }),
    };
    Selection::pods(namespaces, Selector { requirements: rest })
}

/// A selector on labels of namespaces, as one on what is in them.
pub fn of_namespaces(selector: &Selector) -> Selector {
    if selector.requirements.is_empty() {
        return exists(fact::NAMESPACE);
    }
    Selector { requirements: selector.requirements.iter().map(|one| renamed(one, &prefixed)).collect() }
}

fn prefixed(key: &str) -> String {
    format!("{}{key}", fact::NAMESPACE_LABEL)
}

/// The host endpoints that a selector means; none where it asks for a namespace.
pub fn host_endpoints(selector: &Selector) -> Option<Selection> {
    let needs_pod = |requirement: &Requirement| match requirement {
        Requirement::Exists(key) | Requirement::In(key, _) => {
            key == fact::NAMESPACE || key == fact::SERVICE_ACCOUNT
        }
        _ => false,
    };
    let selection = || Selection {
        population: Population::HostEndpoints,
        namespaces: Namespaces::any(),
        endpoints: selector.clone(),
    };
    (!selector.requirements.iter().any(needs_pod)).then(selection)
}

fn is_about_namespaces(requirement: &Requirement) -> bool {
    let (mut any, mut all) = (false, true);
    let one = Selector { requirements: vec![requirement.clone()] };
    one.for_each_key(&mut |key| {
        any = true;
        all &= key.starts_with(fact::NAMESPACE_LABEL);
    });
    any && all
}

/// The same on the labels of a namespace itself.
fn unprefixed(requirement: &Requirement) -> Requirement {
    renamed(requirement, &|key| key.strip_prefix(fact::NAMESPACE_LABEL).unwrap_or(key).to_owned())
}

/// The same on keys of other names.
fn renamed(requirement: &Requirement, name: &dyn Fn(&str) -> String) -> Requirement {
    let inside = |selector: &Selector| Selector {
        requirements: selector.requirements.iter().map(|one| renamed(one, name)).collect(),
    };
    match requirement {
        Requirement::In(key, values) => Requirement::In(name(key), values.clone()),
        Requirement::NotIn(key, values) => Requirement::NotIn(name(key), values.clone()),
        Requirement::Exists(key) => Requirement::Exists(name(key)),
        Requirement::DoesNotExist(key) => Requirement::DoesNotExist(name(key)),
        Requirement::Fits(key, pattern) => Requirement::Fits(name(key), pattern.clone()),
        Requirement::AnyOf(choices) => Requirement::AnyOf(choices.iter().map(inside).collect()),
        Requirement::Not(selector) => Requirement::Not(Box::new(inside(selector))),
    }
}

fn fits(label: &str, scope: Scope, pattern: Pattern) -> Selector {
    match key(label, scope) {
        Key::IsPod => pod(pattern.fits("k8s"), false),
        Key::Label(key) => one(Requirement::Fits(key, pattern)),
    }
}

/// What a label is in our terms.
enum Key {
    /// A label or fact.
    Label(String),
    /// The orchestrator: `k8s` on every pod, absent from everything else.
    IsPod,
}

fn key(label: &str, scope: Scope) -> Key {
    let named = |rest: &str, name: &str, prefix: &str| match rest {
        NAME => Key::Label(name.to_owned()),
        _ => Key::Label(format!("{prefix}{rest}")),
    };
    match scope {
        Scope::Namespace => return named(label, fact::NAMESPACE, fact::NAMESPACE_LABEL),
        Scope::Account => return named(label, fact::SERVICE_ACCOUNT, fact::ACCOUNT_LABEL),
        Scope::Endpoint => {}
    }
    if let Some(rest) = label.strip_prefix(OF_NAMESPACE) {
        return named(rest, fact::NAMESPACE, fact::NAMESPACE_LABEL);
    }
    if let Some(rest) = label.strip_prefix(OF_ACCOUNT) {
        return named(rest, fact::SERVICE_ACCOUNT, fact::ACCOUNT_LABEL);
    }
    match label {
        NAMESPACE => Key::Label(fact::NAMESPACE.to_owned()),
        SERVICE_ACCOUNT => Key::Label(fact::SERVICE_ACCOUNT.to_owned()),
        ORCHESTRATOR => Key::IsPod,
        own => Key::Label(own.to_owned()),
    }
}

fn one(requirement: Requirement) -> Selector {
    Selector { requirements: vec![requirement] }
}

fn exists(key: &str) -> Selector {
    one(Requirement::Exists(key.to_owned()))
}

/// What holds for pods and for others; only pods have a service account.
fn pod(for_pods: bool, for_others: bool) -> Selector {
    match (for_pods, for_others) {
        (true, true) => Selector::everything(),
        (true, false) => exists(fact::SERVICE_ACCOUNT),
        (false, true) => one(Requirement::DoesNotExist(fact::SERVICE_ACCOUNT.to_owned())),
        (false, false) => Selector::nothing(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::selector::parse;
    use super::*;
    use crate::model::Labels;

    fn matches(text: &str, scope: Scope, all: All, labels: &[(&str, &str)]) -> bool {
        let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        lower(&parse(text).expect(text), scope, all).matches(&labels)
    }

    #[test]
    fn operators_on_present_and_absent_keys() {
        // operator, on 'prod', on another value, where the key is absent
        let table = [
            ("e == 'prod'", true, false, false),
            ("e != 'prod'", false, true, true),
            ("e in {'prod','x'}", true, false, false),
            ("e not in {'prod'}", false, true, true),
            ("e in {}", false, false, false),
            ("e not in {}", true, true, true),
            ("e contains 'ro'", true, false, false),
            ("e starts with 'pr'", true, false, false),
            ("e ends with 'od'", true, false, false),
            ("e contains ''", true, true, false),
            ("has(e)", true, true, false),
            ("!has(e)", false, false, true),
            ("all()", true, true, true),
        ];
        for (text, equal, other, absent) in table {
            let on = |labels: &[(&str, &str)]| matches(text, Scope::Endpoint, All::Everything, labels);
            assert_eq!(
                (on(&[("e", "prod")]), on(&[("e", "dev")]), on(&[])),
                (equal, other, absent),
                "{text}"
            );
        }
    }

    #[test]
    fn a_typed_prefix_is_not_a_label_of_the_namespace() {
        let spoofed = [("pcns.env", "prod")];
        assert!(!matches("pcns.env == 'prod'", Scope::Endpoint, All::Everything, &spoofed));
        assert!(!matches("env == 'prod'", Scope::Namespace, All::Everything, &spoofed));
        let real = [("@ns:env", "prod")];
        assert!(matches("pcns.env == 'prod'", Scope::Endpoint, All::Everything, &real));
        assert!(matches("env == 'prod'", Scope::Namespace, All::Everything, &real));
    }

    #[test]
    fn names_of_namespaces_and_accounts_are_labels() {
        let pod = [("@namespace", "x"), ("@serviceaccount", "s")];
        for (text, scope) in [
            ("projectcalico.org/name == 'x'", Scope::Namespace),
            ("projectcalico.org/name == 's'", Scope::Account),
            ("projectcalico.org/namespace == 'x'", Scope::Endpoint),
            ("projectcalico.org/serviceaccount == 's'", Scope::Endpoint),
            ("projectcalico.org/orchestrator == 'k8s'", Scope::Endpoint),
        ] {
            assert!(matches(text, scope, All::Everything, &pod), "{text}");
            assert!(!matches(text, scope, All::Everything, &[]), "{text}");
        }
        assert!(matches("projectcalico.org/orchestrator != 'k8s'", Scope::Endpoint, All::Everything, &[]));
    }

    #[test]
    fn what_is_asked_of_namespaces_becomes_the_selections() {
        let lowered = |text| lower(&parse(text).expect(text), Scope::Namespace, All::InNamespace);
        let named = pods(None, &lowered("projectcalico.org/name == 'y'"));
        assert_eq!(named, Selection::pods(Namespaces::Named("y".to_owned()), Selector::everything()));
        let labelled = pods(None, &lowered("team == 'a' || !has(team)"));
        let choices = vec![Selector::equals("team", "a"), exists("team").negated()];
        let team = Namespaces::Matching(Selector::any_of(choices));
        assert_eq!(labelled, Selection::pods(team, Selector::everything()));
        assert_eq!(pods(None, &lowered("all()")), Selection::all_pods());
        assert!(host_endpoints(&lowered("all()")).is_none());
        assert!(host_endpoints(&lowered("global()")).is_some());
    }

    #[test]
    fn all_and_global_speak_of_namespaces() {
        let pod = [("@namespace", "x")];
        assert!(matches("all()", Scope::Namespace, All::InNamespace, &pod));
        assert!(!matches("all()", Scope::Namespace, All::InNamespace, &[]));
        assert!(matches("global()", Scope::Namespace, All::InNamespace, &[]));
        assert!(matches("global() || all()", Scope::Namespace, All::InNamespace, &pod));
        assert!(!matches("global() && all()", Scope::Namespace, All::InNamespace, &pod));
    }
}
