//! The text formats of cgroupfs.

/// A number; "max" is the highest there is. Some counters of the kernel go below
/// zero for a moment, which counts as zero.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(u64::MAX),
        text if text.starts_with('-') => text.parse::<i64>().ok().map(|_| 0),
        text => text.parse().ok(),
    }
}

/// The lines "key number" of a "flat keyed" file.
pub(super) fn lines_of_pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, number(value)?))
    })
}

/// The number on the line of `key` in a "flat keyed" file.
pub(super) fn value_of(text: &str, key: &str) -> Option<u64> {
    lines_of_pairs(text).find_map(|(name, value)| (name == key).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_taken_for_a_longer_one() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(value_of(text, "oom_kill"), Some(3));
        assert_eq!(value_of(text, "oom"), None);
    }

    #[test]
    fn max_is_the_highest_number_and_less_than_zero_is_zero() {
        assert_eq!(number("max\n"), Some(u64::MAX));
        assert_eq!(number("-5"), Some(0));
        assert_eq!(number("12"), Some(12));
        assert_eq!(number("-"), None);
    }
}
