//! Where each value of a JSON text stands: from the byte at which a parser
//! stopped to a JSON pointer, and back to a line and column.
//!
//! Used when a document is refused, never on the way of a good one.

use std::collections::HashSet;
use std::ops::Range;

use super::pointer;

/// One value of the text.
#[derive(Debug)]
pub(super) struct Place {
    /// Its JSON pointer; the root's is empty.
    pub(super) pointer: String,
    /// Its bytes, from its first to after its last.
    pub(super) range: Range<usize>,
}

/// Every value of a JSON text, each before the values inside it.
#[derive(Debug)]
pub(super) struct Places<'a> {
    text: &'a [u8],
    places: Vec<Place>,
}

impl<'a> Places<'a> {
    /// The values of `text`, which a parser has accepted: nesting is bounded
    /// by that parser's limit.
    pub(super) fn of(text: &'a [u8]) -> Self {
        let mut scanner = Scanner { text, at: 0, places: Vec::new() };
        scanner.value(String::new());
        Self { text, places: scanner.places }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    /// The text of `place`.
    pub(super) fn text(&self, place: &Place) -> &'a [u8] {
        self.text.get(place.range.clone()).unwrap_or_default()
    }

    /// The innermost value that a parser was in or before when it stopped at
    /// `line` and `column`, both counted from 1 as serde_json counts them.
    pub(super) fn at(&self, line: usize, column: usize) -> &str {
        let offset = self.culprit(self.offset(line, column));
        let inside = self.places.iter().rev().find(|place| place.range.contains(&offset));
        inside.map_or("", |place| &place.pointer)
    }

    /// Line and column, from 1, of the value at `pointer`.
    pub(super) fn position(&self, pointer: &str) -> Option<(usize, usize)> {
        let place = self.places.iter().find(|place| place.pointer == pointer)?;
        let before = self.text.get(..place.range.start)?;
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Some((line, column))
    }

    /// The second of two members of one name in one object.
    pub(super) fn duplicate(&self) -> Option<&Place> {
        let mut seen = HashSet::new();
        self.places.iter().find(|place| !seen.insert(place.pointer.as_str()))
    }

    fn offset(&self, line: usize, column: usize) -> usize {
        let newlines = self.text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let start = match line {
            0 | 1 => 0,
            _ => newlines.map(|(at, _)| at + 1).nth(line - 2).unwrap_or(self.text.len()),
        };
        start + column
    }

    /// The byte to blame when `consumed` bytes were read: the last of them,
    /// or the next value's first if the parser stopped before that value.
    fn culprit(&self, consumed: usize) -> usize {
        let last = consumed.saturating_sub(1);
        let between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b':' | b',' | b'[');
        match self.text.get(last) {
            Some(byte) if between(byte) => {
                let rest = self.text.iter().skip(last);
                last + rest.take_while(|byte| between(byte)).count()
            }
            _ => last,
        }
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    places: Vec<Place>,
}

impl Scanner<'_> {
    fn value(&mut self, pointer: String) {
        self.space();
        let (start, index) = (self.at, self.places.len());
        self.places.push(Place { pointer: pointer.clone(), range: start..start });
        match self.peek() {
            Some(b'{') => self.object(&pointer),
            Some(b'[') => self.array(&pointer),
            Some(b'"') => self.string(),
            _ => self.scalar(),
        }
        if let Some(place) = self.places.get_mut(index) {
            place.range.end = self.at;
        }
    }

    fn object(&mut self, base: &str) {
        while let Some(b'{' | b',') = self.peek() {
            self.at += 1;
            self.space();
            if self.peek() != Some(b'"') {
                break;
            }
            let key = self.key();
            self.space();
            self.at += 1;
            self.value(pointer::member(base, &key));
            self.space();
        }
        self.at += 1;
    }

    fn array(&mut self, base: &str) {
        let mut index = 0;
        while let Some(b'[' | b',') = self.peek() {
            self.at += 1;
            self.space();
            if self.peek() == Some(b']') {
                break;
            }
            self.value(pointer::item(base, index));
            self.space();
            index += 1;
        }
        self.at += 1;
    }

    fn key(&mut self) -> String {
        let start = self.at;
        self.string();
        let text = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_slice(text).unwrap_or_default()
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
    }

    fn scalar(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        {
            self.at += 1;
        }
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\n  \"a\": [1, {\"b/c\": \"x\\\"]\"}],\n  \"d\": {}\n}";

    #[test]
    fn every_value_has_its_pointer_and_its_text() {
        let places = Places::of(TEXT.as_bytes());
        let all: Vec<_> = places
            .iter()
            .map(|place| {
                (place.pointer.as_str(), str::from_utf8(places.text(place)).unwrap_or("?"))
            })
            .collect();
        assert_eq!(
            &all[1..],
            [
                ("/a", "[1, {\"b/c\": \"x\\\"]\"}]"),
                ("/a/0", "1"),
                ("/a/1", "{\"b/c\": \"x\\\"]\"}"),
                ("/a/1/b~1c", "\"x\\\"]\""),
                ("/d", "{}"),
            ]
        );
    }

    #[test]
    fn a_position_inside_or_just_before_a_value_finds_it() {
        let places = Places::of(TEXT.as_bytes());
        assert_eq!(places.position("/d"), Some((3, 8)));
        assert_eq!(places.at(3, 7), "/d", "stopped at the blank before the value");
        assert_eq!(places.at(2, 9), "/a/0", "stopped after the opening bracket");
        assert_eq!(places.at(4, 1), "", "stopped at the closing brace of the root");
    }

    #[test]
    fn a_member_named_twice_is_found() {
        assert_eq!(Places::of(br#"{"a":{"b":1,"b":2}}"#).duplicate().unwrap().pointer, "/a/b");
        assert!(Places::of(br#"{"a":{"b":1},"c":{"b":2}}"#).duplicate().is_none());
    }

    #[test]
    fn text_that_ends_early_is_scanned_without_a_panic() {
        for end in 0..TEXT.len() {
            let places = Places::of(&TEXT.as_bytes()[..end]);
            assert!(places.iter().count() > 0);
            assert!(places.at(9, 9).len() < TEXT.len());
        }
    }
}
