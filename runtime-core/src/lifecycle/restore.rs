//! `restore`.

use super::create::record;
use super::process::Process;
use super::{Container, RestoreOptions, Runtime, check_id};
use crate::bundle::Bundle;
use crate::error::{Context, Result};
use crate::host::criu::{self, Images, Restoration, Restored, Wanted, WorkDirectory};
use crate::host::execute::write_pid_file;
use crate::host::record::{Directory, Record};
use crate::plan::Plan;
use crate::plan::criu::with_time_namespace;
use crate::sys::pidfd;
use oci_spec::runtime::Spec;
use std::os::fd::AsFd;

impl Runtime {
    /// Brings a container back from images that [`Container::checkpoint`], or another runtime,
    /// has written. Its first process is the caller's to wait for.
    ///
    /// # Errors
    /// `InvalidArgument` where there is no checkpoint; `Criu`, with criu's words and the path of
    /// its log; `Timeout`. Nothing of the container is left then.
    pub fn restore(
        &self,
        id: &str,
        bundle: &Bundle,
        mut options: RestoreOptions,
    ) -> Result<(Container, Process)> {
        check_id(id)?;
        let plan = self.decide(id, bundle, &options.create, true)?;
        let version =
            criu::version(options.patience).context(|| "CRIU version check failed".to_owned())?;
        let images = Images::open(&options.image_path)?;
        let streams = images.load_streams()?;
        if !options.switches.lazy_pages {
            images.check_pages()?;
        }
        if let Some(gid) = root_group(bundle.spec()) {
            images.admit(gid)?;
        }
        let work = options.work_path.as_deref().map(WorkDirectory::make).transpose()?;
        let directory = Directory::create(self.root(), id)?;
        let mut record = record(id, bundle, &plan, &options.create);
        let terminal = bundle.spec().process().as_ref().and_then(|process| process.terminal());
        let wanted = Wanted {
            spec: bundle.spec(),
            bundle: bundle.dir(),
            rootfs: bundle.rootfs(),
            images: &images,
            work: work.as_ref(),
            streams: &streams,
            version,
            switches: &options.switches,
            restore: &options.restore,
            stdio: options.create.stdio.take(),
            patience: options.patience,
            console_socket: options.create.console_socket.as_deref(),
            terminal: terminal == Some(true),
        };
        let restored = directory
            .save_config(bundle.raw())
            .and_then(|()| Restoration::new(&plan, &directory, &mut record).run(wanted))
            .and_then(|restored| {
                settle(&restored, &directory, bundle, &options).map(|()| restored)
            });
        match restored {
            Ok(restored) => Ok(self.restored(record, plan, restored)),
            Err(error) => {
                // As if the container had never been; the failure is what the caller hears of.
                let _ = super::delete::destroy(&directory, &record);
                Err(error)
            }
        }
    }

    fn restored(&self, record: Record, plan: Plan, first: Restored) -> (Container, Process) {
        let container = Container {
            root: self.root().to_owned(),
            id: record.id,
            notices: plan.notices,
            trace: self.trace.clone(),
        };
        let process = Process::of_pidfd(first.pid, first.pidfd).with_console(first.console);
        (container, process)
    }
}

/// The group that the container's root has on the host, in a new user namespace.
fn root_group(spec: &Spec) -> Option<u32> {
    let mappings = spec.linux().as_ref()?.gid_mappings().as_deref()?;
    let first = mappings.iter().find(|mapping| mapping.container_id() == 0)?;
    Some(first.host_id())
}

/// What comes once it runs. What fails ends it.
fn settle(
    first: &Restored,
    directory: &Directory,
    bundle: &Bundle,
    options: &RestoreOptions,
) -> Result<()> {
    let settled = keep_time_namespace(first.pid, directory, bundle).and_then(|()| {
        options.create.pid_file.as_deref().map_or(Ok(()), |path| write_pid_file(path, first.pid))
    });
    settled.inspect_err(|_| {
        let _ = pidfd::send_signal(first.pidfd.as_fd(), libc::SIGKILL);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let _ = pidfd::wait_ended(first.pidfd.as_fd(), deadline);
        let _ = pidfd::reap(first.pidfd.as_fd());
    })
}

/// criu makes a time namespace, in which clocks go on where they stopped. What is executed
/// later joins it, too: the configuration that is kept names it.
fn keep_time_namespace(pid: i32, directory: &Directory, bundle: &Bundle) -> Result<()> {
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/time")).ok();
    let theirs = namespace(&pid.to_string());
    if theirs.is_none() || theirs == namespace("self") {
        return Ok(());
    }
    match with_time_namespace(bundle.spec()) {
        Some(text) => directory.save_config(&text),
        None => Ok(()),
    }
}
