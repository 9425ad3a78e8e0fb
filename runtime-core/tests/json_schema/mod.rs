//! The part of JSON Schema (draft 4) that the schemas of the runtime-spec use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The schemas of the runtime-spec, by their file names.
#[derive(Debug)]
pub struct Schemas(BTreeMap<String, Value>);

/// One schema, and the file that its references are relative to.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'s> {
    /// What it says.
    pub rules: &'s Value,
    file: &'s str,
}

/// Where the copies of the runtime-spec's files are.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-core/tests/data")
}

impl Schemas {
    /// All of the copies; those for other platforms are not among them.
    pub fn load() -> Self {
        let entries = fs::read_dir(data().join("schema")).expect("the schemas are there");
        Self(
            entries
                .map(|entry| {
                    let path = entry.expect("a directory entry").path();
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let text = fs::read(&path).expect("a schema can be read");
                    (name, serde_json::from_slice(&text).expect("a schema is JSON"))
                })
                .collect(),
        )
    }

    /// The schema that is a whole file.
    pub fn file(&self, name: &str) -> Schema<'_> {
        let (file, rules) = self.0.get_key_value(name).expect("a schema of that name");
        self.resolved(Schema { rules, file })
    }

    /// What a reference leads to; nothing where that is of another platform.
    fn resolved<'s>(&'s self, schema: Schema<'s>) -> Schema<'s> {
        let Some(reference) = schema.rules["$ref"].as_str() else { return schema };
        let (file, pointer) = reference.split_once('#').expect("a fragment");
        let file = if file.is_empty() { schema.file } else { file };
        match self.0.get_key_value(file) {
            Some((file, document)) => {
                let rules = document.pointer(pointer).expect("a reference leads somewhere");
                self.resolved(Schema { rules, file })
            }
            None => Schema { rules: &Value::Null, file: schema.file },
        }
    }

    /// A schema inside another.
    pub fn inner<'s>(&'s self, schema: Schema<'s>, rules: &'s Value) -> Schema<'s> {
        let alternatives = rules["anyOf"].as_array().filter(|all| all.len() == 1);
        let rules = alternatives.map_or(rules, |all| &all[0]);
        self.resolved(Schema { rules, file: schema.file })
    }

    /// The members that `schema` names.
    pub fn properties<'s>(&'s self, schema: Schema<'s>) -> Vec<(&'s str, Schema<'s>)> {
        let named = schema.rules["properties"].as_object().into_iter().flatten();
        named.map(|(name, rules)| (name.as_str(), self.inner(schema, rules))).collect()
    }

    /// The schema of members that are not named.
    pub fn others<'s>(&'s self, schema: Schema<'s>) -> Option<Schema<'s>> {
        let rules = schema.rules.get("additionalProperties").or_else(|| {
            schema.rules["patternProperties"].as_object().and_then(|all| all.values().next())
        });
        rules.filter(|rules| rules.is_object()).map(|rules| self.inner(schema, rules))
    }

    /// What is wrong with `value`, each with its place.
    pub fn faults(&self, schema: Schema<'_>, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(schema, value, "", &mut faults);
        faults
    }

    fn check(&self, schema: Schema<'_>, value: &Value, place: &str, faults: &mut Vec<String>) {
        let rules = schema.rules;
        let fits = match rules["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            _ => true,
        };
        if !fits {
            return faults.push(format!("{place}: {value} is not of type {}", rules["type"]));
        }
        if rules["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            faults.push(format!("{place}: {value} is none of {}", rules["enum"]));
        }
        let number = value.as_f64().unwrap_or_default();
        if rules["minimum"].as_f64().is_some_and(|least| number < least)
            || rules["maximum"].as_f64().is_some_and(|most| number > most)
        {
            faults.push(format!("{place}: {value} is out of range"));
        }
        for name in rules["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.get(name).is_none() {
                faults.push(format!("{place}: {name} is missing"));
            }
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let named = self.properties(schema).into_iter().find(|(known, _)| known == name);
            if let Some(rules) = named.map(|(_, rules)| rules).or(self.others(schema)) {
                self.check(rules, member, &format!("{place}/{name}"), faults);
            }
        }
        for (index, entry) in value.as_array().into_iter().flatten().enumerate() {
            self.check(
                self.inner(schema, &rules["items"]),
                entry,
                &format!("{place}/{index}"),
                faults,
            );
        }
    }
}
