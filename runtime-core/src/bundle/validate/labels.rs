//! Labels need a security module that gives them a meaning. Without one a process would
//! run unconfined where its configuration says otherwise.

use std::path::Path;

use oci_spec::runtime::Process;

use super::{Faults, text};
use crate::bundle::member;
use crate::error::Error;

/// What the labels of the process object at `base` ask of this host that it does not
/// have. Looks at the host only where there are labels.
pub fn check_labels(process: &Process, base: &str) -> Vec<Error> {
    let mut faults = Faults::default();
    if !text(process.apparmor_profile()).is_empty() && !has_apparmor() {
        let message = "apparmor: config provided but apparmor not supported";
        let remedy = "leave the profile out, or boot the host with AppArmor";
        faults.add(member(base, "apparmorProfile"), message, remedy);
    }
    if !text(process.selinux_label()).is_empty() && !has_selinux() {
        let message =
            "selinux label is specified in config, but selinux is disabled or not supported";
        let remedy = "leave the label out, or boot the host with SELinux";
        faults.add(member(base, "selinuxLabel"), message, remedy);
    }
    faults.0
}

fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|answer| answer.first() == Some(&b'Y'))
}

fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}
