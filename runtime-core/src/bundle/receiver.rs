//! Where the seccomp listener goes.

use std::path::Path;

use oci_spec::runtime::Spec;

const MEMBER: &str = "/linux/seccomp/listenerPath";
/// What crun had before the specification had `listenerPath`.
const ANNOTATION: &str = "run.oci.seccomp.receiver";
const ANNOTATION_POINTER: &str = "/annotations/run.oci.seccomp.receiver";

/// The socket of the agent, and where in config.json it is named. An empty path
/// is an absent one.
pub(crate) fn seccomp_receiver(spec: &Spec) -> Option<(&'static str, &Path)> {
    let profile = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
    let path = profile.and_then(|profile| profile.listener_path().as_deref());
    let annotation = || spec.annotations().as_ref().and_then(|all| all.get(ANNOTATION));
    let named = |path: &&Path| !path.as_os_str().is_empty();
    path.filter(named).map(|path| (MEMBER, path)).or_else(|| {
        let path = annotation().map(Path::new).filter(named);
        path.map(|path| (ANNOTATION_POINTER, path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::parse_spec;

    fn receiver(member: &str, annotation: &str) -> Option<(&'static str, String)> {
        let text = format!(
            r#"{{"ociVersion":"1.0.2","annotations":{{"run.oci.seccomp.receiver":"{annotation}"}},
                "linux":{{"seccomp":{{"defaultAction":"SCMP_ACT_LOG","listenerPath":"{member}"}}}}}}"#
        );
        let (spec, _) = parse_spec(text.as_bytes()).unwrap();
        seccomp_receiver(&spec).map(|(pointer, path)| (pointer, path.display().to_string()))
    }

    #[test]
    fn the_specifications_name_comes_before_the_older_one() {
        assert_eq!(receiver("/a", "/b"), Some((MEMBER, "/a".to_owned())));
        assert_eq!(receiver("", "/b"), Some((ANNOTATION_POINTER, "/b".to_owned())));
        assert_eq!(receiver("", ""), None);
    }
}
