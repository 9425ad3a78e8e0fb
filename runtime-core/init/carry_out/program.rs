//! The end: descriptors, signals, the gate, and execve.

use super::State;
use crate::host::{During, Fault, Host};
use crate::ops::{Call, GO, slot};
use crate::path::{self, Buffer};
use crate::sys::{self, Fd, List, errno, flag};
use crate::wire;
use core::ffi::CStr;

/// Signals that the caller ignored are ignored by its children, and across
/// execve: back to their defaults, and none blocked.
pub fn signals(reset: u64) -> Result<(), Fault> {
    for signal in (1..=64u32).filter(|signal| reset & (1 << (signal - 1)) != 0) {
        let _ = sys::default_signal(signal);
    }
    sys::unblock_signals().during(Call::Fcntl).map(drop)
}

pub fn stdio() -> Result<(), Fault> {
    put_in_place(slot::STDIN, 3, 0)
}

pub fn pass_descriptors(first: u64, count: u64) -> Result<(), Fault> {
    put_in_place(first, count, 3)
}

/// Puts the descriptors of `count` slots at `start`, `start + 1`, … None of them
/// may be overwritten before it is in its place, so those in the way move up first.
fn put_in_place(first: u64, count: u64, start: i32) -> Result<(), Fault> {
    const MOST: usize = 64;
    let end = start + count as i32;
    let mut moved = [const { None::<Fd> }; MOST];
    for index in 0..count {
        let Some(fd) = wire::descriptor(first + index) else { continue };
        let place = start + index as i32;
        if fd < end && fd >= start && fd != place {
            let spare = moved.get_mut(index as usize).ok_or(Fault::new(Call::Plan, errno::EINVAL))?;
            *spare = Some(sys::duplicate_above(fd, end).during(Call::Dup)?);
        }
    }
    for index in 0..count {
        let Some(fd) = wire::descriptor(first + index) else { continue };
        let place = start + index as i32;
        let from = moved.get(index as usize).and_then(Option::as_ref).map_or(fd, Fd::raw);
        if wire::is_placeholder(first + index) {
            sys::close(fd).during(Call::Dup)?;
        } else if from == place {
            sys::set_cloexec(place, false).during(Call::Fcntl)?;
        } else {
            sys::dup_to(from, place).during(Call::Dup)?;
        }
    }
    Ok(())
}

/// Closes every descriptor above the standard streams that the plan does not
/// name: what the embedding program left open at exec, or what init is done with.
pub fn close_strangers() -> Result<(), Fault> {
    let mut first = 3u32;
    loop {
        let next = (0..wire::descriptors())
            .filter_map(wire::descriptor)
            .map(|fd| fd as u32)
            .filter(|fd| *fd >= first)
            .min();
        let last = next.map_or(u32::MAX, |fd| fd.wrapping_sub(1));
        if last >= first {
            close_range(first, last, false)?;
        }
        match next {
            Some(fd) => first = fd + 1,
            None => return Ok(()),
        }
    }
}

/// close_range is Linux 5.9, its flag 5.11: before that, one by one.
pub fn close_range(first: u32, last: u32, only_at_exec: bool) -> Result<(), Fault> {
    match sys::close_range(first, last, only_at_exec) {
        Err(errno) if errno::is_missing(errno) || errno == errno::EINVAL => {}
        answer => return answer.during(Call::CloseRange).map(drop),
    }
    let close = |fd: u32| {
        // One that is not open needs nothing.
        let _ = if only_at_exec { sys::set_cloexec(fd as i32, true) } else { sys::close(fd as i32) };
    };
    match super::procfs::own_descriptors() {
        Ok(list) => for_each_listed(list, |fd| {
            if (first..=last).contains(&fd) {
                close(fd);
            }
        }),
        // Without a /proc to trust by number: none is higher since `close_strangers`.
        Err(_) => {
            (first..=last.min(highest_descriptor())).for_each(close);
            Ok(())
        }
    }
}

/// New descriptors get the lowest numbers; init has few of its own.
fn highest_descriptor() -> u32 {
    const OWN: u32 = 255;
    (0..wire::descriptors()).filter_map(wire::descriptor).fold(OWN, |highest, fd| highest.max(fd as u32))
}

fn for_each_listed(list: Fd, mut act: impl FnMut(u32)) -> Result<(), Fault> {
    let mut buffer = [0u8; 2048];
    loop {
        let count = sys::getdents(list.raw(), &mut buffer).during(Call::Getdents)?;
        if count == 0 {
            break;
        }
        let numbers = path::names(&buffer[..count]).filter_map(path::number);
        numbers.filter(|fd| *fd as i32 != list.raw()).for_each(&mut act);
    }
    list.close();
    Ok(())
}

/// Outside a pid namespace of its own init is no first process, from which the kernel keeps
/// these; there they do nothing until `start`, as with runc.
pub fn hold_signals(on: bool) -> Result<(), Fault> {
    if on {
        return sys::block_signals(HELD).during(Call::Sigprocmask).map(drop);
    }
    while sys::take_signal(HELD).is_ok() {}
    sys::unblock_signals().during(Call::Sigprocmask).map(drop)
}

/// SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, and those
/// of real time.
const HELD: u64 = bit(10) | bit(12) | bit(13) | bit(14) | bit(24) | bit(25) | bit(26) | bit(27) | bit(29) | bit(30) | !0 << 31;

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// Waits until `start` knocks and says go. From then on it hears what fails. Who would
/// rather end the container may do so as politely as with one that runs.
pub fn gate(host: &mut Host) -> Result<(), Fault> {
    for signal in [flag::SIGHUP, flag::SIGINT, flag::SIGQUIT, flag::SIGTERM] {
        let _ = sys::end_at(signal);
    }
    let listener = wire::descriptor(slot::GATE).ok_or(Fault::new(Call::Plan, errno::EBADMSG))?;
    loop {
        let visitor = sys::accept(listener).during(Call::Accept)?;
        match sys::receive_byte(visitor.raw()) {
            Ok(Some(GO)) => {
                let _ = sys::close(listener);
                // Out of the way of descriptors that are yet to be put in their places.
                let above = 3 + wire::descriptors() as i32;
                let visitor = sys::duplicate_above(visitor.raw(), above).unwrap_or(visitor);
                host.change(visitor.keep());
                return Ok(());
            }
            // Ended before it said a word: another may come.
            _ => continue,
        }
    }
}

/// Of the container's root, which is the root by now. It may be anything: not
/// waited for, and read only if it is a file.
fn open_passwd() -> Result<Fd, Fault> {
    let root = sys::open(flag::AT_FDCWD, c"/", flag::O_PATH | flag::O_DIRECTORY, 0).during(Call::Open)?;
    let file = path::open(root.raw(), c"/etc/passwd", flag::O_RDONLY | flag::O_NONBLOCK | flag::O_NOCTTY);
    root.close();
    file.during(Call::Open)
}

impl State {
    /// The home of `uid` by the container's own /etc/passwd; "/" when it has none.
    pub fn find_home(&mut self, uid: u32) -> Result<(), Fault> {
        self.home = Buffer::of(b"HOME=/").during(Call::Read)?;
        let Ok(file) = open_passwd() else { return Ok(()) };
        let found = match sys::stat_fd(file.raw()) {
            Ok(stat) if stat.is_regular() => self.read_home(&file, uid),
            _ => Ok(()),
        };
        // Nobody sees it in a container that waits for `start`.
        file.close();
        found
    }

    fn read_home(&mut self, file: &Fd, uid: u32) -> Result<(), Fault> {
        const LONGEST: usize = 4000;
        let mut buffer = [0u8; LONGEST];
        let mut kept = 0;
        let mut ended = false;
        while !ended {
            let count = sys::read(file.raw(), &mut buffer[kept..]).during(Call::Read)?;
            ended = count == 0;
            let filled = kept + count;
            let mut start = 0;
            while let Some(length) = line_length(&buffer[start..filled], ended) {
                if let Some(home) = home_of(&buffer[start..start + length], uid) {
                    self.home = Buffer::of(b"HOME=").during(Call::Read)?;
                    return self.home.push(home).during(Call::Read);
                }
                start = (start + length + 1).min(filled);
            }
            // A line longer than the buffer is nobody's entry.
            let start = if start == 0 && filled == LONGEST { filled } else { start };
            buffer.copy_within(start..filled, 0);
            kept = filled - start;
        }
        Ok(())
    }

    /// As a shell would find it. The host side composes what to say when it is not there.
    pub fn find_executable(&mut self, candidates: List, searched: bool) -> Result<(), Fault> {
        for index in 0..candidates.count() {
            let Some(candidate) = candidates.get(index) else { continue };
            match executable(candidate) {
                Ok(()) => {
                    self.program = Some(candidate);
                    return Ok(());
                }
                Err(fault) if !searched => return Err(fault),
                Err(_) => {}
            }
        }
        Err(Fault::new(Call::Lookup, errno::ENOENT))
    }

    pub fn execute(&mut self, args: List, env: List, home: bool) -> Result<(), Fault> {
        if home {
            env.replace_last(self.home.as_text());
        }
        let program = self.program.ok_or(Fault::new(Call::Plan, errno::EINVAL))?;
        Err(Fault::new(Call::Execve, sys::execve(program, &args, &env)))
    }
}

fn executable(path: &CStr) -> Result<(), Fault> {
    if sys::stat_path(path).during(Call::Fstat)?.is_directory() {
        return Err(Fault::new(Call::IsDirectory, errno::EISDIR));
    }
    sys::faccess(path).during(Call::Faccess).map(drop)
}

fn line_length(bytes: &[u8], ended: bool) -> Option<usize> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => Some(end),
        None => (ended && !bytes.is_empty()).then_some(bytes.len()),
    }
}

/// The sixth field of a passwd line whose third is `uid`.
fn home_of(line: &[u8], uid: u32) -> Option<&[u8]> {
    let mut fields = line.split(|byte| *byte == b':');
    let its_uid = fields.nth(2).and_then(path::number)?;
    let home = fields.nth(2)?;
    (its_uid == uid && !home.is_empty()).then_some(home)
}
