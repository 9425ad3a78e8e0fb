//! Names, network and terminals.

use super::{Answer, Fd, check, flag, nr, syscall};
use core::ffi::CStr;

pub fn set_hostname(name: &CStr) -> Answer<usize> {
    call!(nr::SETHOSTNAME, name.as_ptr(), name.count_bytes())
}

pub fn set_domainname(name: &CStr) -> Answer<usize> {
    call!(nr::SETDOMAINNAME, name.as_ptr(), name.count_bytes())
}

/// IFF_UP on `lo`.
pub fn loopback_up() -> Answer<usize> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o2000000;
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u8 = 1;
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16] = IFF_UP;
    let socket = call!(nr::SOCKET, AF_INET, SOCK_DGRAM_CLOEXEC, 0).map(|fd| Fd(fd as i32))?;
    call!(nr::IOCTL, socket.raw(), SIOCSIFFLAGS, request.as_mut_ptr())
}

/// Unlocks the terminal behind `master` and tells its number.
pub fn terminal_number(master: i32) -> Answer<u32> {
    const TIOCGPTN: usize = 0x8004_5430;
    const TIOCSPTLCK: usize = 0x4004_5431;
    let unlocked = 0i32;
    call!(nr::IOCTL, master, TIOCSPTLCK, &raw const unlocked)?;
    let mut number = 0u32;
    call!(nr::IOCTL, master, TIOCGPTN, &raw mut number)?;
    Ok(number)
}

/// The other end of the terminal behind `master` (Linux 4.13).
pub fn terminal_peer(master: i32) -> Answer<Fd> {
    const TIOCGPTPEER: usize = 0x5441;
    call!(nr::IOCTL, master, TIOCGPTPEER, flag::O_RDWR | flag::O_NOCTTY | flag::O_CLOEXEC).map(|fd| Fd(fd as i32))
}

pub fn terminal_size(fd: i32, width: u16, height: u16) -> Answer<usize> {
    const TIOCSWINSZ: usize = 0x5414;
    let size = [height, width, 0, 0];
    call!(nr::IOCTL, fd, TIOCSWINSZ, size.as_ptr())
}

pub fn controlling_terminal(fd: i32) -> Answer<usize> {
    const TIOCSCTTY: usize = 0x540e;
    call!(nr::IOCTL, fd, TIOCSCTTY, 0)
}
