//! The list form of CPUs and memory nodes, `0-3,7` (cpuset(7), List format).

/// Whether `list` is numbers and ranges, none of which runs backwards. As in the kernel,
/// spaces around a range and empty ranges do no harm, but there must be one.
pub(super) fn is_list(list: &str) -> bool {
    let mut ranges = list.split(',').map(str::trim).filter(|range| !range.is_empty()).peekable();
    ranges.peek().is_some()
        && ranges.all(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
        })
}

/// How many numbers a list names.
pub(super) fn count(list: &str) -> u64 {
    let ranges = list.split(',').map(str::trim).filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(u64::from(number(last)?.checked_sub(number(first)?)?) + 1)
    });
    ranges.sum()
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_names_is_counted() {
        assert_eq!((count("0-7"), count("1, 3-4,"), count("x")), (8, 3, 0));
    }

    #[test]
    fn lists_are_numbers_and_forward_ranges() {
        for good in ["0", "0-3,7", "1,1,0-0", " 0-3, ,7 ,"] {
            assert!(is_list(good), "{good}");
        }
        for bad in ["", ",", " ", "3-1", "0-", "-1", "+1", "a", "0 1", "99999999999"] {
            assert!(!is_list(bad), "{bad}");
        }
    }
}
