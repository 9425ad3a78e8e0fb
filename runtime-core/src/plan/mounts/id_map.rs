//! The id map of a bind mount, as its options give it.

use crate::error::{Error, ErrorKind, Result};

/// How the ids of a mount are mapped (mount_setattr(2), Linux 5.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// Whether the mounts below are mapped too.
    pub whole_tree: bool,
    /// The ranges that the option itself names. Without any it is the mount's
    /// `uidMappings` and `gidMappings`, or else those of the container's user
    /// namespace.
    pub ranges: Option<Ranges>,
}

/// The ranges of users and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Of users.
    pub uids: Vec<Range>,
    /// Of groups.
    pub gids: Vec<Range>,
}

/// Ids that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first id in the file system.
    pub source: u32,
    /// The first id that it becomes.
    pub target: u32,
    /// How many.
    pub size: u32,
    /// Whether `target` is an id of the container's user namespace rather
    /// than the host's.
    pub relative: bool,
}

impl IdMap {
    /// The map that the mount or the container names.
    pub(super) fn of_container(whole_tree: bool) -> Self {
        Self { whole_tree, ranges: None }
    }

    /// The map of `idmap=uids=0-1000-10#…;gids=…` or `ridmap=…`; `None` if
    /// `option` is something else.
    pub(super) fn parse(option: &str) -> Result<Option<Self>> {
        let Some((name @ ("idmap" | "ridmap"), value)) = option.split_once('=') else {
            return Ok(None);
        };
        let malformed = || {
            Error::new(ErrorKind::InvalidConfig, format!("invalid id map {option:?}"))
                .hint("write it as idmap=uids=0-1000-10#10-2000-5;gids=0-1000-10")
        };
        let ranges = ranges(value).ok_or_else(malformed)?;
        Ok(Some(Self { whole_tree: name == "ridmap", ranges: Some(ranges) }))
    }
}

fn ranges(value: &str) -> Option<Ranges> {
    let mut ranges = Ranges::default();
    for part in value.split(';').filter(|part| !part.is_empty()) {
        let (list, triplets) = match part.split_once('=')? {
            ("uids", triplets) => (&mut ranges.uids, triplets),
            ("gids", triplets) => (&mut ranges.gids, triplets),
            _ => return None,
        };
        for triplet in triplets.split('#') {
            list.push(range(triplet)?);
        }
    }
    (!ranges.uids.is_empty() && !ranges.gids.is_empty()).then_some(ranges)
}

fn range(triplet: &str) -> Option<Range> {
    let numbers = triplet.strip_prefix('@');
    let relative = numbers.is_some();
    let mut numbers = numbers.unwrap_or(triplet).split('-').map(number);
    let range = Range {
        source: numbers.next()??,
        target: numbers.next()??,
        size: numbers.next()??,
        relative,
    };
    let ends = |first: u32| first.checked_add(range.size).is_some();
    let good = range.size > 0 && ends(range.source) && ends(range.target);
    (good && numbers.next().is_none()).then_some(range)
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_from_the_option() {
        let map = IdMap::parse("ridmap=uids=0-1000-10#@10-0-5;gids=1-2-3").unwrap().unwrap();
        assert!(map.whole_tree);
        let ranges = map.ranges.unwrap();
        assert_eq!(
            ranges.uids,
            [
                Range { source: 0, target: 1000, size: 10, relative: false },
                Range { source: 10, target: 0, size: 5, relative: true },
            ]
        );
        assert_eq!(ranges.gids, [Range { source: 1, target: 2, size: 3, relative: false }]);
    }

    #[test]
    fn another_option_is_not_a_map_and_a_broken_map_is_refused() {
        assert_eq!(IdMap::parse("uid=5").unwrap(), None);
        for bad in [
            "idmap=",
            "idmap=uids=0-1-1",
            "idmap=uids=0-1-0;gids=0-1-1",
            "idmap=uids=0-1;gids=0-1-1",
            "idmap=uids=0-1-1-1;gids=0-1-1",
            "idmap=uids=+0-1-1;gids=0-1-1",
            "idmap=uids=4294967295-0-1;gids=0-1-1",
            "idmap=users=0-1-1;gids=0-1-1",
        ] {
            assert!(IdMap::parse(bad).is_err(), "{bad}");
        }
    }
}
