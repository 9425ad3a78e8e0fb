//! The execution domain of a process.

use oci_spec::runtime::{LinuxPersonality, LinuxPersonalityDomain as Domain};

use crate::bundle::item;
use crate::error::{Error, Result};

/// The flags of personality(2) by name (linux/personality.h). The specification names none.
const FLAGS: [(&str, u32); 11] = [
    ("ADDR_COMPAT_LAYOUT", 0x020_0000),
    ("ADDR_LIMIT_32BIT", 0x080_0000),
    ("ADDR_LIMIT_3GB", 0x800_0000),
    ("ADDR_NO_RANDOMIZE", 0x004_0000),
    ("FDPIC_FUNCPTRS", 0x008_0000),
    ("MMAP_PAGE_ZERO", 0x010_0000),
    ("READ_IMPLIES_EXEC", 0x040_0000),
    ("SHORT_INODE", 0x100_0000),
    ("STICKY_TIMEOUTS", 0x400_0000),
    ("UNAME26", 0x002_0000),
    ("WHOLE_SECONDS", 0x200_0000),
];

/// The argument of personality(2) that `linux.personality` asks for.
///
/// # Errors
/// A flag that the kernel does not have (config.md, Valid values).
pub fn resolve(wanted: &LinuxPersonality) -> Result<u32> {
    let domain = match wanted.domain() {
        Domain::PerLinux => 0,
        Domain::PerLinux32 => 8,
    };
    let flags = wanted.flags().as_deref().unwrap_or_default();
    flags.iter().enumerate().try_fold(domain, |all, (index, wanted)| {
        let known = FLAGS.iter().find(|(name, _)| name == wanted);
        let (_, bit) = known.ok_or_else(|| unknown(index, wanted))?;
        Ok(all | bit)
    })
}

fn unknown(index: usize, flag: &str) -> Error {
    let names = FLAGS.map(|(name, _)| name);
    let pointer = item("/linux/personality/flags", index);
    Error::config(pointer, format!("unknown personality flag {flag:?}"))
        .hint(format!("use {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_and_flags_are_one_number() {
        let resolve = |text: &str| resolve(&serde_json::from_str(text).unwrap());
        assert_eq!(resolve(r#"{"domain":"LINUX"}"#).unwrap(), 0);
        let text = r#"{"domain":"LINUX32","flags":["SHORT_INODE","ADDR_NO_RANDOMIZE"]}"#;
        assert_eq!(resolve(text).unwrap(), 0x104_0008);
        let error = resolve(r#"{"domain":"LINUX","flags":["UNAME26","NO_SUCH"]}"#).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/personality/flags/1"));
    }

    #[test]
    fn the_flags_are_those_of_libc() {
        let known = |name: &str| FLAGS.iter().find(|(known, _)| *known == name).unwrap().1;
        for (name, bit) in [
            ("ADDR_COMPAT_LAYOUT", libc::ADDR_COMPAT_LAYOUT),
            ("ADDR_LIMIT_32BIT", libc::ADDR_LIMIT_32BIT),
            ("ADDR_LIMIT_3GB", libc::ADDR_LIMIT_3GB),
            ("ADDR_NO_RANDOMIZE", libc::ADDR_NO_RANDOMIZE),
            ("FDPIC_FUNCPTRS", libc::FDPIC_FUNCPTRS),
            ("MMAP_PAGE_ZERO", libc::MMAP_PAGE_ZERO),
            ("READ_IMPLIES_EXEC", libc::READ_IMPLIES_EXEC),
            ("SHORT_INODE", libc::SHORT_INODE),
            ("STICKY_TIMEOUTS", libc::STICKY_TIMEOUTS),
            ("UNAME26", libc::UNAME26),
            ("WHOLE_SECONDS", libc::WHOLE_SECONDS),
        ] {
            assert_eq!(known(name), bit.cast_unsigned(), "{name}");
        }
    }
}
