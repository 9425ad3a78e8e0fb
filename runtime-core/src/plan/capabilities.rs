//! From the names of capabilities to the masks that the kernel takes.

use std::str::FromStr;

use caps::Capability as Cap;
use oci_spec::runtime::{Capabilities, Capability as Name, LinuxCapabilities};

use crate::bundle::member;
use crate::error::Notice;

/// The capabilities in the order of their numbers (capabilities(7)).
const TABLE: [(Name, Cap); 41] = [
    (Name::Chown, Cap::CAP_CHOWN),
    (Name::DacOverride, Cap::CAP_DAC_OVERRIDE),
    (Name::DacReadSearch, Cap::CAP_DAC_READ_SEARCH),
    (Name::Fowner, Cap::CAP_FOWNER),
    (Name::Fsetid, Cap::CAP_FSETID),
    (Name::Kill, Cap::CAP_KILL),
    (Name::Setgid, Cap::CAP_SETGID),
    (Name::Setuid, Cap::CAP_SETUID),
    (Name::Setpcap, Cap::CAP_SETPCAP),
    (Name::LinuxImmutable, Cap::CAP_LINUX_IMMUTABLE),
    (Name::NetBindService, Cap::CAP_NET_BIND_SERVICE),
    (Name::NetBroadcast, Cap::CAP_NET_BROADCAST),
    (Name::NetAdmin, Cap::CAP_NET_ADMIN),
    (Name::NetRaw, Cap::CAP_NET_RAW),
    (Name::IpcLock, Cap::CAP_IPC_LOCK),
    (Name::IpcOwner, Cap::CAP_IPC_OWNER),
    (Name::SysModule, Cap::CAP_SYS_MODULE),
    (Name::SysRawio, Cap::CAP_SYS_RAWIO),
    (Name::SysChroot, Cap::CAP_SYS_CHROOT),
    (Name::SysPtrace, Cap::CAP_SYS_PTRACE),
    (Name::SysPacct, Cap::CAP_SYS_PACCT),
    (Name::SysAdmin, Cap::CAP_SYS_ADMIN),
    (Name::SysBoot, Cap::CAP_SYS_BOOT),
    (Name::SysNice, Cap::CAP_SYS_NICE),
    (Name::SysResource, Cap::CAP_SYS_RESOURCE),
    (Name::SysTime, Cap::CAP_SYS_TIME),
    (Name::SysTtyConfig, Cap::CAP_SYS_TTY_CONFIG),
    (Name::Mknod, Cap::CAP_MKNOD),
    (Name::Lease, Cap::CAP_LEASE),
    (Name::AuditWrite, Cap::CAP_AUDIT_WRITE),
    (Name::AuditControl, Cap::CAP_AUDIT_CONTROL),
    (Name::Setfcap, Cap::CAP_SETFCAP),
    (Name::MacOverride, Cap::CAP_MAC_OVERRIDE),
    (Name::MacAdmin, Cap::CAP_MAC_ADMIN),
    (Name::Syslog, Cap::CAP_SYSLOG),
    (Name::WakeAlarm, Cap::CAP_WAKE_ALARM),
    (Name::BlockSuspend, Cap::CAP_BLOCK_SUSPEND),
    (Name::AuditRead, Cap::CAP_AUDIT_READ),
    (Name::Perfmon, Cap::CAP_PERFMON),
    (Name::Bpf, Cap::CAP_BPF),
    (Name::CheckpointRestore, Cap::CAP_CHECKPOINT_RESTORE),
];

/// The highest number that is known here.
pub const LAST: u32 = TABLE.len() as u32 - 1;

/// The five sets of a process, one bit a capability number. No bit in any is
/// what an absent `capabilities` object means, the bounding set included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// The most that any exec can bring back.
    pub bounding: u64,
    /// What the process may use now.
    pub effective: u64,
    /// What the process may make effective.
    pub permitted: u64,
    /// What is kept over an exec of a file that inherits it.
    pub inheritable: u64,
    /// What is kept over an exec of any file.
    pub ambient: u64,
}

