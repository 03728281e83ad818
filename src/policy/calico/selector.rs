//! The selector language of Calico: text → expression, with the column of what is wrong.
//!
//! Grammar and lexical rules are those of `libcalico-go/lib/selector`; what labels a selector
//! sees is left to `scope`.

use std::fmt;

/// A parsed selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// `all()`, and the empty selector.
    All,
    /// `global()`.
    Global,
    /// `has(label)`.
    Has(String),
    /// `label == 'value'`, and `label in { … }`.
    In(String, Vec<String>),
    /// `label != 'value'`, and `label not in { … }`.
    NotIn(String, Vec<String>),
    /// `label contains 'text'`.
    Contains(String, String),
    /// `label starts with 'text'`.
    StartsWith(String, String),
    /// `label ends with 'text'`.
    EndsWith(String, String),
    /// `!…`.
    Not(Box<Expr>),
    /// `… && …`.
    And(Vec<Expr>),
    /// `… || …`.
    Or(Vec<Expr>),
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Which character of the selector, from 1.
    pub column: usize,
    /// What was expected there.
    pub expected: &'static str,
    /// What stands there, shortened; empty at the end.
    pub found: String,
}

/// Longest label key (`[A-Za-z0-9_./-]`).
const LONGEST_LABEL: usize = 512;
/// Deeper nesting than this is refused; a selector of 1024 characters rarely reaches it.
const DEEPEST: usize = 300;
/// How much of the offending text an error shows.
const SHOWN: usize = 24;

/// Reads a selector.
///
/// # Errors
/// The first place that the grammar does not allow.
pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.blanks();
    if parser.rest().is_empty() {
        return Ok(Expr::All);
    }
    let expr = parser.or()?;
    match parser.rest().is_empty() {
        true => Ok(expr),
        false => Err(parser.error("&&, || or the end")),
    }
}

impl Expr {
    /// Whether `test` holds for this expression or for one inside.
    pub fn any(&self, test: &impl Fn(&Expr) -> bool) -> bool {
        let inside = match self {
            Expr::Not(inner) => inner.any(test),
            Expr::And(parts) | Expr::Or(parts) => parts.iter().any(|part| part.any(test)),
            _ => false,
        };
        inside || test(self)
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyntaxError { column, expected, found } = self;
        match found.is_empty() {
            true => write!(f, "character {column}: expected {expected}, but the selector ends"),
            false => write!(f, "character {column}: expected {expected} at {found:?}"),
        }
    }
}

