//! JSON pointers (RFC 6901) into config.json.

/// The pointer of the member `key` of the object at `base`.
pub(crate) fn member(base: &str, key: &str) -> String {
    if key.contains(['~', '/']) {
        return format!("{base}/{}", key.replace('~', "~0").replace('/', "~1"));
    }
    format!("{base}/{key}")
}

/// The pointer of entry `index` of the array at `base`.
pub(crate) fn item(base: &str, index: usize) -> String {
    format!("{base}/{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_or_tilde_in_a_key_is_escaped() {
        assert_eq!(member("/linux/sysctl", "net/a~b"), "/linux/sysctl/net~1a~0b");
        assert_eq!(item("/mounts", 3), "/mounts/3");
    }
}
