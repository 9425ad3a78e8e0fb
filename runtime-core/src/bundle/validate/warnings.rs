//! What a configuration had better not say, and still may.

use oci_spec::runtime::Spec;

use super::list;
use crate::bundle::{item, member};
use crate::error::Notice;

/// What is worth telling a user about `spec` that does not stop a container.
pub fn warnings(spec: &Spec) -> Vec<Notice> {
    let mut notices = Vec::new();
    relative_destinations(spec, &mut notices);
    kernel_memory(spec, &mut notices);
    notices
}

/// config.md, Mounts: relative destinations are deprecated since 1.0.2.
fn relative_destinations(spec: &Spec, notices: &mut Vec<Notice>) {
    for (index, mount) in list(spec.mounts()).iter().enumerate() {
        let destination = mount.destination();
        if !destination.is_absolute() {
            let message =
                format!("mount destination {} is relative: taken below /", destination.display());
            notices.push(Notice::new(member(&item("/mounts", index), "destination"), message));
        }
    }
}

/// config-linux.md, Memory: kernel limits are gone since Linux 5.4 and 6.1.
fn kernel_memory(spec: &Spec, notices: &mut Vec<Notice>) {
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let Some(memory) = resources.and_then(|resources| resources.memory().as_ref()) else { return };
    #[allow(deprecated, reason = "to say that it is ignored")]
    let kernel = memory.kernel();
    for (field, value) in [("kernel", kernel), ("kernelTCP", memory.kernel_tcp())] {
        if value.is_some() {
            let pointer = member("/linux/resources/memory", field);
            notices.push(Notice::new(pointer, "kernel memory settings are ignored"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::parse_spec;

    #[test]
    fn relative_destinations_and_kernel_memory_are_mentioned() {
        let text = br#"{"mounts":[{"destination":"a"},{"destination":"/b"}],
            "linux":{"resources":{"memory":{"kernel":1}}}}"#;
        let (spec, _) = parse_spec(text).unwrap();
        let pointers: Vec<_> = warnings(&spec).into_iter().map(|notice| notice.pointer).collect();
        assert_eq!(pointers, ["/mounts/0/destination", "/linux/resources/memory/kernel"]);
    }
}
