//! Distinguished and basic encoding rules of ASN.1 (X.690), as far as certificates, LDAP, SNMP
//! and Kerberos need them: one element after the other, definite lengths only.

/// One element: its tag byte and its content, as far as the capture has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Class, form and number.
    pub tag: u8,
    /// The content.
    pub body: &'a [u8],
    /// What the length promised; more than `body` holds where the bytes are cut.
    pub length: usize,
}

/// Tag of a whole number.
pub const INTEGER: u8 = 0x02;
/// Tag of bytes.
pub const OCTETS: u8 = 0x04;
/// Tag of a sequence.
pub const SEQUENCE: u8 = 0x30;

/// Elements that stand one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a>(
    /// What is left of them.
    pub &'a [u8],
);

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
    pub fn inside(self) -> Elements<'a> {
        Elements(self.body)
    }

    /// A small whole number.
    pub fn number(self) -> Option<u32> {
        let small = self.tag == INTEGER && (1..=4).contains(&self.body.len());
        small.then(|| self.body.iter().fold(0, |sum, digit| sum << 8 | u32::from(*digit)))
    }
}

/// The first element, where it has this tag.
pub fn expect(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    Elements(bytes).next().filter(|element| element.tag == tag)
}

/// `subjectAltName` (RFC 5280, section 4.2.1.6).
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// The URIs and host names for which the first certificate of a PEM text was issued, URIs first;
/// `None` where there is no certificate that can be read.
pub fn names_of_pem(text: &str) -> Option<Vec<String>> {
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let bytes = base64(body)?;
    let whole = expect(&bytes, SEQUENCE)?;
    let mut fields = expect(whole.body, SEQUENCE)?.inside();
    let extensions = fields.find(|field| field.tag == 0xa3)?;
    let each = extensions.inside().flat_map(Element::inside);
    let names = each.filter_map(|extension| {
        let mut parts = extension.inside();
        let is_it = parts.next()?.body == ALTERNATIVE_NAMES;
        parts
            .last()
            .filter(|value| is_it && value.tag == OCTETS)
            .and_then(|value| expect(value.body, SEQUENCE))
    });
    let names: Vec<Element<'_>> = names.flat_map(Element::inside).collect();
    let of = |tag: u8| names.iter().filter(move |name| name.tag == tag);
    // uniformResourceIdentifier [6], dNSName [2].
    Some(of(0x86).chain(of(0x82)).map(|name| String::from_utf8_lossy(name.body).into_owned()).collect())
}

/// RFC 4648, section 4; white space is passed over.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len() * 3 / 4), 0_u32, 0);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace() && *letter != b'=') {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        (bits, count) = (bits << 6 | value as u32, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
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
