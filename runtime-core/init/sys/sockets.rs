//! The sockets to the host side.

use super::{Answer, Fd, check, errno, nr, syscall};
use core::ptr;

#[repr(C)]
struct IoVec {
    base: *const u8,
    length: usize,
}

#[repr(C)]
struct MessageHeader {
    name: usize,
    name_length: u32,
    vectors: *const IoVec,
    vector_count: usize,
    control: *const u8,
    control_length: usize,
    flags: i32,
}

/// CLOCK_REALTIME in nanoseconds: the clock that no time namespace changes.
pub fn wall_clock() -> u64 {
    const CLOCK_REALTIME: usize = 0;
    let mut time = [0u64; 2];
    let _ = call!(nr::CLOCK_GETTIME, CLOCK_REALTIME, time.as_mut_ptr());
    time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1])
}

/// Sends one message of up to two parts, with a descriptor if given.
pub fn send(socket: i32, first: &[u8], second: &[u8], attached: Option<i32>) -> Answer<usize> {
    const MSG_NOSIGNAL: usize = 0x4000;
    #[repr(C)]
    struct Attached {
        length: usize,
        level: i32,
        kind: i32,
        fd: i32,
        pad: i32,
    }
    let vectors = [
        IoVec { base: first.as_ptr(), length: first.len() },
        IoVec { base: second.as_ptr(), length: second.len() },
    ];
    let control = Attached { length: 20, level: 1, kind: 1, fd: attached.unwrap_or(-1), pad: 0 };
    let header = MessageHeader {
        name: 0,
        name_length: 0,
        vectors: vectors.as_ptr(),
        vector_count: 2,
        control: if attached.is_some() { (&raw const control).cast() } else { ptr::null() },
        control_length: if attached.is_some() { size_of::<Attached>() } else { 0 },
        flags: 0,
    };
    call!(nr::SENDMSG, socket, &raw const header, MSG_NOSIGNAL)
}

/// One byte; `None` when the other side is gone.
pub fn receive_byte(socket: i32) -> Answer<Option<u8>> {
    let mut byte = 0u8;
    loop {
        match call!(nr::RECVFROM, socket, &raw mut byte, 1, 0, 0, 0) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte)),
            Err(errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

pub fn accept(listener: i32) -> Answer<Fd> {
    const SOCK_CLOEXEC: usize = 0o2000000;
    loop {
        match call!(nr::ACCEPT4, listener, 0, 0, SOCK_CLOEXEC) {
            Err(errno::EINTR) => {}
            answer => return answer.map(|fd| Fd(fd as i32)),
        }
    }
}
