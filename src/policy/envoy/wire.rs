//! Reading what is common to all parts of Envoy's configuration: typed extensions, texts that are
//! matched, numbers and addresses. Fields have the names of the protocol files (`source/envoy.rs`).

use crate::model::{Condition, Node, Value};

/// An extension: the end of its type's name (`tls.v3.DownstreamTlsContext`) and its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a> {
    /// The type as written behind the last slash, or the name where no type is given.
    pub kind: &'a str,
    /// The configuration.
    pub body: &'a Node,
}

impl Typed<'_> {
    /// Whether the type's name ends so.
    pub fn is(&self, ending: &str) -> bool {
        self.kind.ends_with(ending)
    }
}

/// The configuration of an extension that stands in `typed_config`; a `TypedStruct` is opened.
pub fn typed(node: &Node) -> Typed<'_> {
    match node.get("typed_config") {
        Some(config) => any(config),
        None => Typed { kind: node.text_of("name").unwrap_or_default(), body: node },
    }
}

/// A `google.protobuf.Any` in its JSON form.
pub fn any(config: &Node) -> Typed<'_> {
    let kind = last(config.text_of("@type").unwrap_or_default());
    match (kind.ends_with(".TypedStruct"), config.text_of("type_url")) {
        (true, Some(url)) => Typed { kind: last(url), body: config.get("value").unwrap_or(config) },
        _ => Typed { kind, body: config },
    }
}

fn last(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// Whether something is written in a field.
pub fn has(node: &Node, field: &str) -> bool {
    node.get(field).is_some_and(|value| !value.is_null())
}

/// A truth that is written, plainly or wrapped.
pub fn truth(node: &Node, field: &str) -> bool {
    let Some(value) = node.get(field) else { return false };
    value.bool().or_else(|| value.get("value").and_then(Node::bool)) == Some(true)
}

/// A port.
pub fn port(node: Option<&Node>) -> Option<u16> {
    node.and_then(Node::int).and_then(|number| u16::try_from(number).ok())
}

/// `type.matcher.v3.StringMatcher`, and the older forms of the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    how: How,
    text: String,
    ignore_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Exact,
    Prefix,
    Suffix,
    Contains,
    Regex,
}

const FORMS: &[(&str, How)] = &[
    ("exact", How::Exact),
    ("prefix", How::Prefix),
    ("suffix", How::Suffix),
    ("contains", How::Contains),
    ("exact_match", How::Exact),
    ("prefix_match", How::Prefix),
    ("suffix_match", How::Suffix),
    ("contains_match", How::Contains),
];

impl Text {
    /// Reads a matcher; `None` where it is of another form.
    pub fn read(node: &Node) -> Option<Text> {
        let ignore_case = truth(node, "ignore_case");
        let plain = FORMS.iter().find_map(|(field, how)| Some((*how, scalar(node.get(field)?)?)));
        let regex =
            ["safe_regex", "safe_regex_match"].iter().find_map(|field| node.get(field)?.text_of("regex"));
        let (how, text) = plain.or_else(|| Some((How::Regex, regex?.to_owned())))?;
        Some(Text { how, text, ignore_case })
    }

    /// The whole text where only that one matches.
    pub fn exact(&self) -> Option<&str> {
        (self.how == How::Exact && !self.ignore_case).then_some(self.text.as_str())
    }

    /// What every matching text begins with, where that is all that is asked.
    pub fn prefix(&self) -> Option<&str> {
        (self.how == How::Prefix && !self.ignore_case).then_some(self.text.as_str())
    }

    /// The regular expression, which has to match the whole text.
    pub fn regex(&self) -> Option<&str> {
        (self.how == How::Regex).then_some(self.text.as_str())
    }

    /// Whether a text matches; `None` where nobody can say, because the expression cannot be read.
    pub fn matches(&self, text: &str) -> Option<bool> {
        let fold = |text: &str| if self.ignore_case { text.to_lowercase() } else { text.to_owned() };
        let (own, text) = (fold(&self.text), fold(text));
        Some(match self.how {
            How::Exact => text == own,
            How::Prefix => text.starts_with(&own),
            How::Suffix => text.ends_with(&own),
            How::Contains => text.contains(&own),
            How::Regex => regex_lite::Regex::new(&format!("^(?:{})$", self.text)).ok()?.is_match(&text),
        })
    }

    /// As conditions write it: `abc`, `abc*`, `*abc`, `*abc*`, `~abc`.
    pub fn words(&self) -> String {
        match self.how {
            How::Exact => self.text.clone(),
            How::Prefix => format!("{}*", self.text),
            How::Suffix => format!("*{}", self.text),
            How::Contains => format!("*{}*", self.text),
            How::Regex => format!("~{}", self.text),
        }
    }
}

fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// `config.route.v3.HeaderMatcher` as a condition on requests.
pub fn header(node: &Node) -> Condition {
    let name = node.text_of("name").unwrap_or_default();
    let text = Text::read(node.get("string_match").unwrap_or(node));
    let inverted = truth(node, "invert_match");
    match (name.to_ascii_lowercase().as_str(), text, inverted) {
        (":method", Some(text), false) => Condition::Methods(vec![text.words()]),
        (":path", Some(text), false) => Condition::Paths(vec![text.words()]),
        (":authority" | "host", Some(text), false) => Condition::Hosts(vec![text.words()]),
        (_, Some(text), true) => Condition::Other(format!("header {name} other than {}", text.words())),
        (_, Some(text), false) => Condition::Other(format!("header {name} {}", text.words())),
        (_, None, _) => Condition::Other(format!("header {name}")),
    }
}

/// `config.core.v3.CidrRange`.
pub fn block(node: &Node) -> Option<crate::model::AddressRange> {
    let address = node.text_of("address_prefix")?;
    let whole = if address.contains(':') { 128 } else { 32 };
    let length = node
        .get("prefix_len")
        .map_or(Some(0), |length| length.int().or_else(|| length.get("value").and_then(Node::int)))?;
    crate::model::AddressRange::from_cidr(&format!("{address}/{}", length.min(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(how: How, text: &str) -> Text {
        Text { how, text: text.to_owned(), ignore_case: false }
    }

    #[test]
    fn expressions_match_the_whole_text_and_broken_ones_are_not_decided() {
        assert_eq!(text(How::Regex, ".*/ns/a/.*").matches("spiffe://t/ns/a/sa/b"), Some(true));
        assert_eq!(text(How::Regex, "ns/a").matches("spiffe://t/ns/a/sa/b"), Some(false));
        assert_eq!(text(How::Regex, "(").matches("a"), None);
        assert_eq!(text(How::Suffix, "/b").matches("a/b"), Some(true));
        assert_eq!(Text { ignore_case: true, ..text(How::Exact, "AB") }.matches("ab"), Some(true));
    }
}
