//! JSON to protobuf and back. Fields go by the names of `api.proto`; the values of enumerations by
//! their names, bytes as text.

use serde_json::{Map, Number, Value};

use super::schema::{Field, Kind, Schema};
use crate::outcome::{Outcome, Stop};

/// How a value is laid out, the lower three bits of a field's tag.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// A JSON object as a message.
pub fn encode(schema: &Schema, message: &str, value: &Value) -> Outcome<Vec<u8>> {
    let fields = schema.message(message).unwrap_or_default();
    let object = value.as_object().ok_or_else(|| wrong(message, value))?;
    let mut bytes = Vec::new();
    for (name, value) in object {
        let field = fields.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| Stop::fail(format!("{message} has no field {name}")))?;
        match value {
            Value::Array(items) if field.repeated => {
                for item in items {
                    put_field(schema, field, item, &mut bytes)?;
                }
            }
            Value::Object(pairs) if field.kind == Kind::Map => {
                for (key, value) in pairs {
                    let value = value.as_str().ok_or_else(|| wrong(name, value))?;
                    let mut entry = Vec::new();
                    put_bytes(1, key.as_bytes(), &mut entry);
                    put_bytes(2, value.as_bytes(), &mut entry);
                    put_bytes(field.number, &entry, &mut bytes);
                }
            }
            _ if field.repeated => return Err(wrong(name, value)),
            value => put_field(schema, field, value, &mut bytes)?,
        }
    }
    Ok(bytes)
}

fn put_field(schema: &Schema, field: &Field, value: &Value, to: &mut Vec<u8>) -> Outcome {
    let wrong = || wrong(field.name, value);
    let number = match field.kind {
        Kind::Bool => u64::from(value.as_bool().ok_or_else(wrong)?),
        Kind::Signed => value.as_i64().ok_or_else(wrong)?.cast_unsigned(),
        Kind::Unsigned => value.as_u64().ok_or_else(wrong)?,
        Kind::Named(name) => match schema.message(name) {
            Some(_) => {
                put_bytes(field.number, &encode(schema, name, value)?, to);
                return Ok(());
            }
            None => {
                let word = value.as_str().ok_or_else(wrong)?;
                let found = schema.values(name).iter().find(|known| known.0 == word);
                found.ok_or_else(wrong)?.1.cast_unsigned()
            }
        },
        Kind::Text | Kind::Bytes => {
            put_bytes(field.number, value.as_str().ok_or_else(wrong)?.as_bytes(), to);
            return Ok(());
        }
        // Requests have none; maps are written above.
        Kind::Double | Kind::Map => return Err(wrong()),
    };
    put_number(field.number << 3 | VARINT, to);
    put_number(number, to);
    Ok(())
}

