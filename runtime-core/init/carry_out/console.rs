//! The container's terminal, from its own devpts.

use super::State;
use super::devices::empty_file;
use crate::host::{During, Fault, Host};
use crate::ops::{Call, Fact};
use crate::path;
use crate::sys::{self, Fd, flag};

const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;

impl State {
    pub fn console(&mut self, mount: bool, size: (u16, u16), uid: u32, host: &Host) -> Result<(), Fault> {
        let master = self.open_master()?;
        let number = sys::terminal_number(master.raw()).during(Call::Ioctl)?;
        let slave = sys::terminal_peer(master.raw()).during(Call::Ioctl)?;
        if size != (0, 0) {
            sys::terminal_size(master.raw(), size.0, size.1).during(Call::Ioctl)?;
        }
        if uid != 0 {
            sys::fchown(slave.raw(), uid, u32::MAX).during(Call::Fchown)?;
        }
        if mount {
            self.mount_console(&slave)?;
        }
        host.hand_over(Fact::Console, u64::from(number), master.raw())?;
        sys::controlling_terminal(slave.raw()).during(Call::Ioctl)?;
        for stream in 0..3 {
            sys::dup_to(slave.raw(), stream).during(Call::Dup)?;
        }
        Ok(())
    }

    fn open_master(&self) -> Result<Fd, Fault> {
        let flags = flag::O_RDWR | flag::O_NOCTTY;
        let master = path::open_plain(self.root()?, c"/dev/pts/ptmx", flags).during(Call::Openat2)?;
        let (kind, _) = sys::filesystem(master.raw()).during(Call::Fstatfs)?;
        if kind == DEVPTS_SUPER_MAGIC { Ok(master) } else { Err(Fault::new(Call::NotADevice, 0)) }
    }

    /// Bound by its descriptor: no name that an image could have prepared
    /// decides what /dev/console shows (CVE-2025-52565).
    fn mount_console(&mut self, slave: &Fd) -> Result<(), Fault> {
        let (directory, name) = self.place(c"/dev/console")?;
        let target = empty_file(directory, name.as_text())?;
        let tree = sys::open_tree(slave.raw(), c"", flag::OPEN_TREE_CLONE | flag::AT_EMPTY_PATH);
        let tree = tree.during(Call::OpenTree)?;
        sys::move_mount(tree.raw(), target.raw()).during(Call::MoveMount).map(drop)
    }
}
