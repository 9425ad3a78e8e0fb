//! Lists of CPUs and memory nodes as bit masks.

/// The highest number taken, far above what kernels are built for: a mask
/// stays within 8 KiB whatever the list says.
const NUMBER_MAX: usize = 65_535;

/// The mask of a list such as `0-3,7`, in words of 64 bits, lowest first. Spaces around a
/// range and empty ranges do no harm.
/// `None` if it is no such list, is empty, or has a number above 65535.
pub fn from_list(list: &str) -> Option<Vec<u64>> {
    let mut mask = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        set(&mut mask, first, last);
    }
    (!mask.is_empty()).then_some(mask)
}

fn number(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok()? } else { return None };
    (number <= NUMBER_MAX).then_some(number)
}

fn set(mask: &mut Vec<u64>, first: usize, last: usize) {
    if mask.len() <= last / 64 {
        mask.resize(last / 64 + 1, 0);
    }
    for number in first..=last {
        mask[number / 64] |= 1 << (number % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_become_bits() {
        assert_eq!(from_list("0-3,7"), Some(vec![0x8f]));
        assert_eq!(from_list("63-64"), Some(vec![1 << 63, 1]));
        assert_eq!(from_list("5,1,5"), Some(vec![0x22]));
        assert_eq!(from_list(" 0-1, ,3 ,"), Some(vec![0xb]));
        assert_eq!(from_list("1024").map(|mask| mask.len()), Some(17));
    }

    #[test]
    fn what_is_no_list_or_too_large_has_no_mask() {
        for bad in
            ["", "a", "1-", "-1", "3-1", "+1", ",", " ", "1 2", "65536", "99999999999999999999"]
        {
            assert_eq!(from_list(bad), None, "{bad}");
        }
    }
}
