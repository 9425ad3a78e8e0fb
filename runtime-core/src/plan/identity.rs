//! Who a process is.

use oci_spec::runtime::User as Wanted;

/// The umask of a process whose configuration names none.
const UMASK: u32 = 0o022;

/// The user of a process, by the ids that the container's namespace knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// The supplementary groups, all of them.
    pub groups: Vec<u32>,
    /// The file mode creation mask.
    pub umask: u32,
}

impl User {
    /// The user that `wanted` describes.
    pub fn of(wanted: &Wanted) -> Self {
        Self {
            uid: wanted.uid(),
            gid: wanted.gid(),
            groups: wanted.additional_gids().clone().unwrap_or_default(),
            umask: wanted.umask().unwrap_or(UMASK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_umask_is_022_unless_the_configuration_names_one() {
        let user = |text: &str| User::of(&serde_json::from_str(text).unwrap());
        assert_eq!(user("{}"), User { uid: 0, gid: 0, groups: vec![], umask: 0o022 });
        let named = user(r#"{"uid":1,"gid":2,"additionalGids":[5,6],"umask":0}"#);
        assert_eq!(named, User { uid: 1, gid: 2, groups: vec![5, 6], umask: 0 });
    }
}
