//! Everything in a configuration that its types refuse, where reading stops at the first.
//!
//! The value that was refused is taken away, and the rest read again, until nothing is refused.

use serde_json::Value;

use super::parse_spec;
use super::places::Places;
use super::pointer::{item, member};
use crate::error::Error;

/// How many are looked for.
const MOST: usize = 64;

/// The values of `raw` that are refused, in the order in which reading stops at them.
pub(crate) fn check_types(raw: &[u8]) -> Vec<Error> {
    let Ok(mut tree) = serde_json::from_slice::<Value>(raw) else {
        return parse_spec(raw).err().into_iter().collect();
    };
    let places = Places::of(raw);
    let mut found: Vec<Error> = Vec::new();
    let mut gone = Gone::default();
    let mut text = raw.to_vec();
    while let Err(error) = parse_spec(&text)
        && found.len() < MOST
    {
        let here = error.pointer().unwrap_or_default().to_owned();
        let place = gone.as_written(&here);
        let inside = format!("{place}/");
        let known = |fault: &Error| fault.pointer().is_some_and(|at| at.starts_with(&inside));
        // What is missing there is what was taken away.
        if !found.iter().any(known) {
            found.push(if found.is_empty() { error } else { placed(&error, &place, &places) });
        }
        if here.is_empty() || !gone.take(&mut tree, &here, &place) {
            break;
        }
        // A tree always has a text.
        text = serde_json::to_vec(&tree).unwrap_or_default();
    }
    found
}

/// The same fault with its place in the text as it was written.
fn placed(error: &Error, pointer: &str, places: &Places<'_>) -> Error {
    let said = error.to_string();
    let said = said.split(" (config.json ").next().unwrap_or_default();
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
    let message = match places.position(pointer) {
        Some((line, column)) => format!("{said} at line {line} column {column}"),
        None => said.to_owned(),
    };
    let fault = Error::config(pointer, message);
    match error.remedy() {
        Some(remedy) => fault.hint(remedy),
        None => fault,
    }
}

/// What was taken away from arrays: their places as written, and the index.
#[derive(Default)]
struct Gone(Vec<(String, usize)>);

impl Gone {
    /// Where the value now at `pointer` stands in the text as it was written.
    fn as_written(&self, pointer: &str) -> String {
        let mut place = String::new();
        for name in pointer.split('/').skip(1) {
            let mut before: Vec<usize> =
                self.0.iter().filter(|(array, _)| *array == place).map(|(_, at)| *at).collect();
            before.sort_unstable();
            place = match name.parse::<usize>() {
                Ok(index) if !before.is_empty() => item(
                    &place,
                    before.iter().fold(index, |at, gone| at + usize::from(*gone <= at)),
                ),
                _ => format!("{place}/{name}"),
            };
        }
        place
    }

    /// Takes away the value at `pointer`, which was written at `place`; whether there was one.
    fn take(&mut self, tree: &mut Value, pointer: &str, place: &str) -> bool {
        let Some((above, name)) = pointer.rsplit_once('/') else { return false };
        match tree.pointer_mut(above) {
            Some(Value::Object(members)) => {
                let key = members.keys().find(|key| member(above, key) == pointer).cloned();
                key.and_then(|key| members.remove(&key)).is_some()
            }
            Some(Value::Array(entries)) => {
                let index = name.parse().ok().filter(|index| *index < entries.len());
                let Some(index) = index else { return false };
                entries.remove(index);
                let (array, at) = place.rsplit_once('/').unwrap_or_default();
                self.0.push((array.to_owned(), at.parse().unwrap_or(index)));
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_of_the_wrong_type_are_found_at_their_places() {
        let text = r#"{"ociVersion": "1.2.0", "hostname": 5,
            "process": {"cwd": "/", "args": "sh", "env": ["A=1", 2, "B=2", 3]},
            "mounts": [{"destination": 1}, {"destination": "/a", "options": 3}, 7, {"type": "bind"}],
            "linux": {"namespaces": [{"type": "pidd"}, {"type": "pid"}, []]}}"#;
        let mut found: Vec<String> = check_types(text.as_bytes())
            .iter()
            .map(|fault| fault.pointer().unwrap_or_default().to_owned())
            .collect();
        found.sort();
        let wanted = [
            "/hostname",
            "/linux/namespaces/0/type",
            "/linux/namespaces/2",
            "/mounts/0/destination",
            "/mounts/1/options",
            "/mounts/2",
            "/mounts/3",
            "/process/args",
            "/process/env/1",
            "/process/env/3",
        ];
        assert_eq!(found, wanted);
        let faults = check_types(text.as_bytes());
        let later = faults.iter().find(|fault| fault.pointer() == Some("/mounts/2")).unwrap();
        assert!(later.to_string().contains(" at line 3 column "), "{later}");
    }

    #[test]
    fn what_is_no_json_or_no_object_is_one_fault_and_what_is_right_none() {
        assert_eq!(check_types(b"{").len(), 1);
        assert_eq!(check_types(b"[]").len(), 1);
        assert_eq!(check_types(br#"{"ociVersion":"1.0.0"}"#).len(), 0);
    }
}
