//! A stream of which only stretches are kept that hold something sought: what passes is searched
//! where it is in the caches, and forgotten.
//!
//! What stays are the bytes that were kept before, stretches that hold something, and behind a zero,
//! which nothing that is sought contains, the end of what passed: the rest of what begins there may
//! still come.

use super::Audience;
use super::flow::LONGEST_SOUGHT;

/// How much of a stream is not kept.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    /// Bytes from here on are the end of what passed; 0 where all is kept.
    stays: u32,
    passed: u32,
}

impl Sifted {
    /// From here on only stretches are kept.
    pub(super) fn begin(&mut self, kept: &[u8]) {
        self.stays = kept.len() as u32;
    }

    /// Whether only stretches are kept.
    #[inline]
    pub(super) fn is_begun(&self) -> bool {
        self.stays > 0
    }

    /// Bytes that were said and are not kept.
    #[inline]
    pub(super) fn passed(&self) -> usize {
        self.passed as usize
    }

    /// Whether a stretch passes, and nothing but its end is kept.
    #[inline]
    pub(super) fn lets_pass(&mut self, kept: &[u8], stretch: &[u8], audience: &dyn Audience) -> bool {
        self.is_begun() && self.is_empty(kept, stretch, audience)
    }

    /// Whether a stretch holds nothing that is sought, nor the end of what begins in what is kept. One
    /// that is no longer than its end is kept for that.
    fn is_empty(&mut self, kept: &[u8], stretch: &[u8], audience: &dyn Audience) -> bool {
        let mut seam = [0; 2 * LONGEST_SOUGHT];
        let (before, behind) = (end(kept), &stretch[..stretch.len().min(LONGEST_SOUGHT)]);
        let length = before.len() + behind.len();
        seam[..before.len()].copy_from_slice(before);
        seam[before.len()..length].copy_from_slice(behind);
        let holds = audience.seeks(&seam[..length]) || audience.seeks(stretch);
        if holds {
            self.stays = (kept.len() + stretch.len()) as u32;
        }
        !holds && stretch.len() > LONGEST_SOUGHT
    }

    /// What is kept once a stretch has passed: a zero and its end, behind what stays.
    pub(super) fn pass<'a>(&mut self, kept: &mut Vec<u8>, stretch: &'a [u8]) -> [&'a [u8]; 2] {
        let parts = [&[0][..], end(stretch)];
        self.passed += (kept.len() - self.stays as usize + stretch.len() - 1 - LONGEST_SOUGHT) as u32;
        kept.truncate(self.stays as usize);
        parts
    }
}

/// The last bytes of some, in which what is sought may begin.
fn end(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.len().saturating_sub(LONGEST_SOUGHT)..]
}

#[cfg(test)]
mod tests {
    use super::super::buffers::Buffers;
    use super::super::stream::{Room, Stream};
    use super::super::{Audience, Flow};
    use super::*;

    /// Seeks a word as long as any.
    struct Seeker(Vec<u8>);

    impl Audience for Seeker {
        fn judge(&mut self, _: &Flow) -> u32 {
            0
        }

        fn seeks(&self, stretch: &[u8]) -> bool {
            stretch.windows(self.0.len()).any(|window| window == self.0)
        }

        fn finished(&mut self, _: Flow, _: Option<u32>) {}
    }

    /// What is kept of a text that comes in pieces, once its head was heard.
    fn sifted(text: &[u8], piece: usize, audience: &Seeker) -> Stream {
        const HEAD: usize = 100;
        let (mut stream, mut buffers) = (Stream::default(), Buffers::default());
        let mut room = Room { limit: 4_000, buffers: &mut buffers, audience };
        stream.begin(0);
        stream.segment(1, &text[..HEAD], 0, &mut room);
        stream.sifted.begin(&stream.bytes);
        for (number, part) in text[HEAD..].chunks(piece).enumerate() {
            stream.segment((1 + HEAD + number * piece) as u32, part, 0, &mut room);
        }
        stream
    }

    #[test]
    fn what_is_sought_is_kept_however_it_is_cut_and_nothing_else() {
        let word: Vec<u8> = (b'A'..).take(LONGEST_SOUGHT).collect();
        let audience = Seeker(word.clone());
        for (piece, at) in (1..300).flat_map(|piece| [120, 700, 1_333].map(|at| (piece, at))) {
            let mut text = vec![b'.'; 2_000];
            let nothing = sifted(&text, piece, &audience);
            text[at..at + word.len()].copy_from_slice(&word);
            let something = sifted(&text, piece, &audience);
            assert!(audience.seeks(&something.bytes), "{piece} {at}");
            assert_eq!((nothing.said(), something.said()), (2_000, 2_000), "{piece} {at}");
            assert!(!audience.seeks(&nothing.bytes), "{piece}");
            if piece > LONGEST_SOUGHT {
                assert!(nothing.bytes.len() <= 100 + 1 + 2 * LONGEST_SOUGHT, "{piece}");
                assert!(something.bytes.len() < 100 + 3 * (1 + LONGEST_SOUGHT) + 3 * piece, "{piece}");
            }
        }
    }

    #[test]
    fn ends_that_were_apart_make_no_word() {
        let audience = Seeker(b"password".to_vec());
        let mut text = vec![b'.'; 1_000];
        text[92..100].copy_from_slice(b"....pass");
        // The end of a stretch of which nothing else stays.
        text[300 - LONGEST_SOUGHT..304 - LONGEST_SOUGHT].copy_from_slice(b"word");
        let stream = sifted(&text, 200, &audience);
        assert!(!audience.seeks(&stream.bytes));
    }

    #[test]
    fn no_more_is_kept_than_the_limit_allows_whatever_passed() {
        let audience = Seeker(b"password".to_vec());
        let mut text = vec![b'.'; 5_000];
        text[3_996..4_004].copy_from_slice(b"password");
        let stream = sifted(&text, 500, &audience);
        assert_eq!(stream.said(), 4_000);
        assert!(stream.is_full(4_000) && !audience.seeks(&stream.bytes));
    }
}
