//! From the text of a document to the types of the runtime-spec.
//!
//! The good path is one pass of the parser. Only a refused text is looked at
//! again: with the tolerances of [`super::relax`], and to say where it is wrong.

use oci_spec::runtime::{LinuxResources, Mount, Process, Spec};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::places::Places;
use super::{objects, relax};
use crate::error::{Error, ErrorKind, Notice, Result};

/// The specification in the text of a config.json, and what had to be
/// overlooked to read it.
pub fn parse_spec(raw: &[u8]) -> Result<(Spec, Vec<Notice>)> {
    let (mut spec, notices) = parse(raw, "", relax::spec)?;
    forget_absent_pids_limit(&mut spec, raw);
    Ok((spec, notices))
}

/// The process in the text of a process document, as `exec --process` takes it.
pub fn parse_process(raw: &[u8]) -> Result<(Process, Vec<Notice>)> {
    parse(raw, "/process", relax::process)
}

/// The limits in the text of a resources document, as `update --resources` takes it.
pub fn parse_resources(raw: &[u8]) -> Result<(LinuxResources, Vec<Notice>)> {
    let (mut resources, notices) = parse(raw, "/linux/resources", relax::resources)?;
    forget_absent_limit(&mut resources, raw, "/pids/limit");
    Ok((resources, notices))
}

/// The mounts in the text of a list of them, as `mounts add` takes it.
pub fn parse_mounts(raw: &[u8]) -> Result<Vec<Mount>> {
    let (mounts, _) = parse(raw, "/mounts", relax::mounts)?;
    Ok(mounts)
}

fn forget_absent_pids_limit(spec: &mut Spec, raw: &[u8]) {
    let linux = spec.linux_mut().as_mut();
    if let Some(resources) = linux.and_then(|linux| linux.resources_mut().as_mut()) {
        forget_absent_limit(resources, raw, "/linux/resources/pids/limit");
    }
}

/// The type reads an absent `pids.limit` as 0, which would be enforced;
/// absent means untouched.
fn forget_absent_limit(resources: &mut LinuxResources, raw: &[u8], pointer: &str) {
    if resources.pids().is_some_and(|pids| pids.limit() == 0) {
        let tree: Value = serde_json::from_slice(raw).unwrap_or_default();
        let limit = tree.pointer(pointer);
        if limit.is_none_or(Value::is_null) {
            resources.set_pids(None);
        }
    }
}

/// `base` is the place in a configuration that the document has.
fn parse<T: DeserializeOwned>(
    raw: &[u8],
    base: &str,
    relax: fn(&mut Value) -> Vec<Notice>,
) -> Result<(T, Vec<Notice>)> {
    match serde_json::from_slice(raw) {
        Ok(document) => match objects::check(raw, base) {
            None => Ok((document, Vec::new())),
            Some(wrong) => Err(wrong),
        },
        // Also for what it calls a syntax error: it says so of a number where
        // one of a set of words is due.
        Err(_) => parse_relaxed(raw, base, relax),
    }
}

fn parse_relaxed<T: DeserializeOwned>(
    raw: &[u8],
    base: &str,
    relax: fn(&mut Value) -> Vec<Notice>,
) -> Result<(T, Vec<Notice>)> {
    let mut tree: Value = serde_json::from_slice(raw).map_err(|error| not_json(&error))?;
    let places = Places::of(raw);
    refuse_duplicates(&places)?;
    let notices = relax(&mut tree);
    // Text again, so that the one parser of `T` in the program serves both.
    let relaxed = serde_json::to_vec(&tree).map_err(|error| not_json(&error))?;
    match serde_json::from_slice(&relaxed) {
        Ok(document) => match objects::check(raw, base) {
            None => Ok((document, notices)),
            Some(wrong) => Err(wrong),
        },
        // Of an array in the place of an object the parser tells its length only.
        Err(error) => {
            Err(objects::check(raw, base).unwrap_or_else(|| wrong_value(&error, &relaxed, &places)))
        }
    }
}

/// Two members of one name: parsers differ in which of them they take.
fn refuse_duplicates(places: &Places<'_>) -> Result<()> {
    let Some(place) = places.duplicate() else { return Ok(()) };
    let (_, name) = place.pointer.rsplit_once('/').unwrap_or_default();
    let message = format!("duplicate field `{name}`");
    Err(Error::config(&place.pointer, message).hint("keep one of the two"))
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("not valid JSON: {error}"))
        .hint("the document must be one JSON object and nothing after it")
}

