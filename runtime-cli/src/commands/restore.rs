//! `tare restore`: bring a container back that `tare checkpoint` has saved.

use std::path::PathBuf;

use runtime_core::{Bundle, CreateOptions, RestoreOptions, RestoreSwitches};

use super::create::{notify_socket, wants_terminal};
use super::criu::{CriuArgs, warn_unless_root};
use super::run::delete;
use super::{Command, Context};
use crate::args::Count;
use crate::failure::{Failure, Outcome};
use crate::foreground::{Foreground, check_console};

/// Bring a container back from the images that `tare checkpoint` has written. Unless
/// detached, lend it this terminal, forward signals to it, and end with its exit code.
#[derive(Debug, clap::Parser)]
pub(super) struct Restore {
    #[command(flatten)]
    criu: CriuArgs,
    /// The bundle [default: the current directory]
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: PathBuf,
    /// Return as soon as the process runs
    #[arg(short, long)]
    detach: bool,
    /// Write the process id of the container to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Send the master end of the container's terminal to this AF_UNIX socket
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// Close open TCP connections
    #[arg(long)]
    tcp_close: bool,
    /// Another security label for the processes: apparmor:NAME or selinux:LABEL
    #[arg(long, value_name = "TYPE:NAME")]
    lsm_profile: Option<String>,
    /// Another security label for mounts that have one
    #[arg(long, value_name = "LABEL")]
    lsm_mount_context: Option<String>,
    /// Accepted for the sake of runc's callers: criu restores the root as it was
    #[arg(long)]
    no_pivot: bool,
    /// Accepted for the sake of runc's callers: tare never is a subreaper
    #[arg(long)]
    no_subreaper: bool,
    /// The name of the container, its own on this host
    #[arg(value_name = "container-id")]
    id: String,
}

impl Command for Restore {
    const NAME: &'static str = "restore";
    const ABOUT: &'static str = "bring a container back that was saved";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        self.restore(context).map_err(|failure| failure.context("tare restore failed"))
    }
}

impl Restore {
    fn restore(self, context: &Context) -> Outcome {
        context.log.about(&self.id);
        warn_unless_root(context, "restore");
        let bundle = Bundle::load(&self.bundle)?;
        context.log.notices(bundle.notices());
        let terminal = wants_terminal(&bundle);
        check_console(terminal, self.detach, self.console_socket.as_deref())?;
        context.globals.prepare_root()?;
        let (id, detach) = (self.id.clone(), self.detach);
        let options = self.options(context, terminal)?;
        let runtime = context.runtime()?;
        if detach {
            let (container, _process) = runtime.restore(&id, &bundle, options)?;
            context.log.notices(container.notices());
            return Ok(0);
        }
        let foreground = Foreground::prepare()?;
        let (container, process) = runtime.restore(&id, &bundle, options)?;
        context.log.notices(container.notices());
        let code = foreground.attend(process);
        delete(context, &container);
        code
    }

    fn options(self, context: &Context, terminal: bool) -> Result<RestoreOptions, Failure> {
        Ok(RestoreOptions {
            switches: self.criu.switches()?,
            patience: self.criu.patience()?,
            image_path: self.criu.image_path,
            work_path: self.criu.work_path,
            restore: RestoreSwitches {
                tcp_close: self.tcp_close,
                lsm_profile: self.lsm_profile,
                lsm_mount_context: self.lsm_mount_context,
            },
            create: CreateOptions {
                console_socket: self.console_socket,
                pid_file: self.pid_file,
                no_pivot: self.no_pivot,
                notify_socket: notify_socket(),
                foreground_console: terminal && !self.detach,
                rootless: context.globals.rootless()?,
                ..CreateOptions::default()
            },
        })
    }
}
