//! Names with stars, as every section of a contract writes them.

/// Text in which `*` stands for any characters, none included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern as it was written.
    pub fn new(text: &str) -> Pattern {
        Pattern(text.to_owned())
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut left) = text.strip_prefix(head) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let tail = parts.pop().unwrap_or_default();
        for part in parts {
            match left.find(part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(tail)
    }

    /// Whether the pattern fits a workload, written `namespace/name` or `namespace/Kind/name`.
    pub fn matches_workload(&self, namespace: &str, kind: &str, name: &str) -> bool {
        self.matches(&format!("{namespace}/{kind}/{name}")) || self.matches(&format!("{namespace}/{name}"))
    }
}

/// The known word that is nearest to a wrong one, where one is near enough to be meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let far = |word: &str| distance(&wrong, &word.to_lowercase());
    let (steps, word) = known.into_iter().map(|word| (far(word), word)).min_by_key(|(steps, _)| *steps)?;
    (steps <= 1 + wrong.chars().count().max(2) / 4).then_some(word)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything_and_nothing() {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern).matches(text);
        assert!(fits("shop/*", "shop/Deployment/web") && fits("*", "") && fits("a*c*e", "abcde"));
        assert!(fits("*web*", "shop/web-2") && fits("a**b", "ab"));
        assert!(!fits("shop/*", "shop") && !fits("a*bc*c", "abc") && !fits("web", "web2"));
    }

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let known = ["segments", "rules", "exceptions"];
        assert_eq!(nearest("segmnets", known), Some("segments"));
        assert_eq!(nearest("Rule", known), Some("rules"));
        assert_eq!(nearest("services", known), None);
    }
}
