//! The JSON schema of the runtime-spec, walked: every property of every object is known here, with
//! its type, and a value that is wrong is refused with its place.

#[allow(unreachable_pub, reason = "the integration tests use it as well")]
mod json_schema;

use std::fs;
use std::path::Path;

use json_schema::{Schema, Schemas, data};
use runtime_core::bundle::{parse_spec, validate};
use runtime_core::{Error, ErrorKind, features};
use serde_json::{Map, Value, json};

/// What stands for another platform, and is not looked at on Linux.
const ELSEWHERE: [&str; 2] = ["/process/commandLine", "/process/user/username"];

/// Numbers that may be missing, and are 0 then, as runc takes them; a device rule without `allow`
/// denies, and a limit of pids that is missing is left alone.
const MAY_BE_MISSING: [&str; 11] = [
    "containerID",
    "hostID",
    "allow",
    "hugepageLimits/0/limit",
    "priorities/0/name",
    "priorities/0/priority",
    "pids/limit",
    "consoleSize/height",
    "consoleSize/width",
    "ioPriority/class",
    "rlimits/0/soft",
];

/// Beyond the schema, but what a kernel takes: the bits of set-user-id and the like.
const MAY_BE_LARGER: &str = "/linux/devices/0/fileMode";

/// Words of the schema that no container can have, and why.
const NEVER: [(&str, &str); 2] = [
    // config-linux.md, seccomp: not as default action.
    ("/linux/seccomp/defaultAction", "SCMP_ACT_NOTIFY"),
    // No kernel has it.
    ("/process/scheduler/policy", "SCHED_ISO"),
];

/// Strings that must look like something.
fn word(pointer: &str) -> &'static str {
    match pointer {
        "/ociVersion" => "1.3.0",
        "/linux/resources/hugepageLimits/0/pageSize" => "2MB",
        "/process/rlimits/0/type" => "RLIMIT_NOFILE",
        "/linux/intelRdt/memBwSchema" => "MB:0=70",
        "/linux/devices/0/type" | "/linux/resources/devices/0/type" => "c",
        "/linux/resources/devices/0/access" => "rwm",
        _ if pointer.ends_with("/env/0") => "NAME=value",
        _ if pointer.starts_with("/process/execCPUAffinity") => "0-1",
        _ if pointer.starts_with("/process/capabilities") => "CAP_KILL",
        _ => "/word",
    }
}