/// Composes what the parser said about `relaxed` with the place in the text
/// as the user wrote it.
fn wrong_value(error: &serde_json::Error, relaxed: &[u8], written: &Places<'_>) -> Error {
    let pointer = Places::of(relaxed).at(error.line(), error.column()).to_owned();
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    let said = if said == "expected value" { "value of the wrong type" } else { said };
    let subject = subject(&pointer);
    let message = match written.position(&pointer) {
        Some((line, column)) => format!("{subject}{said} at line {line} column {column}"),
        None => format!("{subject}{said}"),
    };
    Error::config(pointer, message)
}

/// What runc calls the value at `pointer`, where callers may look for its words.
fn subject(pointer: &str) -> &'static str {
    match pointer.strip_prefix("/linux/memoryPolicy") {
        Some("" | "/mode") => "invalid memory policy mode: ",
        Some(member) if member.starts_with("/flags") => "invalid memory policy flag: ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Error {
        parse_spec(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn broken_json_names_line_and_column() {
        let error = refusal("{]");
        assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidConfig, None));
        assert!(error.to_string().contains("at line 1 column 2"), "{error}");
    }

    #[test]
    fn text_after_the_document_is_refused() {
        assert!(refusal(r#"{"ociVersion":"1.0.0"} x"#).to_string().contains("trailing characters"));
    }

    #[test]
    fn a_value_of_the_wrong_type_has_a_pointer_and_a_position() {
        let error = refusal("{\"linux\": {\"netDevices\": {\"eth0\":\n {\"name\": 23}}}}");
        assert_eq!(error.pointer(), Some("/linux/netDevices/eth0/name"));
        assert!(error.to_string().contains("at line 2 column 11"), "{error}");
    }

    #[test]
    fn wrong_containers_unknown_words_and_missing_members_have_pointers() {
        for (text, pointer) in [
            (r#"{"process":{"cwd":"/","args":[{}]}}"#, "/process/args/0"),
            (r#"{"mounts":[{"destination":"/a"},{"type":"bind"}]}"#, "/mounts/1"),
            (r#"{"mounts": {"a":1}}"#, "/mounts"),
            (
                r#"{"linux":{"namespaces":[{"type":"pid"},{"type":"pidd"}]}}"#,
                "/linux/namespaces/1/type",
            ),
            (r#"{"process":{"cwd":"/","user":{"uid":-1}}}"#, "/process/user/uid"),
            (r#"{"root":{"readonly":"yes"}}"#, "/root/readonly"),
            ("3", ""),
        ] {
            assert_eq!(refusal(text).pointer(), Some(pointer), "{text}");
        }
    }

    #[test]
    fn a_memory_policy_is_refused_in_the_words_of_runc() {
        for (policy, words) in [
            ("{}", "invalid memory policy mode: "),
            (r#"{"mode":"INTERLEAVE","nodes":"0"}"#, "invalid memory policy mode: "),
            (r#"{"mode":"MPOL_BIND","nodes":"0","flags":["x"]}"#, "invalid memory policy flag: "),
        ] {
            let error = refusal(&format!(r#"{{"linux":{{"memoryPolicy":{policy}}}}}"#));
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_member_given_twice_is_refused_even_where_the_text_needs_tolerance() {
        let error =
            refusal(r#"{"process":{"cwd":"/","capabilities":{"bounding":["CAP_X"]},"cwd":"/b"}}"#);
        assert_eq!(error.pointer(), Some("/process/cwd"));
        assert!(error.to_string().contains("duplicate field `cwd`"), "{error}");
    }

    #[test]
    fn an_absent_pids_limit_leaves_the_controller_alone() {
        let limit = |text: &str| {
            let (spec, _) = parse_spec(text.as_bytes()).unwrap();
            let resources = spec.linux().clone().unwrap().resources().clone().unwrap();
            resources.pids().map(|pids| pids.limit())
        };
        assert_eq!(limit(r#"{"linux":{"resources":{"pids":{}}}}"#), None);
        assert_eq!(limit(r#"{"linux":{"resources":{"pids":{"limit":null}}}}"#), None);
        assert_eq!(limit(r#"{"linux":{"resources":{"pids":{"limit":0}}}}"#), Some(0));
    }

    #[test]
    fn a_null_document_is_refused() {
        assert_eq!(refusal("null").pointer(), Some(""));
    }
}
