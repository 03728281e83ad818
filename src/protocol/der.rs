//! Distinguished and basic encoding rules of ASN.1 (X.690), as far as certificates, LDAP, SNMP
//! and Kerberos need them: one element after the other, definite lengths only.

/// One element: its tag byte and its content, as far as the capture has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
    /// What the length promised; more than `body` holds where the bytes are cut.
    pub(super) length: usize,
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const SEQUENCE: u8 = 0x30;

/// Elements that stand one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let [tag, first, rest @ ..] = self.0 else { return None };
        // High tag numbers and indefinite lengths are in none of the protocols that ask.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let (digits, rest) = rest.split_at_checked(count)?;
                (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (body, rest) = rest.split_at(rest.len().min(length));
        self.0 = rest;
        Some(Element { tag: *tag, body, length })
    }
}

impl<'a> Element<'a> {
    /// The elements inside.
    pub(super) fn inside(self) -> Elements<'a> {
        Elements(self.body)
    }

    /// A small whole number.
    pub(super) fn number(self) -> Option<u32> {
        let small = self.tag == INTEGER && (1..=4).contains(&self.body.len());
        small.then(|| self.body.iter().fold(0, |sum, digit| sum << 8 | u32::from(*digit)))
    }
}

/// The first element, where it has this tag.
pub(super) fn expect(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    Elements(bytes).next().filter(|element| element.tag == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_order_and_cut_ones_say_so() {
        let all: Vec<_> = Elements(&[2, 1, 5, 0x30, 0x81, 3, 4, 1, 9, 4, 5, 1]).collect();
        assert_eq!(all[0].number(), Some(5));
        assert_eq!(all[1].inside().next().map(|e| e.body), Some(&[9][..]));
        assert!(all[1].body.len() == all[1].length && all[2].body.len() < all[2].length);
        assert_eq!(Elements(&[0x30, 0x80, 0, 0]).next(), None);
        assert_eq!(Elements(&[0x30, 0x84, 0xff]).next(), None);
    }
}