/// A place in the text; blanks behind each token are skipped.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, expected: &'static str) -> SyntaxError {
        let column = self.text[..self.at].chars().count() + 1;
        SyntaxError { column, expected, found: self.rest().chars().take(SHOWN).collect() }
    }

    /// Only the blank and the tab are white space; a line break is an error.
    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    fn take(&mut self, token: &str) -> bool {
        if !self.rest().starts_with(token) {
            return false;
        }
        self.at += token.len();
        self.blanks();
        true
    }

    fn need(&mut self, token: &str, expected: &'static str) -> Result<(), SyntaxError> {
        match self.take(token) {
            true => Ok(()),
            false => Err(self.error(expected)),
        }
    }

    fn or(&mut self) -> Result<Expr, SyntaxError> {
        let mut parts = vec![self.and()?];
        while self.take("||") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, SyntaxError> {
        let mut parts = vec![self.operation()?];
        while self.take("&&") {
            parts.push(self.operation()?);
        }
        Ok(one_or(parts, Expr::And))
    }

    /// Any number of `!` before a primary; they negate the whole of it.
    fn operation(&mut self) -> Result<Expr, SyntaxError> {
        let mut negated = false;
        while self.take("!") {
            negated = !negated;
        }
        let primary = self.primary()?;
        Ok(if negated { Expr::Not(Box::new(primary)) } else { primary })
    }

    fn primary(&mut self) -> Result<Expr, SyntaxError> {
        if self.take("(") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(self.error("fewer nested parentheses"));
            }
            let inner = self.or()?;
            self.depth -= 1;
            self.need(")", "&&, || or )")?;
            return Ok(inner);
        }
        // A function is one token with its parenthesis; blanks may only follow.
        if self.take("all(") {
            return self.need(")", ") right after all(").map(|()| Expr::All);
        }
        if self.take("global(") {
            return self.need(")", ") right after global(").map(|()| Expr::Global);
        }
        if self.take("has(") {
            let label = self.label("a label inside has(…)")?;
            self.blanks();
            return self.need(")", ") after the label").map(|()| Expr::Has(label));
        }
        let label = self.label("a label, has(…), all() or (")?;
        self.blanks();
        self.comparison(label)
    }

    fn comparison(&mut self, label: String) -> Result<Expr, SyntaxError> {
        if self.take("==") {
            return Ok(Expr::In(label, vec![self.string()?]));
        }
        if self.take("!=") {
            return Ok(Expr::NotIn(label, vec![self.string()?]));
        }
        if self.words(&["not", "in"]) {
            return Ok(Expr::NotIn(label, self.set()?));
        }
        if self.words(&["in"]) {
            return Ok(Expr::In(label, self.set()?));
        }
        if self.words(&["contains"]) {
            return Ok(Expr::Contains(label, self.string()?));
        }
        if self.words(&["starts", "with"]) {
            return Ok(Expr::StartsWith(label, self.string()?));
        }
        if self.words(&["ends", "with"]) {
            return Ok(Expr::EndsWith(label, self.string()?));
        }
        Err(self.error("==, !=, in, not in, contains, starts with or ends with"))
    }

    /// Words of an operator, with or without blanks between them, ending at a word boundary.
    fn words(&mut self, words: &[&str]) -> bool {
        let mut rest = self.rest();
        for word in words {
            let Some(more) = rest.trim_start_matches([' ', '\t']).strip_prefix(word) else { return false };
            rest = more;
        }
        if rest.starts_with(is_label_char) {
            return false;
        }
        self.at = self.text.len() - rest.len();
        self.blanks();
        true
    }

    fn label(&mut self, expected: &'static str) -> Result<String, SyntaxError> {
        let rest = self.rest();
        let length = rest.find(|c| !is_label_char(c)).unwrap_or(rest.len());
        if length == 0 || length > LONGEST_LABEL {
            return Err(self.error(expected));
        }
        self.at += length;
        Ok(rest[..length].to_owned())
    }

    /// A literal in double or single quotes; nothing is escaped.
    fn string(&mut self) -> Result<String, SyntaxError> {
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return Err(self.error("a value in quotes"));
        };
        let Some(length) = rest[1..].find(quote) else {
            return Err(self.error("a closing quote"));
        };
        self.at += length + 2;
        self.blanks();
        Ok(rest[1..=length].to_owned())
    }

    /// Strings in braces; none is allowed, and a comma at the end.
    fn set(&mut self) -> Result<Vec<String>, SyntaxError> {
        self.need("{", "{ and a list of values in quotes")?;
        let mut values = Vec::new();
        while !self.take("}") {
            values.push(self.string()?);
            if !self.take(",") && !self.rest().starts_with('}') {
                return Err(self.error(", or }"));
            }
        }
        values.sort();
        values.dedup();
        Ok(values)
    }
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-')
}

