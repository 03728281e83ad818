//! Header compression of HTTP/2 (RFC 7541), read-only: names and values of the first requests.
//!
//! The Huffman code is canonical, so its table is the symbols in the order of their codes. Symbols
//! that no header of interest holds (control characters, bytes above 126) end the reading.

use super::bytes::Cursor;

/// Symbols of each code length, in the order of the codes (RFC 7541, appendix B).
const CODES: &[(u8, &[u8])] = &[
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b"!\"()?"),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\0$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
];

/// Names of the static table (RFC 7541, appendix A), and the values that have one.
const STATIC: &[(&str, &str)] = &[
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// More headers than this are not read.
const MOST_HEADERS: usize = 64;

/// The headers of a block, and of those before it on the same connection.
#[derive(Default)]
pub(super) struct Reader {
    /// The newest first.
    dynamic: Vec<(String, String)>,
}

impl Reader {
    /// The headers of one block, as far as they can be read.
    pub(super) fn block(&mut self, bytes: &[u8]) -> Vec<(String, String)> {
        let mut cursor = Cursor(bytes);
        let mut headers = Vec::new();
        while headers.len() < MOST_HEADERS {
            match self.header(&mut cursor) {
                Some(Some(header)) => headers.push(header),
                // A change of the table's size carries no header.
                Some(None) => {}
                None => break,
            }
        }
        headers
    }

    fn header(&mut self, cursor: &mut Cursor<'_>) -> Option<Option<(String, String)>> {
        let first = *cursor.0.first()?;
        if first & 0x80 != 0 {
            let index = number(cursor, 7)?;
            return self.entry(index).map(Some);
        }
        if first & 0xe0 == 0x20 {
            number(cursor, 5)?;
            return Some(None);
        }
        let kept = first & 0x40 != 0;
        let index = number(cursor, if kept { 6 } else { 4 })?;
        let name = if index == 0 { text(cursor)? } else { self.entry(index)?.0 };
        let header = (name, text(cursor)?);
        if kept {
            self.dynamic.insert(0, header.clone());
            self.dynamic.truncate(MOST_HEADERS);
        }
        Some(Some(header))
    }

    fn entry(&self, index: usize) -> Option<(String, String)> {
        let index = index.checked_sub(1)?;
        match STATIC.get(index) {
            Some((name, value)) => Some(((*name).to_owned(), (*value).to_owned())),
            None => self.dynamic.get(index - STATIC.len()).cloned(),
        }
    }
}

/// A number with a prefix of some bits (RFC 7541, section 5.1).
fn number(cursor: &mut Cursor<'_>, bits: u32) -> Option<usize> {
    let most = (1_usize << bits) - 1;
    let first = usize::from(cursor.u8()?) & most;
    match first == most {
        true => Some(most + cursor.varint()? as usize),
        false => Some(first),
    }
}

/// A string, plain or in Huffman code (RFC 7541, section 5.2).
fn text(cursor: &mut Cursor<'_>) -> Option<String> {
    let huffman = cursor.0.first()? & 0x80 != 0;
    let length = number(cursor, 7)?;
    let bytes = cursor.take(length)?;
    match huffman {
        true => decode(bytes),
        false => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn decode(bytes: &[u8]) -> Option<String> {
    let bits = |at: usize| bytes.get(at / 8).map(|byte| byte >> (7 - at % 8) & 1);
    let mut found = String::new();
    let mut at = 0;
    while at + 5 <= bytes.len() * 8 {
        match symbol(&bits, at) {
            Some((symbol, length)) => {
                found.push(char::from(symbol));
                at += usize::from(length);
            }
            // Fewer than eight ones at the end are padding.
            None if bytes.len() * 8 - at < 8 => break,
            None => return None,
        }
    }
    Some(found)
}

fn symbol(bits: &dyn Fn(usize) -> Option<u8>, at: usize) -> Option<(u8, u8)> {
    let (mut code, mut length, mut first) = (0_u32, 0_u8, 0_u32);
    for (wanted, symbols) in CODES {
        while length < *wanted {
            code = code << 1 | u32::from(bits(at + usize::from(length))?);
            first <<= 1;
            length += 1;
        }
        let place = code.checked_sub(first)? as usize;
        if let Some(symbol) = symbols.get(place) {
            return Some((*symbol, length));
        }
        first += symbols.len() as u32;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541, appendix C.4.1 to C.4.3: three requests on one connection, in Huffman code.
    #[test]
    fn requests_of_the_standard_are_read() {
        let mut reader = Reader::default();
        let first = [0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab];
        let first: Vec<u8> = first.into_iter().chain([0x90, 0xf4, 0xff]).collect();
        let headers = reader.block(&first);
        assert_eq!(headers[0], (":method".to_owned(), "GET".to_owned()));
        assert_eq!(headers[3], (":authority".to_owned(), "www.example.com".to_owned()));
        let second = [0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        let headers = reader.block(&second);
        assert_eq!(headers[3].1, "www.example.com");
        assert_eq!(headers[4], ("cache-control".to_owned(), "no-cache".to_owned()));
    }

    #[test]
    fn cut_blocks_end_early() {
        assert!(Reader::default().block(&[0x41, 0x8c, 0xf1]).is_empty());
        assert!(Reader::default().block(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_empty());
    }
}