fn put_bytes(field: u64, bytes: &[u8], to: &mut Vec<u8>) {
    put_number(field << 3 | LENGTH, to);
    put_number(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first; the highest bit says that there are more.
fn put_number(mut number: u64, to: &mut Vec<u8>) {
    while number > 0x7f {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn wrong(name: &str, value: &Value) -> Stop {
    Stop::fail(format!("{name} cannot be {value}"))
}

/// A message as a JSON object. It has every field, but for messages that are not there: what is not
/// sent is the type's zero, and nothing tells the two apart.
pub fn decode(schema: &Schema, message: &str, bytes: &[u8]) -> Outcome<Value> {
    let fields = schema.message(message).unwrap_or_default();
    let absent = |field: &Field| match (field.repeated, field.kind) {
        (true, _) => Some(Value::Array(Vec::new())),
        (_, Kind::Map) => Some(Value::Object(Map::new())),
        (_, Kind::Text | Kind::Bytes) => Some("".into()),
        (_, Kind::Bool) => Some(false.into()),
        (_, Kind::Signed | Kind::Unsigned | Kind::Double) => Some(0.into()),
        (_, Kind::Named(name)) => schema.values(name).first().map(|zero| zero.0.into()),
    };
    let with_value = |field: &Field| Some((field.name.to_owned(), absent(field)?));
    let mut object: Map<_, _> = fields.iter().filter_map(with_value).collect();
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        let (number, wire) = reader.wire()?;
        let Some(field) = fields.iter().find(|field| field.number == number) else { continue };
        match field.kind {
            Kind::Map => {
                let entry = decode_entry(wire.bytes()?)?;
                if let Some(Value::Object(map)) = object.get_mut(field.name) {
                    map.insert(entry.0, entry.1.into());
                }
            }
            _ if !field.repeated => {
                object.insert(field.name.to_owned(), value(schema, field, &wire)?);
            }
            // Numbers may come one by one, or packed into one field.
            _ => {
                let items = match (field.kind, &wire) {
                    (Kind::Signed | Kind::Unsigned, Wire::Bytes(packed)) => {
                        let mut packed = Reader(packed);
                        let mut items = Vec::new();
                        while !packed.0.is_empty() {
                            items.push(value(schema, field, &Wire::Number(packed.number()?))?);
                        }
                        items
                    }
                    _ => vec![value(schema, field, &wire)?],
                };
                if let Some(Value::Array(list)) = object.get_mut(field.name) {
                    list.extend(items);
                }
            }
        }
    }
    Ok(Value::Object(object))
}

fn decode_entry(bytes: &[u8]) -> Outcome<(String, String)> {
    let mut entry = (String::new(), String::new());
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        match reader.wire()? {
            (1, wire) => entry.0 = text(wire.bytes()?),
            (2, wire) => entry.1 = text(wire.bytes()?),
            _ => {}
        }
    }
    Ok(entry)
}

fn value(schema: &Schema, field: &Field, wire: &Wire<'_>) -> Outcome<Value> {
    Ok(match field.kind {
        Kind::Bool => (wire.number()? != 0).into(),
        Kind::Signed => wire.number()?.cast_signed().into(),
        Kind::Unsigned => wire.number()?.into(),
        Kind::Double => Number::from_f64(f64::from_bits(wire.number()?)).into(),
        Kind::Text | Kind::Bytes => text(wire.bytes()?).into(),
        Kind::Named(name) => match schema.message(name) {
            Some(_) => decode(schema, name, wire.bytes()?)?,
            None => {
                let number = wire.number()?.cast_signed();
                let known = schema.values(name).iter().find(|value| value.1 == number);
                known.map_or_else(|| number.into(), |value| value.0.into())
            }
        },
        Kind::Map => return Err(broken()),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn broken() -> Stop {
    Stop::fail("the answer is no protobuf message")
}

/// What stands in a field.
#[derive(Debug)]
enum Wire<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

impl<'b> Wire<'b> {
    fn number(&self) -> Outcome<u64> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Bytes(_) => Err(broken()),
        }
    }

    fn bytes(&self) -> Outcome<&'b [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(broken()),
        }
    }
}

#[derive(Debug)]
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    /// The next field: its number and what it holds.
    fn wire(&mut self) -> Outcome<(u64, Wire<'b>)> {
        let tag = self.number()?;
        let wire = match tag & 7 {
            VARINT => Wire::Number(self.number()?),
            FIXED64 => Wire::Number(self.fixed(8)?),
            FIXED32 => Wire::Number(self.fixed(4)?),
            LENGTH => {
                let length = usize::try_from(self.number()?).map_err(|_| broken())?;
                Wire::Bytes(self.take(length)?)
            }
            _ => return Err(broken()),
        };
        Ok((tag >> 3, wire))
    }

    fn number(&mut self) -> Outcome<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(broken())
    }

    fn fixed(&mut self, length: usize) -> Outcome<u64> {
        let bytes = self.take(length)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: usize) -> Outcome<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(broken)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn there_and_back(message: &str, value: &Value) -> Value {
        let schema = Schema::new();
        decode(&schema, message, &encode(&schema, message, value).unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let value = json!({
            "metadata": { "name": "pod", "attempt": 300 },
            "labels": { "a": "1", "b": "2" },
            "dns_config": { "servers": ["one", "two"] },
            "linux": { "security_context": {
                "run_as_user": { "value": -7 },
                "supplemental_groups": [1, 2],
                "namespace_options": { "network": "NODE" },
                "privileged": true,
            } },
        });
        let got = there_and_back("PodSandboxConfig", &value);
        assert_eq!(
            got["metadata"],
            json!({ "name": "pod", "uid": "", "namespace": "", "attempt": 300 })
        );
        assert_eq!(got["labels"], value["labels"]);
        assert_eq!(got["dns_config"]["servers"], json!(["one", "two"]));
        let context = &got["linux"]["security_context"];
        assert_eq!(context["run_as_user"]["value"], -7);
        assert_eq!(context["supplemental_groups"], json!([1, 2]));
        assert_eq!(context["namespace_options"]["network"], "NODE");
        assert_eq!(context["namespace_options"]["pid"], "POD");
        assert_eq!(context["privileged"], true);
        assert_eq!(context.get("seccomp"), None);
    }

    #[test]
    fn bytes_are_those_of_protobuf() {
        let schema = Schema::new();
        let value = json!({ "container_id": "id", "cmd": ["a"], "timeout": 150 });
        let bytes = encode(&schema, "ExecSyncRequest", &value).unwrap();
        let fields: [&[u8]; 3] = [b"\x0a\x02id", b"\x12\x01a", b"\x18\x96\x01"];
        assert_eq!(bytes.len(), fields.concat().len());
        for field in fields {
            assert!(bytes.windows(field.len()).any(|window| window == field), "{bytes:?}");
        }
        let packed = decode(&schema, "LinuxContainerUser", b"\x1a\x03\x01\x96\x01").unwrap();
        assert_eq!(packed["supplemental_groups"], json!([1, 150]));
    }

    #[test]
    fn unknown_fields_are_passed_over_and_wrong_ones_refused() {
        let schema = Schema::new();
        let got = decode(&schema, "RunPodSandboxResponse", b"\xfa\x01\x01x\x0a\x01i").unwrap();
        assert_eq!(got, json!({ "pod_sandbox_id": "i" }));
        for bytes in [b"\x0a\x05i".as_slice(), b"\x0a", b"\x08\x01", b"\x0f", &[0xff; 12]] {
            assert!(decode(&schema, "RunPodSandboxResponse", bytes).is_err(), "{bytes:?}");
        }
        for value in
            [json!({ "no_field": 1 }), json!({ "timeout": "x" }), json!({ "cmd": "x" }), json!(1)]
        {
            assert!(encode(&schema, "ExecSyncRequest", &value).is_err(), "{value}");
        }
    }
}
