//! Where the program of a process may be.

/// The paths to try in turn for `program`, as the container sees them.
///
/// A name with a slash is used as it is, relative to the working directory.
/// Any other is looked for in the directories of `path`, the container's
/// PATH; one that is empty or relative would depend on the working directory
/// and is passed over. No path at all means that nothing can be found:
/// `exec: "x": executable file not found in $PATH`.
pub fn candidates(program: &str, path: Option<&str>) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    if program.is_empty() {
        return Vec::new();
    }
    let directories = path.unwrap_or_default().split(':').filter(|dir| dir.starts_with('/'));
    directories.map(|dir| format!("{}/{program}", dir.trim_end_matches('/'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_slash_is_used_as_it_is() {
        assert_eq!(candidates("./run", Some("/bin")), ["./run"]);
        assert_eq!(candidates("/bin/sh", None), ["/bin/sh"]);
    }

    #[test]
    fn a_bare_name_is_looked_for_in_absolute_directories() {
        assert_eq!(
            candidates("sh", Some("/usr/bin:bin::/:/bin/")),
            ["/usr/bin/sh", "/sh", "/bin/sh"]
        );
        assert_eq!(candidates("sh", None), [""; 0]);
        assert_eq!(candidates("", Some("/bin")), [""; 0]);
    }
}