/// A value with every property that the schema names.
fn full(schemas: &Schemas, schema: Schema<'_>, pointer: &str) -> Value {
    let rules = schema.rules;
    if let Some(words) = rules["enum"].as_array() {
        return words[0].clone();
    }
    match rules["type"].as_str() {
        Some("string") => json!(word(pointer)),
        Some("boolean") => json!(true),
        Some("integer") => json!(rules["minimum"].as_i64().unwrap_or(0).max(1)),
        Some("array") => {
            let inner = schemas.inner(schema, &rules["items"]);
            json!([full(schemas, inner, &format!("{pointer}/0"))])
        }
        _ => {
            let named = schemas.properties(schema).into_iter();
            let others = schemas.others(schema).map(|rules| ("any", rules));
            let members = named.chain(others).filter(|(_, rules)| !rules.rules.is_null());
            let members = members.map(|(name, rules)| {
                (name.to_owned(), full(schemas, rules, &format!("{pointer}/{name}")))
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// Calls `visit` with every place of a full value and the schema there.
fn walk<'s>(
    schemas: &'s Schemas,
    schema: Schema<'s>,
    pointer: &str,
    visit: &mut impl FnMut(&str, Schema<'s>),
) {
    if ELSEWHERE.contains(&pointer) || schema.rules.is_null() {
        return;
    }
    visit(pointer, schema);
    if let Some(items) = schema.rules.get("items") {
        walk(schemas, schemas.inner(schema, items), &format!("{pointer}/0"), visit);
    }
    let others = schemas.others(schema).map(|rules| ("any", rules));
    for (name, inner) in schemas.properties(schema).into_iter().chain(others) {
        walk(schemas, inner, &format!("{pointer}/{name}"), visit);
    }
}

fn places(schemas: &Schemas) -> Vec<(String, Schema<'_>)> {
    let mut all = Vec::new();
    let config = schemas.file("config-schema.json");
    walk(schemas, config, "", &mut |pointer, schema| all.push((pointer.to_owned(), schema)));
    assert!(all.len() > 250, "only {} places", all.len());
    all
}

/// What reading and checking `tree` find wrong.
fn faults(tree: &Value) -> Vec<Error> {
    let text = serde_json::to_vec(tree).unwrap();
    match parse_spec(&text) {
        Ok((spec, _)) => validate::check(&spec),
        Err(error) => vec![error],
    }
}

/// The full configuration with another value at `pointer`.
fn with(full: &Value, pointer: &str, value: Value) -> Value {
    let mut tree = full.clone();
    *tree.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    tree
}

fn wrong_values(kind: &str) -> Vec<Value> {
    let all = [
        ("boolean", json!(true)),
        ("integer", json!(7)),
        ("number", json!(1.5)),
        ("string", json!("7")),
        ("array", json!([])),
        ("object", json!({})),
    ];
    all.into_iter().filter(|(name, _)| *name != kind).map(|(_, value)| value).collect()
}

#[test]
fn a_value_with_every_property_of_the_schema_is_read_and_none_is_lost() {
    let schemas = Schemas::load();
    let config = schemas.file("config-schema.json");
    let full = full(&schemas, config, "");
    assert_eq!(schemas.faults(config, &full), [""; 0]);
    let (spec, notices) = parse_spec(full.to_string().as_bytes()).unwrap();
    assert_eq!(notices, []);
    let kept = serde_json::to_value(&spec).unwrap();
    for (pointer, _) in places(&schemas) {
        assert!(kept.pointer(&pointer).is_some(), "{pointer} is lost");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_place() {
    let schemas = Schemas::load();
    let full = full(&schemas, schemas.file("config-schema.json"), "");
    let mut wrong = Vec::new();
    for (pointer, schema) in places(&schemas) {
        let kind = schema.rules["type"].as_str().unwrap_or("object");
        for value in wrong_values(kind) {
            let found = faults(&with(&full, &pointer, value.clone()));
            let right = found.first().is_some_and(|fault| {
                fault.kind() == ErrorKind::InvalidConfig && fault.pointer() == Some(&pointer)
            });
            if !right {
                wrong.push(format!("{pointer} = {value}: {:?}", found.first()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_word_of_a_set_is_read_and_any_other_refused_with_its_place() {
    let schemas = Schemas::load();
    let full = full(&schemas, schemas.file("config-schema.json"), "");
    let mut wrong = Vec::new();
    for (pointer, schema) in places(&schemas) {
        let Some(words) = schema.rules["enum"].as_array() else { continue };
        for word in words
            .iter()
            .filter(|word| !NEVER.iter().any(|(place, never)| *place == pointer && *word == never))
        {
            let found = faults(&with(&full, &pointer, word.clone()));
            wrong.extend(
                found
                    .into_iter()
                    .filter(|fault| fault.pointer() == Some(&pointer))
                    .map(|fault| format!("{pointer} = {word}: {fault}")),
            );
        }
        let found = faults(&with(&full, &pointer, json!("BOGUS")));
        if !found.iter().any(|fault| fault.pointer() == Some(&pointer)) {
            wrong.push(format!("{pointer} = BOGUS: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_number_out_of_range_is_refused_with_its_place() {
    let schemas = Schemas::load();
    let full = full(&schemas, schemas.file("config-schema.json"), "");
    let mut wrong = Vec::new();
    for (pointer, schema) in places(&schemas) {
        let bound = |name: &str| schema.rules[name].as_i64();
        let below = bound("minimum").and_then(|least| least.checked_sub(1));
        let above = bound("maximum").and_then(|most| most.checked_add(1));
        for value in [below, above.filter(|_| pointer != MAY_BE_LARGER)].into_iter().flatten() {
            let found = faults(&with(&full, &pointer, json!(value)));
            if !found.iter().any(|fault| fault.pointer() == Some(&pointer)) {
                wrong.push(format!("{pointer} = {value}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_required_property_that_is_missing_is_named() {
    let schemas = Schemas::load();
    let full = full(&schemas, schemas.file("config-schema.json"), "");
    let mut wrong = Vec::new();
    for (pointer, schema) in places(&schemas) {
        let required = schema.rules["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            let mut tree = full.clone();
            let object = tree.pointer_mut(&pointer).and_then(Value::as_object_mut).unwrap();
            object.remove(name);
            let place = format!("{pointer}/{name}");
            let found = faults(&tree);
            let told = found.iter().any(|fault| {
                fault.pointer() == Some(&place)
                    || fault.pointer() == Some(&pointer) && fault.to_string().contains(name)
            });
            if !told && !MAY_BE_MISSING.iter().any(|end| place.ends_with(end)) {
                wrong.push(format!("{place} is missing: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn documents(folder: &str) -> Vec<(String, Option<Value>)> {
    let entries = fs::read_dir(data().join(folder)).unwrap();
    let read = |path: &Path| serde_json::from_slice(&fs::read(path).unwrap()).ok();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), read(&path)))
        .collect()
}

#[test]
fn the_samples_of_the_spec_are_told_apart_by_its_schemas() {
    let schemas = Schemas::load();
    for kind in ["features", "state"] {
        let schema = schemas.file(&format!("{kind}-schema.json"));
        for (name, document) in documents(&format!("{kind}/good")) {
            assert_eq!(schemas.faults(schema, &document.unwrap()), [""; 0], "{name}");
        }
        for (name, document) in documents(&format!("{kind}/bad")) {
            let good =
                document.is_some_and(|document| schemas.faults(schema, &document).is_empty());
            assert!(!good, "{name}");
        }
    }
}

#[test]
fn features_are_as_the_schema_wants_them_and_their_lists_sorted() {
    let schemas = Schemas::load();
    let features = serde_json::to_value(features()).unwrap();
    assert_eq!(schemas.faults(schemas.file("features-schema.json"), &features), [""; 0]);
    for pointer in [
        "/mountOptions",
        "/linux/namespaces",
        "/linux/seccomp/actions",
        "/linux/seccomp/operators",
        "/linux/seccomp/archs",
        "/linux/seccomp/knownFlags",
        "/linux/memoryPolicy/modes",
        "/linux/memoryPolicy/flags",
    ] {
        let list = features.pointer(pointer).and_then(Value::as_array).unwrap();
        assert!(list.is_sorted_by(|a, b| a.as_str() < b.as_str()), "{pointer}: {list:?}");
    }
}

#[test]
fn features_list_every_word_that_the_schema_has() {
    let schemas = Schemas::load();
    let features = serde_json::to_value(features()).unwrap();
    let mut compared = 0;
    for (pointer, schema) in places(&schemas) {
        let list = match pointer.as_str() {
            "/linux/namespaces/0/type" => "/linux/namespaces",
            "/linux/seccomp/syscalls/0/action" => "/linux/seccomp/actions",
            "/linux/seccomp/syscalls/0/args/0/op" => "/linux/seccomp/operators",
            "/linux/seccomp/architectures/0" => "/linux/seccomp/archs",
            "/linux/seccomp/flags/0" => "/linux/seccomp/knownFlags",
            "/linux/memoryPolicy/mode" => "/linux/memoryPolicy/modes",
            "/linux/memoryPolicy/flags/0" => "/linux/memoryPolicy/flags",
            _ => continue,
        };
        let listed = features.pointer(list).and_then(Value::as_array).unwrap();
        for word in schema.rules["enum"].as_array().unwrap() {
            assert!(listed.contains(word), "{list} lacks {word}");
            compared += 1;
        }
    }
    assert!(compared > 40, "only {compared} words were compared");
}
