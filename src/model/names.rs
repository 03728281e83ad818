//! What the API server takes for names of objects, labels and ports (`k8s.io/apimachinery`, validation).
//!
//! Where such names stand, and what becomes of an object with a bad one, is decided where it is read.

use std::borrow::Cow;

/// Text as a report may show it inside of a line: one of several lines would look like lines of the report.
pub fn one_line(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, "\u{fffd}").into(),
        false => text.into(),
    }
}

/// `1 packet`, `3 packets`: a count with the word for one and for more.
pub fn counted(count: usize, [one, more]: [&str; 2]) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Whether text is a label key: an optional DNS prefix, then a name of at most 63 characters
/// (`IsQualifiedName`).
pub fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_subdomain)
}

/// Whether text is a label value: empty, or at most 63 of `A-Z a-z 0-9 - _ .` with an
/// alphanumeric character at both ends (`IsValidLabelValue`).
pub fn is_label_value(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    value.len() <= 63 && value.bytes().all(inner) && ends_are(value, |b| b.is_ascii_alphanumeric())
}

/// Whether text is a DNS subdomain of at most 253 characters (`IsDNS1123Subdomain`).
pub fn is_subdomain(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| letter(b) || b == b'-') && ends_are(part, letter)
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// Whether text is a port name, the letters in lower case (`IsValidPortName`): at most 15 letters,
/// digits and single hyphens, one letter at least.
pub fn is_port_name(name: &str) -> bool {
    is_port_name_in_any_case(name) && !name.bytes().any(|b| b.is_ascii_uppercase())
}

/// The same, capitals too.
pub fn is_port_name_in_any_case(name: &str) -> bool {
    name.len() <= 15
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && name.bytes().any(|b| b.is_ascii_alphabetic())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

fn ends_are(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_none_or(|b| fits(*b)) && bytes.last().is_none_or(|b| fits(*b))
}