fn one_or(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(label: &str, value: &str) -> Expr {
        Expr::In(label.to_owned(), vec![value.to_owned()])
    }

    fn not(expr: Expr) -> Expr {
        Expr::Not(Box::new(expr))
    }

    fn good(text: &str) -> Expr {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn column(text: &str) -> usize {
        parse(text).expect_err(text).column
    }

    #[test]
    fn blanks_alone_select_everything() {
        assert_eq!(good(""), Expr::All);
        assert_eq!(good(" \t "), Expr::All);
        assert_eq!(good("all( )"), Expr::All);
    }

    #[test]
    fn a_line_break_is_no_blank() {
        assert_eq!(column("a == 'b'\n"), 9);
        assert_eq!(column("\n"), 1);
        assert_eq!(column("a\r== 'b'"), 2);
    }

    #[test]
    fn functions_are_one_token_with_their_parenthesis() {
        assert_eq!(good("has( a )"), Expr::Has("a".to_owned()));
        assert_eq!(column("has (a)"), 5);
        assert_eq!(column("all ()"), 5);
        assert_eq!(column("has(a"), 6);
        assert_eq!(column("has()"), 5);
    }

    #[test]
    fn words_of_the_language_are_labels_too() {
        assert_eq!(good("has == 'x'"), is("has", "x"));
        assert_eq!(good("in in {'a'}"), is("in", "a"));
        assert_eq!(good("not not in {}"), Expr::NotIn("not".to_owned(), vec![]));
        assert_eq!(good("all == 'x'"), is("all", "x"));
        assert_eq!(good("contains contains 'x'"), Expr::Contains("contains".to_owned(), "x".to_owned()));
    }

    #[test]
    fn operators_end_at_word_boundaries() {
        assert_eq!(column("a inx {'b'}"), 3);
        assert_eq!(good("a in{'x'}"), is("a", "x"));
        assert_eq!(good("a contains'x'"), Expr::Contains("a".to_owned(), "x".to_owned()));
        assert_eq!(column("a startswithx 'b'"), 3);
        assert_eq!(column("a in-{'b'}"), 3);
    }

    #[test]
    fn two_words_may_be_one() {
        assert_eq!(good("a startswith 'b'"), good("a starts \t with 'b'"));
        assert_eq!(good("a endswith 'b'"), good("a ends with 'b'"));
        assert_eq!(good("a notin {'b'}"), good("a not in {'b'}"));
    }

    #[test]
    fn strings_know_no_escapes() {
        assert_eq!(good(r#"a == "it's""#), is("a", "it's"));
        assert_eq!(good(r"a == 'b\'"), is("a", r"b\"));
        assert_eq!(good("a == 'ä \n'"), is("a", "ä \n"));
        assert_eq!(good("a == ''"), is("a", ""));
        assert_eq!(column("a == 'b"), 6);
    }

    #[test]
    fn single_signs_and_comparisons_are_errors() {
        assert_eq!(column("a = 'b'"), 3);
        assert_eq!(column("a == 'b' & c == 'd'"), 10);
        assert_eq!(column("a == 'b' | c == 'd'"), 10);
        assert_eq!(column("a < 'b'"), 3);
        assert_eq!(column("a > 'b'"), 3);
    }

    #[test]
    fn labels_stand_left_and_values_right() {
        assert_eq!(column("'a' == b"), 1);
        assert_eq!(column("a == b"), 6);
        assert_eq!(column("a"), 2);
        assert_eq!(column("'a'"), 1);
        assert_eq!(column("a == 5"), 6);
        assert_eq!(column("ä == 'b'"), 1);
    }

    #[test]
    fn sets_may_be_empty_or_end_with_a_comma() {
        assert_eq!(good("a in {}"), Expr::In("a".to_owned(), vec![]));
        assert_eq!(good("a in {'b',}"), is("a", "b"));
        assert_eq!(good("a in { 'b' , 'b' }"), is("a", "b"));
        assert_eq!(column("a in {,'b'}"), 7);
        assert_eq!(column("a in {'b',,'c'}"), 11);
        assert_eq!(column("a in {'b' 'c'}"), 11);
        assert_eq!(column("a in 'b'"), 6);
    }

    #[test]
    fn negation_counts_and_takes_the_whole_comparison() {
        assert_eq!(good("!a == 'b'"), not(is("a", "b")));
        assert_eq!(good("!!a == 'b'"), is("a", "b"));
        assert_eq!(good("! ! !(a == 'b')"), not(is("a", "b")));
        let both = Expr::And(vec![not(is("a", "b")), is("c", "d")]);
        assert_eq!(good("!a == 'b' && c == 'd'"), both);
        assert_eq!(good("!all()"), not(Expr::All));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        let right = Expr::And(vec![is("b", "y"), is("c", "z")]);
        assert_eq!(good("a == 'x' || b == 'y' && c == 'z'"), Expr::Or(vec![is("a", "x"), right]));
        let left = Expr::Or(vec![is("a", "x"), is("b", "y")]);
        assert_eq!(good("(a == 'x' || b == 'y') && c == 'z'"), Expr::And(vec![left, is("c", "z")]));
    }

    #[test]
    fn nothing_may_follow_the_end() {
        assert_eq!(column("a == 'b' c"), 10);
        assert_eq!(column("a == 'b')"), 9);
        assert_eq!(column("(a == 'b'"), 10);
        assert_eq!(column("a == 'b' &&"), 12);
        assert_eq!(column("a == 'b' # why"), 10);
    }

    #[test]
    fn labels_have_at_most_512_characters() {
        assert!(parse(&format!("has({})", "a".repeat(512))).is_ok());
        assert!(parse(&format!("has({})", "a".repeat(513))).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let (open, close) = ("(".repeat(100_000), ")".repeat(100_000));
        assert!(parse(&format!("{open}has(a){close}")).is_err());
        assert!(parse(&format!("{}has(a)", "!".repeat(100_000))).is_ok());
    }

    #[test]
    fn an_error_shows_the_place_and_the_text() {
        let error = parse("role == 'db' and tier == 'x'").expect_err("and");
        assert_eq!(error.to_string(), "character 14: expected &&, || or the end at \"and tier == 'x'\"");
    }
}