impl CapabilitySets {
    /// What `wanted`, the object at the JSON pointer `base`, amounts to where
    /// only the capabilities in the mask `available` can be had: those the
    /// kernel knows and the process that becomes the container holds.
    ///
    /// What cannot be granted is left out with a notice, since it MUST be
    /// logged and SHOULD NOT fail (config.md, Linux Process).
    pub fn of(
        wanted: Option<&LinuxCapabilities>,
        available: u64,
        base: &str,
    ) -> (Self, Vec<Notice>) {
        let mut notices = Vec::new();
        let Some(wanted) = wanted else { return (Self::default(), notices) };
        let asked = Self {
            bounding: mask(wanted.bounding().as_ref()),
            effective: mask(wanted.effective().as_ref()),
            permitted: mask(wanted.permitted().as_ref()),
            inheritable: mask(wanted.inheritable().as_ref()),
            ambient: mask(wanted.ambient().as_ref()),
        };
        let mut keep = |set: &str, asked: u64, allowed: u64, phrase: fn(&str) -> String| {
            for name in names(asked & !allowed) {
                notices.push(Notice::new(member(base, set), phrase(&name)));
            }
            asked & allowed
        };
        let unavailable: fn(&str) -> String =
            |name| format!("ignoring unknown or unavailable capabilities: [{name}]");
        let bounding = keep("bounding", asked.bounding, available, unavailable);
        let permitted = keep("permitted", asked.permitted, available, unavailable);
        // capset(2) refuses an effective capability that is not permitted, and
        // one newly inheritable that the bounding set lacks.
        let effective = keep("effective", asked.effective, permitted, |name| {
            format!("can't make capability {name} effective: it is not permitted")
        });
        let inheritable = keep("inheritable", asked.inheritable, bounding, |name| {
            format!("can't make capability {name} inheritable: it is not in the bounding set")
        });
        let ambient = keep("ambient", asked.ambient, permitted & inheritable, |name| {
            format!("can't raise ambient capability {name}: not both permitted and inheritable")
        });
        (Self { bounding, effective, permitted, inheritable, ambient }, notices)
    }

    /// Adds the capabilities in `mask` for one process, as `exec --cap` does:
    /// never to the inheritable set, to the ambient one where they are
    /// inheritable already.
    pub fn grant(&mut self, mask: u64) {
        self.bounding |= mask;
        self.effective |= mask;
        self.permitted |= mask;
        self.ambient |= mask & self.inheritable;
    }
}

/// The mask of every capability up to the number `last`
/// (`/proc/sys/kernel/cap_last_cap`).
pub const fn up_to(last: u32) -> u64 {
    if last >= 63 { u64::MAX } else { (1 << (last + 1)) - 1 }
}

/// The mask of the capability `name`, with or without `CAP_`, in any case.
pub fn parse(name: &str) -> Option<u64> {
    Cap::from_str(&caps::to_canonical(name)).ok().map(|capability| capability.bitmask())
}

/// The mask of those of `names` that are capabilities; the others are mentioned.
pub fn parse_known(names: &[String], notices: &mut Vec<Notice>) -> u64 {
    names.iter().fold(0, |mask, name| match parse(name) {
        Some(bit) => mask | bit,
        None => {
            let message = format!("ignoring unknown or unavailable capabilities: [{name}]");
            notices.push(Notice::new("", message));
            mask
        }
    })
}

/// The sets of `own` with `mask` added as `exec --cap` does: never to the
/// inheritable set (CVE-2022-29162), to the ambient one where inheritable already.
pub fn granted(own: Option<&LinuxCapabilities>, mask: u64) -> LinuxCapabilities {
    let mut sets = own.cloned().unwrap_or_default();
    let (base, _) = CapabilitySets::of(own, u64::MAX, "");
    let mut wanted = base;
    wanted.grant(mask);
    sets.set_bounding(Some(set_of(wanted.bounding)))
        .set_effective(Some(set_of(wanted.effective)))
        .set_permitted(Some(set_of(wanted.permitted)))
        .set_inheritable(Some(set_of(wanted.inheritable)))
        .set_ambient(Some(set_of(wanted.ambient)));
    sets
}

fn set_of(mask: u64) -> Capabilities {
    TABLE
        .iter()
        .filter(|(_, capability)| capability.bitmask() & mask != 0)
        .map(|(name, _)| *name)
        .collect()
}

