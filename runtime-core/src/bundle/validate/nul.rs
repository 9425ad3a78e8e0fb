//! No string of a document may hold a NUL: the kernel would end it there, and
//! what was checked would not be what is used.

use crate::bundle::places::Places;
use crate::error::Error;

/// The strings with a NUL in the text `raw` of a document.
pub fn check_text(raw: &[u8]) -> Vec<Error> {
    // In JSON a NUL can only be written as this escape.
    if !str::from_utf8(raw).is_ok_and(|text| text.contains("\\u0000")) {
        return Vec::new();
    }
    let places = Places::of(raw);
    let faulty = places.iter().filter(|place| {
        let key = place.pointer.rsplit('/').next().unwrap_or_default();
        key.contains('\0') || holds_nul(places.text(place))
    });
    faulty
        .map(|place| {
            Error::config(place.pointer.replace('\0', "\\u0000"), "string contains a NUL byte")
                .hint("remove \\u0000")
        })
        .collect()
}

fn holds_nul(text: &[u8]) -> bool {
    text.starts_with(b"\"")
        && serde_json::from_slice::<String>(text).is_ok_and(|value| value.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_in_values_and_keys_and_not_in_what_only_looks_like_one() {
        let text = br#"{"a":["x","y\u0000z"],"b":{"k\u0000":"v"},"c":"\\u0000"}"#;
        let faults = check_text(text);
        let found: Vec<_> = faults.iter().filter_map(Error::pointer).collect();
        assert_eq!(found, ["/a/1", "/b/k\\u0000"]);
    }
}
