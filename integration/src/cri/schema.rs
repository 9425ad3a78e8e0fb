//! What `api.proto` says.

use std::collections::HashMap;

use crate::outcome::{Outcome, Stop};

const TEXT: &str = include_str!("api.proto");

/// Services with their methods, messages and enumerations.
#[derive(Debug, Default)]
pub struct Schema {
    /// The path of a method, with the messages of its request and its answer.
    methods: HashMap<&'static str, (String, &'static str, &'static str)>,
    messages: HashMap<&'static str, Vec<Field>>,
    enums: HashMap<&'static str, Vec<(&'static str, i64)>>,
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub number: u64,
    pub kind: Kind,
    pub repeated: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    Signed,
    Unsigned,
    Double,
    Text,
    Bytes,
    /// From text to text.
    Map,
    /// A message or an enumeration.
    Named(&'static str),
}

impl Schema {
    pub fn new() -> Self {
        let mut schema = Self::default();
        let mut package = "";
        let mut open = ("", "");
        let uncommented = TEXT.split_inclusive('\n').filter(|line| !line.starts_with("//"));
        let statements = uncommented.flat_map(|line| line.split_inclusive([';', '{', '}']));
        let mut words: Vec<&'static str> = Vec::new();
        for part in statements {
            let symbol = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.');
            words.extend(part.split(symbol).filter(|word| !word.is_empty()));
            if !part.ends_with([';', '{', '}']) {
                continue;
            }
            match (open, words.as_slice()) {
                (_, ["package", name]) => package = name,
                (_, ["message", name]) => {
                    schema.messages.insert(name, Vec::new());
                    open = ("message", name);
                }
                (_, [kind, name]) if part.ends_with('{') => open = (kind, name),
                (("service", service), ["rpc", name, request, "returns", reply]) => {
                    let path = format!("/{package}.{service}/{name}");
                    schema.methods.insert(name, (path, request, reply));
                }
                (("message", message), words) => {
                    schema.messages.entry(message).or_default().extend(Field::parse(words));
                }
                (("enum", name), [value, number]) => {
                    let number = number.parse().unwrap_or(-1);
                    schema.enums.entry(name).or_default().push((value, number));
                }
                _ => {}
            }
            words.clear();
        }
        schema
    }

    /// The path of a method, and the messages of its request and its answer.
    pub fn method(&self, name: &str) -> Outcome<(String, &'static str, &'static str)> {
        self.methods.get(name).cloned().ok_or_else(|| {
            let mut known: Vec<_> = self.methods.keys().copied().collect();
            known.sort_unstable();
            Stop::fail(format!("{name}: no such method; known are {}", known.join(", ")))
        })
    }

    /// The fields of a message, unless the name is that of an enumeration.
    pub fn message(&self, name: &str) -> Option<&[Field]> {
        self.messages.get(name).map(Vec::as_slice)
    }

    /// The values of an enumeration.
    pub fn values(&self, name: &str) -> &[(&'static str, i64)] {
        self.enums.get(name).map_or(&[], Vec::as_slice)
    }
}

impl Field {
    /// `[repeated] TYPE NAME NUMBER`.
    fn parse(words: &[&'static str]) -> Option<Self> {
        let (repeated, words) = match words {
            ["repeated", rest @ ..] => (true, rest),
            _ => (false, words),
        };
        let (kind, name, number) = match words {
            ["map", "string", "string", name, number] => (Kind::Map, name, number),
            [kind, name, number] => (Kind::parse(kind), name, number),
            _ => return None,
        };
        Some(Self { name, number: number.parse().ok()?, kind, repeated })
    }
}

impl Kind {
    fn parse(word: &'static str) -> Self {
        match word {
            "bool" => Self::Bool,
            "int32" | "int64" => Self::Signed,
            "uint32" | "uint64" => Self::Unsigned,
            "double" => Self::Double,
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            name => Self::Named(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_used_is_known() {
        let schema = Schema::new();
        assert!(schema.methods.len() > 20);
        for (_, request, reply) in schema.methods.values() {
            assert!(schema.message(request).is_some(), "{request}");
            assert!(schema.message(reply).is_some(), "{reply}");
        }
        for field in schema.messages.values().flatten() {
            if let Kind::Named(name) = field.kind {
                let known = schema.message(name).is_some() || !schema.values(name).is_empty();
                assert!(known, "{name} of {}", field.name);
            }
        }
    }

    #[test]
    fn fields_have_their_numbers() {
        let schema = Schema::new();
        let (path, request, _) = schema.method("ExecSync").unwrap();
        assert_eq!(path, "/runtime.v1.RuntimeService/ExecSync");
        let fields = schema.message(request).unwrap();
        let command = fields.iter().find(|field| field.name == "cmd").unwrap();
        assert_eq!((command.number, command.kind, command.repeated), (2, Kind::Text, true));
        assert!(schema.values("NamespaceMode").contains(&("NODE", 2)));
        assert!(schema.method("NoSuchMethod").is_err());
    }
}
