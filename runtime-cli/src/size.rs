//! Sizes as people write them: `64m`, `1.5GiB`, `4096`.

/// Bytes; a letter after the number, `b`, `k`, `m`, `g`, `t` or `p` in either case and
/// perhaps with `b` or `ib` behind, counts in powers of 1024. `-1` stands for no limit.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        unit => {
            let letter = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit);
            1 + ["k", "m", "g", "t", "p"].iter().position(|known| *known == letter)?
        }
    };
    let bytes = number * 1024f64.powi(i32::try_from(power).ok()?);
    // Below 2^63, as the next line makes sure.
    #[allow(clippy::cast_possible_truncation)]
    let whole = bytes as i64;
    (bytes < 9e18).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1k", 1024),
            ("1.5K", 1536),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            ("2GiB", 2 << 30),
            ("1 t", 1 << 40),
            ("-1", -1),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "m", "-2", "1x", "1kk", "1.2.3", "9999999p", "NaN", "1e3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