/// The names of the capabilities in `mask`, by number.
pub fn names(mask: u64) -> Vec<String> {
    let set = TABLE.iter().filter(|(_, capability)| capability.bitmask() & mask != 0);
    set.map(|(_, capability)| capability.to_string()).collect()
}

fn mask(names: Option<&Capabilities>) -> u64 {
    let Some(names) = names else { return 0 };
    let named = TABLE.iter().filter(|(name, _)| names.contains(name));
    named.fold(0, |mask, (_, capability)| mask | capability.bitmask())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILL: u64 = 1 << 5;
    const CHOWN: u64 = 1 << 0;
    const SYSLOG: u64 = 1 << 34;

    fn sets(text: &str, available: u64) -> (CapabilitySets, Vec<String>) {
        let wanted: LinuxCapabilities = serde_json::from_str(text).unwrap();
        let (sets, notices) = CapabilitySets::of(Some(&wanted), available, "/process/capabilities");
        (sets, notices.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_table_has_every_capability_at_its_number() {
        for (number, (name, capability)) in TABLE.iter().enumerate() {
            assert_eq!(usize::from(capability.index()), number);
            assert_eq!(capability.to_string(), format!("CAP_{name}"));
        }
        assert_eq!(names(u64::MAX).len(), TABLE.len());
        assert_eq!(names(up_to(1)), ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
    }

    #[test]
    fn an_absent_object_drops_everything() {
        assert_eq!(CapabilitySets::of(None, u64::MAX, ""), (CapabilitySets::default(), vec![]));
    }

    #[test]
    fn the_sets_become_masks() {
        let (sets, notices) = sets(
            r#"{"inheritable":["CAP_CHOWN","CAP_SYSLOG"],"permitted":["CAP_KILL","CAP_CHOWN"],
                "effective":["CAP_KILL"],"bounding":["CAP_KILL","CAP_CHOWN","CAP_SYSLOG"],
                "ambient":["CAP_CHOWN"]}"#,
            u64::MAX,
        );
        assert_eq!(notices, [""; 0]);
        let expected = CapabilitySets {
            bounding: KILL | CHOWN | SYSLOG,
            effective: KILL,
            permitted: KILL | CHOWN,
            inheritable: CHOWN | SYSLOG,
            ambient: CHOWN,
        };
        assert_eq!(sets, expected);
    }

    #[test]
    fn what_cannot_be_granted_is_left_out_with_a_notice() {
        let (sets, notices) = sets(
            r#"{"bounding":["CAP_KILL","CAP_SYSLOG"],"permitted":["CAP_KILL"],
                "effective":["CAP_CHOWN"],"inheritable":["CAP_KILL"],
                "ambient":["CAP_KILL","CAP_CHOWN"]}"#,
            up_to(5),
        );
        let expected = CapabilitySets {
            bounding: KILL,
            effective: 0,
            permitted: KILL,
            inheritable: KILL,
            ambient: KILL,
        };
        assert_eq!(sets, expected);
        assert_eq!(
            notices,
            [
                "ignoring unknown or unavailable capabilities: [CAP_SYSLOG] \
                 (config.json /process/capabilities/bounding)",
                "can't make capability CAP_CHOWN effective: it is not permitted \
                 (config.json /process/capabilities/effective)",
                "can't raise ambient capability CAP_CHOWN: not both permitted and inheritable \
                 (config.json /process/capabilities/ambient)",
            ]
        );
    }

    #[test]
    fn a_grant_reaches_the_ambient_set_only_where_inheritable() {
        let mut sets = CapabilitySets { inheritable: SYSLOG, ..CapabilitySets::default() };
        sets.grant(SYSLOG | KILL);
        assert_eq!((sets.permitted, sets.ambient), (SYSLOG | KILL, SYSLOG));
        assert_eq!(sets.inheritable, SYSLOG);
    }

    #[test]
    fn names_are_read_in_any_form() {
        assert_eq!(parse("CAP_KILL"), Some(KILL));
        assert_eq!(parse("kill"), Some(KILL));
        assert_eq!(parse("CAP_MAGIC"), None);
    }
}
