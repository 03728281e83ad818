//! Looks for two bytes at a time that stand a fixed way apart. Two together are so much rarer in text
//! than the rarest one alone that hardly any place is looked at twice, and many places are looked at
//! in a few instructions, which the compiler makes of plain loops.

/// Places that are looked at together.
const BLOCK: usize = 64;

/// The first place where a byte and the one that stands `apart` behind it fit, and a closer look agrees.
///
/// `fits` is asked of all places and should not branch: `&` and `|` in place of `&&` and `||`.
#[inline]
pub(super) fn find_pair(
    bytes: &[u8],
    apart: usize,
    fits: impl Fn(u8, u8) -> bool,
    mut agrees: impl FnMut(usize) -> bool,
) -> Option<usize> {
    let seconds = bytes.get(apart..)?;
    let firsts = &bytes[..seconds.len()];
    let any = |first: &[u8; BLOCK], second: &[u8; BLOCK]| {
        first.iter().zip(second).fold(0, |any, (first, second)| any | u8::from(fits(*first, *second))) != 0
    };
    // Where some places of a block fit, which of them is the one.
    let mut look = |first: &[u8; BLOCK], second: &[u8; BLOCK], begin: usize, from: usize| {
        let mut found = [0; BLOCK];
        for (found, (first, second)) in found.iter_mut().zip(first.iter().zip(second)) {
            *found = u8::from(fits(*first, *second));
        }
        places(&found).map(|at| begin + at).find(|at| *at >= from && agrees(*at))
    };
    let (blocks, rest) = firsts.as_chunks::<BLOCK>();
    for (number, (first, second)) in blocks.iter().zip(seconds.as_chunks::<BLOCK>().0).enumerate() {
        let begin = number * BLOCK;
        if any(first, second)
            && let Some(place) = look(first, second, begin, begin)
        {
            return Some(place);
        }
    }
    let from = firsts.len() - rest.len();
    // The last block overlaps the one before, where there is one, of which nothing is looked at again.
    match (firsts.last_chunk(), seconds.last_chunk()) {
        _ if rest.is_empty() => None,
        (Some(first), Some(second)) if any(first, second) => look(first, second, firsts.len() - BLOCK, from),
        (Some(_), _) => None,
        _ => (from..firsts.len()).find(|at| fits(firsts[*at], seconds[*at]) && agrees(*at)),
    }
}

/// Where in a block there are ones among zeros.
fn places(found: &[u8; BLOCK]) -> impl Iterator<Item = usize> {
    found.as_chunks::<8>().0.iter().zip((0..).step_by(8)).flat_map(|(word, begin)| {
        let mut left = u64::from_le_bytes(*word);
        std::iter::from_fn(move || {
            let at = (left != 0).then(|| begin + left.trailing_zeros() as usize / 8);
            left &= left.wrapping_sub(1);
            at
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_pair_is_found_wherever_it_stands(
            text in "[a-d]{0,20}|[a-z]{0,400}",
            apart in 0_usize..9,
            skipped in 0_usize..3,
        ) {
            let text = text.as_bytes();
            let fits = |a: u8, b: u8| (a == b'b') & ((b == b'a') | (b == b'c'));
            let mut all = (0..text.len().saturating_sub(apart)).filter(|at| fits(text[*at], text[at + apart]));
            let mut left = skipped;
            let agrees = |_: usize| {
                left = left.wrapping_sub(1);
                left == usize::MAX
            };
            prop_assert_eq!(find_pair(text, apart, fits, agrees), all.nth(skipped));
        }
    }
}
