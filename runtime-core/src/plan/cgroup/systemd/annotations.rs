//! `org.systemd.property.NAME`: properties that engines and users add.

use std::collections::HashMap;

use super::properties::Property;
use super::text;
use super::value::Value;
use crate::bundle::member;
use crate::error::{Error, Result};

const PREFIX: &str = "org.systemd.property.";

/// The properties of `annotations`, by name.
pub(super) fn properties(annotations: Option<&HashMap<String, String>>) -> Result<Vec<Property>> {
    let mut found: Vec<(&String, &String)> = annotations.into_iter().flatten().collect();
    found.retain(|(key, _)| key.starts_with(PREFIX));
    found.sort_unstable();
    found.into_iter().map(|(key, value)| property(key, value)).collect()
}

fn property(key: &str, text: &str) -> Result<Property> {
    let pointer = member("/annotations", key);
    let name = key.strip_prefix(PREFIX).unwrap_or_default();
    if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(Error::config(pointer, format!("annotation {key} name incorrect"))
            .hint("a property's name has three letters or more, and only letters"));
    }
    let value = text::parse(text).and_then(|value| match seconds(name) {
        Some(_) => microseconds(&value),
        None => Some(value),
    });
    let value = value.ok_or_else(|| {
        Error::config(pointer, format!("annotation {key}={text} value parse error"))
            .hint("write it as GVariant text: true, uint64 5, 'text', ['a', 'b']; a time in seconds as a number")
    })?;
    let name = seconds(name).unwrap_or_else(|| name.to_owned());
    Ok(Property { name, value, optional: false })
}

/// `TimeoutStopSec`, as unit files have it, is `TimeoutStopUSec` on D-Bus.
fn seconds(name: &str) -> Option<String> {
    let stem = name.strip_suffix("Sec")?;
    stem.ends_with(|c: char| c.is_ascii_lowercase()).then(|| format!("{stem}USec"))
}

fn microseconds(value: &Value) -> Option<Value> {
    const SECOND: u64 = 1_000_000;
    let whole = match *value {
        Value::Byte(n) => u64::from(n),
        Value::I16(n) => u64::try_from(n).ok()?,
        Value::U16(n) => u64::from(n),
        Value::I32(n) => u64::try_from(n).ok()?,
        Value::U32(n) => u64::from(n),
        Value::I64(n) => u64::try_from(n).ok()?,
        Value::U64(n) => n,
        Value::Double(seconds) if (0.0..1e12).contains(&seconds) => {
            // In range by the bounds above.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let microseconds = (seconds * 1e6) as u64;
            return Some(Value::U64(microseconds));
        }
        _ => return None,
    };
    whole.checked_mul(SECOND).map(Value::U64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &str, value: &str) -> Result<String> {
        let annotations = HashMap::from([
            (format!("{PREFIX}{key}"), value.to_owned()),
            ("other".to_owned(), "x".to_owned()),
        ]);
        let properties = properties(Some(&annotations))?;
        let all = properties.iter().map(|one| format!("{}={}", one.name, one.value));
        Ok(all.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_property_has_the_name_and_value_of_its_annotation() {
        assert_eq!(shown("CollectMode", "'inactive'").unwrap(), "CollectMode=\"inactive\"");
        assert_eq!(shown("TimeoutStopSec", "1.5").unwrap(), "TimeoutStopUSec=1500000");
        assert_eq!(shown("TimeoutStopUSec", "uint64 5").unwrap(), "TimeoutStopUSec=5");
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        for (key, value) in
            [("Ab", "1"), ("Col.Mode", "1"), ("CollectMode", "inactive"), ("StopSec", "'1'")]
        {
            let error = shown(key, value).unwrap_err();
            assert_eq!(error.pointer(), Some(format!("/annotations/{PREFIX}{key}").as_str()));
        }
    }
}
