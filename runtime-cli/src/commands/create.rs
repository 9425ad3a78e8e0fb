//! `tare create`: everything but the start of the user's process.

use std::path::{Path, PathBuf};

use runtime_core::{Bundle, CreateOptions};

use super::{Command, Context};
use crate::args::Count;
use crate::failure::{Failure, Outcome};
use crate::foreground::check_console;
use crate::inherit::Inherited;
use crate::terminal::own_size;

/// Create a container from a bundle: a directory with a config.json and a root
/// file system. `tare start` then starts its process.
#[derive(Debug, clap::Parser)]
pub(super) struct Create {
    #[command(flatten)]
    options: NewOptions,
    /// The name of the container, its own on this host
    #[arg(value_name = "container-id")]
    id: String,
}

/// The options that `create` and `run` have in common.
#[derive(Debug, clap::Args)]
pub(super) struct NewOptions {
    /// The bundle [default: the current directory]
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: PathBuf,
    /// The specification [default: config.json in the bundle]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Send the master end of the container's terminal to this AF_UNIX socket
    #[arg(long, value_name = "PATH")]
    pub(super) console_socket: Option<PathBuf>,
    /// Send a pidfd of the container's process to this AF_UNIX socket
    #[arg(long, value_name = "PATH")]
    pidfd_socket: Option<PathBuf>,
    /// Write the process id of the container to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Do not pivot_root, as needed when the root is in an initramfs
    #[arg(long)]
    no_pivot: bool,
    /// Leave the container in the session keyring of the caller
    #[arg(long)]
    no_new_keyring: bool,
    /// Hand over N file descriptors beyond stdio and those of LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
}

impl NewOptions {
    /// Reads the bundle and passes on what there is to say about it.
    pub(super) fn load(&self, context: &Context) -> Result<Bundle, Failure> {
        let bundle = context.phase("parse", || match &self.config {
            None => Bundle::load(&self.bundle),
            Some(file) => Bundle::load_with(&self.bundle, file),
        })?;
        context.log.notices(bundle.notices());
        Ok(bundle)
    }

    /// The options for the library. `detach` says that nobody here will tend
    /// the terminal.
    pub(super) fn prepare(
        self,
        context: &Context,
        bundle: &Bundle,
        detach: bool,
    ) -> Result<CreateOptions, Failure> {
        let terminal = wants_terminal(bundle);
        check_console(terminal, detach, self.console_socket.as_deref())?;
        context.globals.prepare_root()?;
        let inherited = Inherited::with_sockets(context, self.preserve_fds)?;
        Ok(CreateOptions {
            console_socket: self.console_socket,
            pidfd_socket: self.pidfd_socket,
            pid_file: self.pid_file,
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            inherit_fds: inherited.total,
            listen_fds: inherited.listen,
            notify_socket: notify_socket(),
            foreground_console: terminal && !detach,
            console_size: (terminal && !detach).then(own_size).flatten(),
            rootless: context.globals.rootless()?,
            ..CreateOptions::default()
        })
    }
}

pub(super) fn wants_terminal(bundle: &Bundle) -> bool {
    let process = bundle.spec().process().as_ref();
    process.and_then(|process| process.terminal()).unwrap_or(false)
}

/// Where the service manager waits to hear that the container is ready.
pub(super) fn notify_socket() -> Option<PathBuf> {
    let path = std::env::var_os("NOTIFY_SOCKET")?;
    (!path.is_empty()).then(|| Path::new(&path).to_owned())
}

impl Command for Create {
    const NAME: &'static str = "create";
    const ABOUT: &'static str = "create a container";
    const COUNT: Count = Count::ONE;

    fn run(self, context: &Context) -> Outcome {
        self.create(context).map_err(|failure| failure.starting("tare create failed"))
    }
}

impl Create {
    fn create(self, context: &Context) -> Outcome {
        context.log.about(&self.id);
        let bundle = self.options.load(context)?;
        let options = self.options.prepare(context, &bundle, true)?;
        let container = context.runtime()?.create(&self.id, &bundle, options)?;
        context.log.notices(container.notices());
        Ok(0)
    }
}
