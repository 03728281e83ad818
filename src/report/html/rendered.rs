//! Markdown as HTML: what is written for pull requests, and the pages of checks. Markup inside of it
//! is shown and not obeyed, for names out of manifests stand in it; links lead to `https` alone.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use std::io::{self, Write};

/// What is written as Markdown, for a browser.
///
/// # Errors
/// Those of the writer.
pub(super) fn write(
    markdown: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut text = Vec::new();
    markdown(&mut text)?;
    out.write_all(rendered(&String::from_utf8_lossy(&text)).as_bytes())
}

/// Markdown as HTML.
pub(super) fn rendered(markdown: &str) -> String {
    let mut links = Vec::new();
    let safe = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { dest_url, .. }) => {
            let kept = dest_url.starts_with("https://");
            links.push(kept);
            kept.then(|| Event::InlineHtml(format!("<a href=\"{}\">", attribute(&dest_url)).into()))
        }
        Event::End(TagEnd::Link) => {
            links.pop().is_some_and(|kept| kept).then_some(Event::InlineHtml(CowStr::Borrowed("</a>")))
        }
        Event::Start(Tag::Image { .. } | Tag::HtmlBlock) | Event::End(TagEnd::Image | TagEnd::HtmlBlock) => {
            None
        }
        other => Some(other),
    });
    let mut page = String::new();
    html::push_html(&mut page, safe);
    page
}

fn attribute(text: &str) -> String {
    crate::report::markup::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_shown_and_not_obeyed() {
        let page =
            rendered("a <script>alert(1)</script> [b](javascript:alert(1)) ![c](https://x.example/c.png)");
        assert!(
            !page.contains("<script") && !page.contains("javascript") && !page.contains("<img"),
            "{page}"
        );
        assert!(page.contains("&lt;script&gt;alert(1)") && page.contains(" b "), "{page}");
        let block = rendered("<iframe src=\"https://x.example\">\n\n| a |\n|---|\n| `<b>` |");
        assert!(!block.contains("<iframe") && block.contains("<td><code>&lt;b&gt;</code></td>"), "{block}");
        assert!(
            rendered("[a](https://x.example/?a=1&b=\"2\")")
                .contains("<a href=\"https://x.example/?a=1&amp;b=")
        );
    }
}
