//! What was probably meant where a name is not known.

/// The candidate nearest to `name`, where few enough letters differ to call it a slip: one in
/// short names, two in longer ones; a swap of neighbours is one.
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = if name.chars().count() < 5 { 1 } else { 2 };
    let near = |candidate: &'a str| {
        let distance = distance(&name.to_lowercase(), &candidate.to_lowercase());
        (candidate != name && distance <= allowed).then_some((distance, candidate))
    };
    candidates.filter_map(near).min().map(|(_, candidate)| candidate)
}

/// Edits between two texts: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let names = ["from", "ports", "podSelector"];
        assert_eq!(closest("form", names.into_iter()), Some("from"));
        assert_eq!(closest("podselector", names.into_iter()), Some("podSelector"));
        assert_eq!(closest("to", names.into_iter()), None);
    }
}
