//! Rules for the user a process runs as and for environments.

use oci_spec::runtime::User;

use super::{Faults, list};
use crate::bundle::{item, member};

/// The rules for the `user` of the process object at `base`.
pub(super) fn user(user: &User, base: &str, faults: &mut Faults) {
    let pointer = || member(base, "user");
    id(user.uid(), || member(&pointer(), "uid"), faults);
    id(user.gid(), || member(&pointer(), "gid"), faults);
    for (index, gid) in list(user.additional_gids()).iter().enumerate() {
        id(*gid, || item(&member(&pointer(), "additionalGids"), index), faults);
    }
    if let Some(umask) = user.umask().filter(|umask| *umask > 0o777) {
        let message = format!("umask {umask} has more than permission bits");
        faults.add(member(&pointer(), "umask"), message, "use at most 511, octal 0777");
    }
}

/// The kernel reads the highest id as "leave unchanged", and callers have
/// wrapped large ids to root (CVE-2024-40635).
pub(super) fn id(id: u32, pointer: impl Fn() -> String, faults: &mut Faults) {
    if id == u32::MAX {
        faults.add(pointer(), format!("invalid id {id}"), "use an id below 4294967295");
    }
}

/// config.md, Process: entries are those of `environ`, `NAME=VALUE`.
pub(super) fn environment(env: &[String], pointer: impl Fn() -> String, faults: &mut Faults) {
    for (index, entry) in env.iter().enumerate() {
        let message = match entry.find('=') {
            Some(0) => "invalid environment variable: name cannot be empty",
            None => "invalid environment variable: missing '='",
            Some(_) => continue,
        };
        faults.add(item(&pointer(), index), message, "write it NAME=VALUE");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    #[test]
    fn the_id_that_means_unchanged_is_refused() {
        assert_eq!(
            faults(
                r#"{"process":{"user":{"uid":4294967295,"gid":4294967295,
                    "additionalGids":[1,4294967295]}}}"#
            ),
            [
                "/process/user/uid: invalid id 4294967295",
                "/process/user/gid: invalid id 4294967295",
                "/process/user/additionalGids/1: invalid id 4294967295",
            ]
        );
    }

    #[test]
    fn a_umask_is_permission_bits() {
        assert_eq!(
            faults(r#"{"process":{"user":{"umask":512}}}"#),
            ["/process/user/umask: umask 512 has more than permission bits"]
        );
    }

    #[test]
    fn environment_entries_have_a_name_and_an_equals_sign() {
        assert_eq!(
            faults(r#"{"process":{"env":["A=","B","=C"]}}"#),
            [
                "/process/env/1: invalid environment variable: missing '='",
                "/process/env/2: invalid environment variable: name cannot be empty",
            ]
        );
    }
}
