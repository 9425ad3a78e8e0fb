//! Resource limits by number.

use oci_spec::runtime::{PosixRlimit, PosixRlimitType as Type};

use crate::bundle::item;

/// A limit for prlimit(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// The resource, a `RLIMIT_*`.
    pub resource: u32,
    /// The limit enforced, in the resource's unit.
    pub soft: u64,
    /// The ceiling of the soft limit.
    pub hard: u64,
    /// Where the configuration says so.
    pub pointer: String,
}

/// The limits of the process object at the JSON pointer `base`.
pub fn resolve(rlimits: &[PosixRlimit], base: &str) -> Vec<Rlimit> {
    let list = format!("{base}/rlimits");
    let limit = |(index, rlimit): (usize, &PosixRlimit)| Rlimit {
        resource: number(rlimit.typ()),
        soft: rlimit.soft(),
        hard: rlimit.hard(),
        pointer: item(&list, index),
    };
    rlimits.iter().enumerate().map(limit).collect()
}

/// The name of resource `number`.
pub fn name(number: u32) -> &'static str {
    const NAMES: [&str; 16] = [
        "RLIMIT_CPU",
        "RLIMIT_FSIZE",
        "RLIMIT_DATA",
        "RLIMIT_STACK",
        "RLIMIT_CORE",
        "RLIMIT_RSS",
        "RLIMIT_NPROC",
        "RLIMIT_NOFILE",
        "RLIMIT_MEMLOCK",
        "RLIMIT_AS",
        "RLIMIT_LOCKS",
        "RLIMIT_SIGPENDING",
        "RLIMIT_MSGQUEUE",
        "RLIMIT_NICE",
        "RLIMIT_RTPRIO",
        "RLIMIT_RTTIME",
    ];
    NAMES.get(number as usize).copied().unwrap_or("unknown")
}

fn number(typ: Type) -> u32 {
    match typ {
        Type::RlimitCpu => libc::RLIMIT_CPU,
        Type::RlimitFsize => libc::RLIMIT_FSIZE,
        Type::RlimitData => libc::RLIMIT_DATA,
        Type::RlimitStack => libc::RLIMIT_STACK,
        Type::RlimitCore => libc::RLIMIT_CORE,
        Type::RlimitRss => libc::RLIMIT_RSS,
        Type::RlimitNproc => libc::RLIMIT_NPROC,
        Type::RlimitNofile => libc::RLIMIT_NOFILE,
        Type::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        Type::RlimitAs => libc::RLIMIT_AS,
        Type::RlimitLocks => libc::RLIMIT_LOCKS,
        Type::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        Type::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        Type::RlimitNice => libc::RLIMIT_NICE,
        Type::RlimitRtprio => libc::RLIMIT_RTPRIO,
        Type::RlimitRttime => libc::RLIMIT_RTTIME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_keep_their_order_and_their_place() {
        let wanted: Vec<PosixRlimit> = serde_json::from_str(
            r#"[{"type":"RLIMIT_NOFILE","soft":1,"hard":2},{"type":"RLIMIT_RTTIME","hard":3}]"#,
        )
        .unwrap();
        let limits = resolve(&wanted, "/process");
        assert_eq!(
            limits[0],
            Rlimit { resource: 7, soft: 1, hard: 2, pointer: "/process/rlimits/0".to_owned() }
        );
        assert_eq!((limits[1].resource, limits[1].soft, limits[1].hard), (15, 0, 3));
    }
}
