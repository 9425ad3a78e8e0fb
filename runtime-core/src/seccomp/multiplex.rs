//! socketcall(2) and ipc(2): on x86 each socket and System V IPC call can also
//! be made through one of them, its first argument telling which it is.

/// The numbers of the two calls.
#[derive(Debug)]
pub(super) struct Multiplexers {
    pub(super) socketcall: u32,
    pub(super) ipc: u32,
}

/// A call as it is made through another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Multiplexed {
    /// The number of the call that carries it.
    pub(super) carrier: u32,
    /// The value of that call's argument 0 (`SYS_*` of linux/net.h, or
    /// linux/ipc.h).
    pub(super) selector: u32,
}

impl Multiplexers {
    /// How `name` is made through one of the two, if it can be.
    pub(super) fn find(&self, name: &str) -> Option<Multiplexed> {
        let socketcall = |selector| Some(Multiplexed { carrier: self.socketcall, selector });
        let ipc = |selector| Some(Multiplexed { carrier: self.ipc, selector });
        match name {
            "socket" => socketcall(1),
            "bind" => socketcall(2),
            "connect" => socketcall(3),
            "listen" => socketcall(4),
            "accept" => socketcall(5),
            "getsockname" => socketcall(6),
            "getpeername" => socketcall(7),
            "socketpair" => socketcall(8),
            "send" => socketcall(9),
            "recv" => socketcall(10),
            "sendto" => socketcall(11),
            "recvfrom" => socketcall(12),
            "shutdown" => socketcall(13),
            "setsockopt" => socketcall(14),
            "getsockopt" => socketcall(15),
            "sendmsg" => socketcall(16),
            "recvmsg" => socketcall(17),
            "accept4" => socketcall(18),
            "recvmmsg" => socketcall(19),
            "sendmmsg" => socketcall(20),
            "semop" => ipc(1),
            "semget" => ipc(2),
            "semctl" => ipc(3),
            "semtimedop" => ipc(4),
            "msgsnd" => ipc(11),
            "msgrcv" => ipc(12),
            "msgget" => ipc(13),
            "msgctl" => ipc(14),
            "shmat" => ipc(21),
            "shmdt" => ipc(22),
            "shmget" => ipc(23),
            "shmctl" => ipc(24),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_ipc_have_a_carrier_and_other_calls_none() {
        let calls = Multiplexers { socketcall: 102, ipc: 117 };
        let found = |name| calls.find(name).map(|call| (call.carrier, call.selector));
        assert_eq!(found("accept4"), Some((102, 18)));
        assert_eq!(found("shmdt"), Some((117, 22)));
        assert_eq!(found("read"), None);
    }
}
