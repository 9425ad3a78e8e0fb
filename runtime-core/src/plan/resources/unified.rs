//! `resources.unified`: v2 files by name, last, so that they overrule.

use std::collections::HashMap;

use super::{Limits, Missing, Write, pointer};
use crate::error::{Error, Result};

/// v1 has no unified hierarchy to write to.
pub(super) fn v1(files: Option<&HashMap<String, String>>) -> Result<()> {
    match files {
        Some(files) if !files.is_empty() => Err(Error::config(
            pointer("unified"),
            "invalid configuration: cannot use unified on cgroup v1",
        )
        .hint("give the limits in the other fields of resources, or boot with cgroup v2")),
        _ => Ok(()),
    }
}

/// Sorted by name, because JSON objects have no order; one write a line,
/// because the kernel takes one setting a write.
pub(super) fn v2(files: Option<&HashMap<String, String>>, limits: &mut Limits) -> Result<()> {
    let mut files: Vec<_> = files.into_iter().flatten().collect();
    files.sort_unstable();
    for (file, text) in files {
        let pointer = pointer(&format!("unified/{}", file.replace('~', "~0").replace('/', "~1")));
        let controller = controller_of(file, &pointer)?;
        // No text is a value, too: it empties a cpuset.
        let empty = text.is_empty().then_some("");
        for line in text.lines().chain(empty) {
            limits.add(Write {
                controller: controller.clone().into(),
                file: file.clone().into(),
                value: line.to_owned(),
                pointer: pointer.clone(),
                missing: Missing::Fail,
                retry_last: false,
                not_below: None,
            });
        }
    }
    Ok(())
}

fn controller_of(file: &str, pointer: &str) -> Result<String> {
    if file.contains('/') {
        let message = format!("unified resource {file:?} must be a file name (no slashes)");
        return Err(Error::config(pointer, message));
    }
    match file.split_once('.') {
        Some((controller, parameter)) if !controller.is_empty() && !parameter.is_empty() => {
            Ok(controller.to_owned())
        }
        _ => {
            let message =
                format!("unified resource {file:?} must be in the form CONTROLLER.PARAMETER");
            Err(Error::config(pointer, message))
        }
    }
}
