//! Lengths of time as Go writes them: "5s", "1m30s", "1.5h", "300ms".

use std::time::Duration;

/// Nanoseconds in each unit; longer names come before those that they end in.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// `None` for what Go would not parse, a length that is longer than Go can count
/// included. A negative length is none at all.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() || nanoseconds == 0.0 {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?;
        nanoseconds += number * unit;
        rest = &rest[letters..];
        if rest.is_empty() {
            break;
        }
    }
    if nanoseconds > i64::MAX as f64 {
        return None;
    }
    let length = if negative { 0.0 } else { nanoseconds };
    Duration::try_from_secs_f64(length / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn lengths_are_read_as_go_reads_them() {
        for (text, milliseconds) in [
            ("5s", 5000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            (".5s", 500),
            ("+2s", 2000),
            ("0", 0),
            ("0s", 0),
            ("-3s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "5 s", "1d", "1..5s", "--1s", "9999999h", "-", "5s1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
