//! A container that gets no cgroup because its caller wants none.

use super::{Cgroup, Mode};
use crate::error::{Error, ErrorKind, Notice, Result};
use crate::plan::resources::Present;
use oci_spec::runtime::LinuxResources;

/// Refuses limits: nothing would enforce them. Device rules are passed over, since
/// every engine sends some. Without a pid namespace of its own, either, its processes cannot be
/// told from others: that is mentioned.
pub(in crate::plan) fn do_without(
    resources: Option<&LinuxResources>,
    own_pids: bool,
    notices: &mut Vec<Notice>,
) -> Result<()> {
    if !own_pids {
        let message = "neither a cgroup nor a pid namespace of its own: kill and delete reach the \
                       container's first process alone";
        notices.push(Notice::new("/linux/namespaces", message));
    }
    let Some(resources) = resources else { return Ok(()) };
    let nowhere =
        Cgroup { mode: Mode::V2, base: String::new(), directories: Vec::new(), unit: None };
    let limits = nowhere.limits(resources, Present::default())?;
    if let Some(write) = limits.writes.into_iter().next() {
        let message = format!("cannot set {} limit: cgroups are disabled", write.controller);
        return Err(Error::new(ErrorKind::Unsupported, message)
            .at(write.pointer)
            .hint("remove the limit, or let a cgroup be made"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str) -> Result<()> {
        let mut notices = Vec::new();
        do_without(Some(&serde_json::from_str(text).unwrap()), true, &mut notices)?;
        assert!(notices.is_empty());
        Ok(())
    }

    #[test]
    fn what_nobody_can_end_is_mentioned() {
        let mut notices = Vec::new();
        do_without(None, false, &mut notices).unwrap();
        assert_eq!(notices.len(), 1);
    }

    #[test]
    fn limits_are_refused_and_device_rules_passed_over() {
        without(r#"{"memory":{},"cpu":{}}"#).unwrap();
        let error = without(r#"{"pids":{"limit":5}}"#).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/resources/pids/limit"));
        assert!(error.to_string().starts_with("cannot set pids limit: cgroups are disabled"));
        without(r#"{"devices":[{"allow":false}]}"#).unwrap();
    }
}
