//! Network devices and their addresses in one network namespace.

use super::netlink::{Request, Socket, attributes, u32_at};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Attributes of an address that have no name in libc (linux/if_addr.h).
const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;
/// What an address keeps: neither its label, which is a name of the device, nor
/// how long it has been there.
const KEPT: [u16; 5] =
    [libc::IFA_ADDRESS, libc::IFA_LOCAL, libc::IFA_BROADCAST, IFA_RT_PRIORITY, IFA_PROTO];
/// Flags of an address that whoever set it chose; the others are its state.
const KEPT_FLAGS: u32 = libc::IFA_F_NODAD
    | libc::IFA_F_HOMEADDRESS
    | libc::IFA_F_MANAGETEMPADDR
    | libc::IFA_F_NOPREFIXROUTE
    | libc::IFA_F_MCAUTOJOIN;

/// `struct ifinfomsg` and `struct ifaddrmsg`.
const LINK_FIXED: usize = 16;
const ADDRESS_FIXED: usize = 8;

const UP: u32 = libc::IFF_UP.cast_unsigned();

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) up: bool,
}

/// A permanent address of global scope, ready to be set again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    family: u8,
    prefix: u8,
    flags: u32,
    attributes: Vec<(u16, Vec<u8>)>,
}

fn link_fixed(index: u32, flags: u32, change: u32) -> [u8; LINK_FIXED] {
    let mut fixed = [0; LINK_FIXED];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    fixed
}

/// The device of that name.
pub(super) fn find(socket: &mut Socket, name: &str) -> io::Result<Link> {
    let request =
        Request::new(libc::RTM_GETLINK, &link_fixed(0, 0, 0)).text(libc::IFLA_IFNAME, name);
    let found = socket.ask(&request)?;
    found
        .first()
        .and_then(|body| link(body))
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
}

fn link(body: &[u8]) -> Option<Link> {
    let (_, name) =
        attributes(body.get(LINK_FIXED..)?).find(|(kind, _)| *kind == libc::IFLA_IFNAME)?;
    let name = name.strip_suffix(&[0]).unwrap_or(name);
    Some(Link {
        index: u32_at(body, 4)?,
        name: String::from_utf8_lossy(name).into_owned(),
        up: u32_at(body, 8)? & UP != 0,
    })
}

/// Moves a device to another namespace, where it gets that name. It is down there.
pub(super) fn send(
    socket: &mut Socket,
    index: u32,
    namespace: BorrowedFd<'_>,
    name: &str,
) -> io::Result<()> {
    let request = Request::new(libc::RTM_NEWLINK, &link_fixed(index, 0, 0))
        .attribute(libc::IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes())
        .text(libc::IFLA_IFNAME, name);
    socket.ask(&request).map(drop)
}

/// Gives a device that is down another name; with `%d` in it the kernel chooses the number.
pub(super) fn rename(socket: &mut Socket, index: u32, name: &str) -> io::Result<()> {
    let request = Request::new(libc::RTM_NEWLINK, &link_fixed(index, 0, 0));
    socket.ask(&request.text(libc::IFLA_IFNAME, name)).map(drop)
}

/// Brings a device up.
pub(super) fn bring_up(socket: &mut Socket, index: u32) -> io::Result<()> {
    socket.ask(&Request::new(libc::RTM_NEWLINK, &link_fixed(index, UP, UP))).map(drop)
}

/// The permanent addresses of global scope that a device has.
pub(super) fn addresses(socket: &mut Socket, index: u32) -> io::Result<Vec<Address>> {
    let request = Request::new(libc::RTM_GETADDR, &[0; ADDRESS_FIXED]).flags(libc::NLM_F_DUMP);
    let all = socket.ask(&request)?;
    Ok(all.iter().filter_map(|body| permanent_address(body, index)).collect())
}

fn permanent_address(body: &[u8], index: u32) -> Option<Address> {
    let [family, prefix, short_flags, scope, ..] = *body else { return None };
    let all = || attributes(body.get(ADDRESS_FIXED..).unwrap_or_default());
    let long = all().find(|(kind, _)| *kind == libc::IFA_FLAGS);
    let flags = long.and_then(|(_, value)| u32_at(value, 0)).unwrap_or(short_flags.into());
    let counts = u32_at(body, 4)? == index
        && scope == libc::RT_SCOPE_UNIVERSE
        && flags & libc::IFA_F_PERMANENT != 0;
    counts.then(|| Address {
        family,
        prefix,
        flags: flags & KEPT_FLAGS,
        attributes: all()
            .filter(|(kind, _)| KEPT.contains(kind))
            .map(|(kind, value)| (kind, value.to_vec()))
            .collect(),
    })
}

/// Sets an address.
pub(super) fn add_address(socket: &mut Socket, index: u32, address: &Address) -> io::Result<()> {
    let mut fixed = [0; ADDRESS_FIXED];
    fixed[0] = address.family;
    fixed[1] = address.prefix;
    fixed[3] = libc::RT_SCOPE_UNIVERSE;
    fixed[4..].copy_from_slice(&index.to_ne_bytes());
    let request = Request::new(libc::RTM_NEWADDR, &fixed)
        .flags(libc::NLM_F_CREATE | libc::NLM_F_EXCL)
        .attribute(libc::IFA_FLAGS, &address.flags.to_ne_bytes());
    let add = |request: Request, (kind, value): &(u16, Vec<u8>)| request.attribute(*kind, value);
    socket.ask(&address.attributes.iter().fold(request, add)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(scope: u8, index: u32, flags: u32) -> Option<Address> {
        let mut body = vec![2, 24, 0, scope];
        body.extend(index.to_ne_bytes());
        let add = |body: &mut Vec<u8>, kind: u16, value: [u8; 4]| {
            body.extend(8u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
        };
        add(&mut body, libc::IFA_LOCAL, [10, 0, 0, 1]);
        add(&mut body, libc::IFA_LABEL, *b"eth\0");
        add(&mut body, libc::IFA_FLAGS, flags.to_ne_bytes());
        permanent_address(&body, 3).filter(|_| index == 3)
    }

    #[test]
    fn permanent_addresses_of_global_scope_are_kept_without_their_label() {
        let kept = address(0, 3, libc::IFA_F_PERMANENT | libc::IFA_F_NOPREFIXROUTE).unwrap();
        assert_eq!((kept.family, kept.prefix, kept.flags), (2, 24, libc::IFA_F_NOPREFIXROUTE));
        assert_eq!(kept.attributes, [(libc::IFA_LOCAL, vec![10, 0, 0, 1])]);
        assert_eq!(address(0, 3, 0), None, "not permanent");
        assert_eq!(address(libc::RT_SCOPE_LINK, 3, libc::IFA_F_PERMANENT), None, "of the link");
        assert_eq!(permanent_address(&[2, 24], 3), None);
    }
}
