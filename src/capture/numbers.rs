//! Sets of 16-bit numbers, a bit each: whether a table has a row for a port or a type is asked of
//! every packet, and nearly always it has none.

/// A set that is made while compiling.
pub(super) struct Numbers([u64; 1024]);

impl Numbers {
    /// No numbers.
    pub(super) const fn new() -> Numbers {
        Numbers([0; 1024])
    }

    /// The same with some more.
    pub(super) const fn with(mut self, numbers: &[u16]) -> Numbers {
        let mut at = 0;
        while at < numbers.len() {
            self.0[(numbers[at] >> 6) as usize] |= 1 << (numbers[at] & 63);
            at += 1;
        }
        self
    }

    #[inline]
    pub(super) fn has(&self, number: u16) -> bool {
        self.0[usize::from(number >> 6)] >> (number & 63) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_what_was_put_in_and_nothing_else() {
        const NUMBERS: Numbers = Numbers::new().with(&[0, 63, 64]).with(&[u16::MAX, 64]);
        let has: Vec<u16> = (0..=u16::MAX).filter(|number| NUMBERS.has(*number)).collect();
        assert_eq!(has, [0, 63, 64, u16::MAX]);
    }
}
