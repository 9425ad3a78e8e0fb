//! `tare checkpoint`: save a running container by criu.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use runtime_core::{CheckpointOptions, DumpSwitches};

use super::criu::{CriuArgs, make_directory, warn_unless_root};
use super::{Command, Context};
use crate::args::Count;
use crate::failure::{Failure, Outcome};

/// Save the state of a running container by criu, for `tare restore`. Unless it is left
/// running, the container is gone afterwards.
#[derive(Debug, clap::Parser)]
pub(super) struct Checkpoint {
    #[command(flatten)]
    criu: CriuArgs,
    /// The images of an earlier --pre-dump, relative to those of this one
    #[arg(long, value_name = "DIR")]
    parent_path: Option<PathBuf>,
    /// Save memory only, and let the container go on
    #[arg(long)]
    pre_dump: bool,
    /// Let the container go on
    #[arg(long)]
    leave_running: bool,
    /// Leave out TCP connections that are being made
    #[arg(long)]
    tcp_skip_in_flight: bool,
    /// Link files back that have no name any more
    #[arg(long)]
    link_remap: bool,
    /// Send memory to the page server at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    page_server: Option<String>,
    /// With --lazy-pages: write \0 to this descriptor once memory can be fetched
    #[arg(long, value_name = "FD", allow_hyphen_values = true)]
    status_fd: Option<i32>,
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for Checkpoint {
    const NAME: &'static str = "checkpoint";
    const ABOUT: &'static str = "save a running container by criu";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        self.checkpoint(context).map_err(|failure| failure.context("tare checkpoint failed"))
    }
}

impl Checkpoint {
    fn checkpoint(self, context: &Context) -> Outcome {
        warn_unless_root(context, "checkpoint");
        let container = context.container(&self.id)?;
        let options = self.options()?;
        make_directory(&options.image_path)?;
        let notices = container.checkpoint(options)?;
        context.log.notices(&notices);
        Ok(0)
    }

    fn options(self) -> Result<CheckpointOptions, Failure> {
        let page_server = self.page_server.as_deref().map(page_server).transpose()?;
        let lazy = self.criu.switches()?.lazy_pages;
        Ok(CheckpointOptions {
            switches: self.criu.switches()?,
            patience: self.criu.patience()?,
            image_path: self.criu.image_path,
            work_path: self.criu.work_path,
            dump: DumpSwitches {
                pre_dump: self.pre_dump,
                leave_running: self.leave_running,
                tcp_skip_in_flight: self.tcp_skip_in_flight,
                link_remap: self.link_remap,
                parent_path: self.parent_path,
                page_server,
            },
            status: self.status_fd.filter(|_| lazy).map_or(Ok(None), status)?,
        })
    }
}

/// Host and port; a host of IPv6 in brackets.
fn page_server(text: &str) -> Result<(String, u16), Failure> {
    let wrong = || Failure::new("Use --page-server ADDRESS:PORT to specify page server");
    let (address, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let address =
        address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if address.is_empty() || port.is_empty() {
        return Err(wrong());
    }
    let port = port.parse().map_err(|_| Failure::new("Invalid port number"))?;
    Ok((address.to_owned(), port))
}

/// The descriptor `number`, which is ours from now on: who reads at its other end sees it closed
/// once the word was given.
fn status(number: i32) -> Result<Option<OwnedFd>, Failure> {
    if number < 0 {
        return Ok(None);
    }
    let wrong = |why: &str| Failure::new(format!("invalid --status-fd argument {number}: {why}"));
    let copy = runtime_core::sys::fd::duplicate(number, 3)
        .map_err(|error| wrong(&runtime_core::errno_text(error.raw_os_error().unwrap_or(0))))?;
    let flags = fcntl(&copy, FcntlArg::F_GETFL).map_err(|errno| Failure::errno("fcntl", errno))?;
    let access = OFlag::from_bits_retain(flags) & OFlag::O_ACCMODE;
    if access == OFlag::O_RDONLY {
        return Err(wrong("not writable"));
    }
    if number > 2 {
        // The copy is what counts.
        let _ = nix::unistd::close(number);
    }
    Ok(Some(copy))
}

#[cfg(test)]
mod tests {
    use super::page_server;

    #[test]
    fn a_page_server_has_an_address_and_a_port() {
        let read = |text| page_server(text).map_err(|failure| failure.message);
        assert_eq!(read("0.0.0.0:27277").unwrap(), ("0.0.0.0".to_owned(), 27277));
        assert_eq!(read("[::1]:80").unwrap(), ("::1".to_owned(), 80));
        for wrong in ["localhost", ":80", "host:"] {
            assert!(read(wrong).unwrap_err().starts_with("Use --page-server"), "{wrong}");
        }
        assert_eq!(read("host:port").unwrap_err(), "Invalid port number");
        assert_eq!(read("host:65536").unwrap_err(), "Invalid port number");
    }
}
