//! Headers of HTTP/2, RFC 7541. The client asks the server to keep no table of headers, and sends
//! its own as they are.

use crate::outcome::{Outcome, Stop};

/// The names and values that have numbers, from 1, as far as an answer's status is among them: `:status`
/// with its values stands at 8 to 14. No other one matters to gRPC.
const STATUS: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];
const FIRST_STATUS: usize = 8;
/// How many headers have numbers of their own.
const NUMBERED: usize = 61;

/// Characters by the length of their Huffman codes, which follow one another: appendix B. The others
/// have longer codes, and no place in a header of gRPC.
const HUFFMAN: [(u32, &str); 10] = [
    (5, "012aceiost"),
    (6, " %-./3456789=A_bdfghlmnpru"),
    (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, "&*,;XZ"),
    (10, "!\"()?"),
    (11, "'+|"),
    (12, "#>"),
    (13, "\0$@[]~"),
    (14, "^}"),
    (15, "<`{"),
];

/// Headers that no table is to keep.
pub fn encode(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            put_number(0, 7, text.len(), &mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// Names and values of headers. Names that have numbers, but for `:status`, come as their numbers.
pub fn decode(bytes: &[u8]) -> Outcome<Vec<(String, String)>> {
    let mut reader = Reader(bytes);
    let mut headers = Vec::new();
    while let Some(first) = reader.0.first().copied() {
        let header = match first {
            0x80.. => reader.number(7).and_then(|number| numbered(number).ok_or_else(broken))?,
            0x40.. => reader.header(6)?,
            0x20.. => {
                reader.number(5)?;
                continue;
            }
            _ => reader.header(4)?,
        };
        headers.push(header);
    }
    Ok(headers)
}

fn numbered(number: usize) -> Option<(String, String)> {
    match number {
        1..=NUMBERED => {
            let status = number.checked_sub(FIRST_STATUS).and_then(|place| STATUS.get(place));
            let name = if status.is_some() { ":status".to_owned() } else { number.to_string() };
            Some((name, status.copied().unwrap_or_default().to_owned()))
        }
        _ => None,
    }
}

fn put_number(marks: u8, bits: u32, number: usize, to: &mut Vec<u8>) {
    let most = (1 << bits) - 1;
    if number < most {
        to.push(marks | number as u8);
        return;
    }
    to.push(marks | most as u8);
    let mut rest = number - most;
    while rest > 0x7f {
        to.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn broken() -> Stop {
    Stop::fail("the server's headers cannot be read")
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn header(&mut self, bits: u32) -> Outcome<(String, String)> {
        let name = match self.number(bits)? {
            0 => self.text()?,
            number => numbered(number).ok_or_else(broken)?.0,
        };
        Ok((name, self.text()?))
    }

    /// The lower bits of a byte, and when these are all set, those of the bytes that follow.
    fn number(&mut self, bits: u32) -> Outcome<usize> {
        let most = (1 << bits) - 1;
        let mut number = usize::from(self.take(1)?[0]) & most;
        if number < most {
            return Ok(number);
        }
        for shift in [0, 7, 14, 21] {
            let byte = usize::from(self.take(1)?[0]);
            number += (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(broken())
    }

    fn text(&mut self) -> Outcome<String> {
        let huffman = self.0.first().is_some_and(|byte| byte & 0x80 != 0);
        let length = self.number(7)?;
        let bytes = self.take(length)?;
        if huffman { unpack(bytes) } else { Ok(String::from_utf8_lossy(bytes).into_owned()) }
    }

    fn take(&mut self, length: usize) -> Outcome<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(broken)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Text in Huffman's code. Ones fill up the last byte.
fn unpack(bytes: &[u8]) -> Outcome<String> {
    let mut text = String::new();
    let (mut code, mut length) = (0_u32, 0);
    for bit in (0..bytes.len() * 8).map(|at| bytes[at / 8] >> (7 - at % 8) & 1) {
        code = code << 1 | u32::from(bit);
        length += 1;
        if let Some(character) = character(code, length) {
            text.push(character);
            (code, length) = (0, 0);
        } else if length > 15 {
            return Err(broken());
        }
    }
    if length > 7 || code != (1 << length) - 1 { Err(broken()) } else { Ok(text) }
}

/// The character with this code. The codes of a length follow those of the shorter ones.
fn character(code: u32, length: u32) -> Option<char> {
    let (mut first, mut bits) = (0, 0);
    for (group, characters) in HUFFMAN {
        first <<= group - bits;
        bits = group;
        if group == length {
            return characters.chars().nth(code.checked_sub(first)? as usize);
        }
        first += characters.chars().count() as u32;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    /// Appendix C.4.1 and C.6.1 of the RFC have these codes.
    #[test]
    fn text_in_huffman_code_is_read() {
        let host = b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(unpack(host).unwrap(), "www.example.com");
        assert_eq!(unpack(b"\x64\x02").unwrap(), "302");
        let date = b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff";
        assert_eq!(unpack(date).unwrap(), "Mon, 21 Oct 2013 20:13:21 GMT");
        assert!(unpack(b"\xff\xff\xff").is_err());
        assert!(unpack(b"\x00").is_err(), "filled up with zeroes");
    }

    #[test]
    fn headers_are_read_as_they_are_written() {
        let long = "x".repeat(300);
        let headers = [("grpc-status", "5"), ("grpc-message", long.as_str())];
        let got = decode(&encode(&headers)).unwrap();
        assert_eq!(got, [pair("grpc-status", "5"), pair("grpc-message", &long)]);
    }

    #[test]
    fn numbered_headers_and_sizes_of_tables_are_passed_over() {
        // A size of the table, 200, content-type (31) with a value, status (8) with a value.
        let got = decode(b"\x20\x88\x0f\x10\x01a\x48\x82\x64\x02").unwrap();
        assert_eq!(got, [pair(":status", "200"), pair("31", "a"), pair(":status", "302")]);
        for bytes in [b"\xff\x00".as_slice(), b"\x00\x05a", b"\x00", b"\x80", b"\x48"] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
