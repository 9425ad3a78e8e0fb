//! The environment of a process.

use std::collections::HashSet;

/// An environment ready for execve(2), but for HOME if it is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `NAME=VALUE`, each name once.
    pub entries: Vec<String>,
    /// Whether HOME is among them. If not, it is to be the home directory that
    /// the container's /etc/passwd has for the user.
    pub has_home: bool,
}

impl Environment {
    /// `entries` without duplicates: the last of a name stays, where it
    /// stands. An empty HOME counts as none.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a String>) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        let mut seen = HashSet::new();
        let mut kept: Vec<_> =
            entries.into_iter().rev().filter(|entry| seen.insert(name(entry))).collect();
        kept.retain(|entry| *entry != "HOME=");
        kept.reverse();
        let entries: Vec<_> = kept.into_iter().cloned().collect();
        let has_home = value(&entries, "HOME").is_some();
        Self { entries, has_home }
    }

    /// The value of the variable `wanted`.
    pub fn get(&self, wanted: &str) -> Option<&str> {
        value(&self.entries, wanted)
    }
}

fn name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

fn value<'a>(entries: &'a [String], wanted: &str) -> Option<&'a str> {
    let mut pairs = entries.iter().filter_map(|entry| entry.split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(entries: &[&str]) -> Environment {
        let entries: Vec<_> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Environment::of(&entries)
    }

    #[test]
    fn the_last_of_a_name_wins_and_the_order_stays() {
        let environment = environment(&["A=1", "B=2", "A=3", "C=x=y"]);
        assert_eq!(environment.entries, ["B=2", "A=3", "C=x=y"]);
        assert_eq!((environment.get("A"), environment.get("C")), (Some("3"), Some("x=y")));
        assert_eq!(environment.get("D"), None);
    }

    #[test]
    fn an_empty_home_is_a_missing_one() {
        assert!(environment(&["HOME=/root"]).has_home);
        let last_is_empty = environment(&["HOME=/root", "HOME="]);
        assert_eq!((last_is_empty.entries.len(), last_is_empty.has_home), (0, false));
        assert!(!environment(&["HOMER=/x"]).has_home);
    }
}
