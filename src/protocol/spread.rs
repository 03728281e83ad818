//! Bytes that no cipher made: their values are not spread as those of cipher text are.
//!
//! This never says that something is encrypted. It says that it is not, where a frame that may hold
//! cipher text (a TLS record, an ESP packet) was filled by a cipher that does not encrypt.

/// Fewer bytes than this say nothing.
const ENOUGH: u64 = 40;
/// More than these are not counted.
const MOST: usize = 4_096;
/// Chi-square over 256 classes is 255 on average for cipher text, with a standard deviation of 23; of
/// forty random bytes one in ten million is above this (measured), of more of them fewer, and text is.
const READABLE_ABOVE: u64 = 480;

/// Whether pieces, taken together, cannot be cipher text.
pub(super) fn is_readable<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut counts, mut length) = ([0_u32; 256], 0_u64);
    for byte in pieces.flatten().take(MOST) {
        counts[usize::from(*byte)] += 1;
        length += 1;
    }
    let squares: u64 = counts.iter().map(|count| u64::from(*count) * u64::from(*count)).sum();
    length >= ENOUGH && 256 * squares > (READABLE_ABOVE + length) * length
}

/// Whether any of some pieces, taken alone, cannot be cipher text: among many that are, one is lost.
pub(super) fn one_is_readable<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) -> bool {
    /// So many that no chance makes it of the many pieces that are looked at.
    const ENOUGH: usize = 64;
    pieces.any(|piece| piece.len() >= ENOUGH && is_readable(std::iter::once(piece)))
}

/// Datagrams without those that are the same as the one before, numbers and all: they were sent, or
/// captured, twice, and what they repeat says nothing of a cipher.
pub(super) fn once<'a>(datagrams: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let mut before = None;
    datagrams.filter(move |datagram| before.replace(*datagram) != Some(*datagram))
}

/// Whether all bodies of records hold text in front of a MAC of 16 to 48 bytes, where a cipher that does
/// not encrypt has no nonce in front.
pub(super) fn hold_text_before_a_mac<'a, I: Iterator<Item = &'a [u8]>>(bodies: impl Fn() -> I) -> bool {
    /// So many printable bytes are no accident.
    const ENOUGH: usize = 24;
    [16, 20, 32, 48].into_iter().any(|mac| {
        let texts = || bodies().map(|body| middle(body, 0, mac)).filter(|text| !text.is_empty());
        texts().map(<[u8]>::len).sum::<usize>() >= ENOUGH && texts().all(|text| text.iter().all(is_printable))
    })
}

/// A byte of text.
pub(super) fn is_printable(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')
}

/// What lies between a number that may count in front (the nonce of a record) and a tag behind.
pub(super) fn middle(bytes: &[u8], front: usize, back: usize) -> &[u8] {
    bytes.get(front..bytes.len().saturating_sub(back)).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_numbers_are_readable_and_random_bytes_are_not() {
        let readable = |bytes: &[u8]| is_readable(std::iter::once(bytes));
        assert!(readable(b"GET /index.html HTTP/1.1\r\nHost: shop.example\r\n"));
        assert!(readable(&[0; 40]) && !readable(&[0; 39]));
        let mut state = 3_u64;
        for round in 0..20_000_usize {
            let bytes: Vec<u8> = (0..40 + round % 600)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            assert!(!readable(&bytes), "round {round}");
        }
        let random: Vec<u8> = (0..60_u8).map(|n| n.wrapping_mul(151) ^ n.rotate_left(3)).collect();
        let eight = || [random.as_slice(); 8].into_iter();
        assert!(!readable(&random) && !is_readable(once(eight())) && is_readable(eight()));
        assert!(is_readable([&b"USER someone, "[..], b"PASS s3cr3t, and more of it"].into_iter()));
        let clear = [0; 64];
        assert!(one_is_readable([&random[..], &clear].into_iter()));
        assert!(!one_is_readable([&random[..], &clear[..63]].into_iter()));
        assert_eq!((middle(b"abcdef", 2, 1), middle(b"ab", 2, 1)), (&b"cde"[..], &b""[..]));
    }
}
