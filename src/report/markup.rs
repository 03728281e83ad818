//! What XML and HTML have alike: text in which nothing is markup.

use std::borrow::Cow;

/// Text as it may stand in an element or in a quoted attribute. Characters that XML 1.0 §2.2 has no
/// place for become the one that stands for what cannot be shown.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'') && is_shown(c);
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other if is_shown(other) => escaped.push(other),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(escaped)
}

fn is_shown(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}')
        || matches!(character, '\u{e000}'..='\u{fffd}' | '\u{1_0000}'..='\u{10_ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escape("shop/web -> data/db"), "shop/web -&gt; data/db");
        assert_eq!(escape("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
        assert_eq!(escape("bell\u{7} null\0 \u{fffe}"), "bell\u{fffd} null\u{fffd} \u{fffd}");
        assert!(matches!(escape("plain\n"), Cow::Borrowed(_)));
    }
}
