//! The conversation with the host side: facts out, one byte back.

use crate::ops::{Call, Fact, GO, Message};
use crate::sys::{self, Answer, errno};

/// A call that failed, with its errno and what else there is to say.
#[derive(Clone, Copy)]
pub struct Fault {
    pub call: Call,
    pub errno: i32,
    pub value: u64,
}

impl Fault {
    pub const fn new(call: Call, errno: i32) -> Self {
        Self { call, errno, value: 0 }
    }
}

/// Names the call behind an errno.
pub trait During<T> {
    fn during(self, call: Call) -> Result<T, Fault>;
}

impl<T> During<T> for Answer<T> {
    fn during(self, call: Call) -> Result<T, Fault> {
        self.map_err(|errno| Fault::new(call, errno))
    }
}

/// The other end of the control socket.
pub struct Host {
    socket: i32,
    place: u64,
}

impl Host {
    pub fn new(socket: i32) -> Self {
        Self { socket, place: 0 }
    }

    /// The operation now being carried out.
    pub fn at(&mut self, place: u64) {
        self.place = place;
    }

    /// From here on another socket leads to the host side.
    pub fn change(&mut self, socket: i32) {
        let _ = sys::close(self.socket);
        self.socket = socket;
    }

    pub fn socket(&self) -> i32 {
        self.socket
    }

    fn send(&self, fact: Fact, fault: Fault, more: &[u8], attached: Option<i32>) -> Answer<usize> {
        let message = Message {
            fact: fact as u32,
            op: self.place as u32,
            call: fault.call as u32,
            errno: fault.errno,
            value: fault.value,
        };
        sys::send(self.socket, &message.to_bytes(), more, attached)
    }

    pub fn tell(&self, fact: Fact, value: u64) -> Result<(), Fault> {
        let nothing = Fault { call: Call::None, errno: 0, value };
        self.send(fact, nothing, &[], None).during(Call::Control).map(drop)
    }

    /// Tells when the operation at hand begins, for who measures. Nobody may listen.
    pub fn begins(&self) {
        let _ = self.tell(Fact::Begins, sys::wall_clock());
    }

    pub fn hand_over(&self, fact: Fact, value: u64, fd: i32) -> Result<(), Fault> {
        let nothing = Fault { call: Call::None, errno: 0, value };
        self.send(fact, nothing, &[], Some(fd)).during(Call::Control).map(drop)
    }

    /// The last thing said. Nobody may be there to hear it.
    pub fn failed(&self, fault: Fault) {
        let _ = self.send(Fact::Failed, fault, &[], None);
    }

    /// A failure with the words of the one that failed.
    pub fn failed_saying(&self, fault: Fault, words: &[u8]) {
        let _ = self.send(Fact::Failed, fault, words, None);
    }


    /// Waits for the host side's word. Without a host there is nothing left to do.
    pub fn wait(&self) -> Result<(), Fault> {
        match sys::receive_byte(self.socket).during(Call::Control)? {
            Some(GO) => Ok(()),
            Some(_) => Err(Fault::new(Call::Control, errno::EBADMSG)),
            None => sys::exit(1),
        }
    }
}
