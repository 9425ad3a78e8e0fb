//! `tare exec`: one more process in a container.

use std::path::{Path, PathBuf};

use runtime_core::{ExecCommand, ExecOptions, ExecProcess, exec_process_from_json};

use super::{Command, Context, input};
use crate::args::{Count, Order};
use crate::failure::{Failure, Outcome};
use crate::foreground::{Foreground, check_console};
use crate::inherit::Inherited;
use crate::terminal::own_size;

/// The exit code when the process did not get to run.
const NOT_RUN: u8 = 255;

/// Run another process in a running container. Options come before the
/// container-id; what follows it is the command. The exit code is that of the
/// process, 128 and the signal when it was killed, or 255 when it could not be run.
#[derive(Debug, clap::Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Exec {
    /// Send the master end of the process's terminal to this AF_UNIX socket
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// Send a pidfd of the process to this AF_UNIX socket
    #[arg(long, value_name = "PATH")]
    pidfd_socket: Option<PathBuf>,
    /// Write the id that the process has on this host to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Hand over N file descriptors beyond stdio
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
    /// Read the whole process from this file, as it would stand in config.json
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// The working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Add a variable to the environment
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Give the process a terminal
    #[arg(short, long)]
    tty: bool,
    /// Run as this user, by numbers
    #[arg(short, long, value_name = "UID[:GID]")]
    user: Option<String>,
    /// Add a group, by number
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// Return as soon as the process runs
    #[arg(short, long)]
    detach: bool,
    /// The SELinux label
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    /// The AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// Let the process gain no privileges by execve
    #[arg(long)]
    no_new_privs: bool,
    /// Add a capability, such as CAP_NET_ADMIN
    #[arg(short, long, value_name = "CAP")]
    cap: Vec<String>,
    /// Run in this cgroup below the container's, which must be there; on cgroup v1 written
    /// CONTROLLER[,CONTROLLER]:PATH
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<String>,
    /// Go ahead though the container is paused
    #[arg(long)]
    ignore_paused: bool,
    /// The container
    #[arg(value_name = "container-id")]
    id: String,
    /// The command and its arguments
    #[arg(value_name = "command")]
    args: Vec<String>,
}

const EXAMPLES: &str = "\
# tare exec box ls -l /
# tare exec --tty --user 1000:1000 --env TERM=xterm box sh
# tare exec --process process.json box";

impl Command for Exec {
    const NAME: &'static str = "exec";
    const ABOUT: &'static str = "run another process in a container";
    const COUNT: Count = Count { min: 1, max: usize::MAX };
    const ORDER: Order = Order::BeforeOperands;

    fn run(self, context: &Context) -> Outcome {
        self.exec(context).map_err(|failure| failure.starting("exec failed").code(NOT_RUN))
    }
}

impl Exec {
    fn exec(self, context: &Context) -> Outcome {
        let container = context.container(&self.id)?;
        let detach = self.detach;
        let (process, options) = self.prepare(context)?;
        if detach {
            context.log.notices(container.exec(process, options)?.notices());
            return Ok(0);
        }
        let foreground = Foreground::prepare()?;
        let process = container.exec(process, options)?;
        context.log.notices(process.notices());
        context.phase("process", || foreground.attend(process))
    }

    /// What to run, and how, for the library.
    fn prepare(self, context: &Context) -> Result<(ExecProcess, ExecOptions), Failure> {
        let inherited = Inherited::preserved(context, self.preserve_fds)?;
        let mut options = ExecOptions {
            console_socket: self.console_socket,
            pidfd_socket: self.pidfd_socket,
            pid_file: self.pid_file,
            inherit_fds: inherited.total,
            ignore_paused: self.ignore_paused,
            cgroup: self.cgroup,
            ..ExecOptions::default()
        };
        let command = ExecCommand {
            args: self.args,
            cwd: self.cwd,
            env: self.env,
            terminal: self.tty,
            user: self.user.as_deref().map(user).transpose()?,
            additional_gids: self.additional_gids,
            selinux_label: self.process_label,
            apparmor: self.apparmor,
            no_new_privs: self.no_new_privs,
            caps: self.cap,
        };
        let process = match &self.process {
            Some(file) => ExecProcess::Document(Box::new(document(file, context)?)),
            None if command.args.is_empty() => {
                return Err(Failure::new("exec args cannot be empty"));
            }
            None => ExecProcess::Command(command),
        };
        let terminal = wants_terminal(&process);
        check_console(terminal, self.detach, options.console_socket.as_deref())?;
        options.foreground_console = terminal && !self.detach;
        options.console_size = options.foreground_console.then(own_size).flatten();
        Ok((process, options))
    }
}

fn document(file: &Path, context: &Context) -> Result<oci_spec::runtime::Process, Failure> {
    let (process, notices) = exec_process_from_json(&input::read(file)?)
        .map_err(|error| Failure::from(error).context(file.display()))?;
    context.log.notices(&notices);
    Ok(process)
}

fn wants_terminal(process: &ExecProcess) -> bool {
    match process {
        ExecProcess::Document(document) => document.terminal().unwrap_or(false),
        ExecProcess::Command(command) => command.terminal,
    }
}

/// The numbers of "UID" or "UID:GID". Names are no numbers, nor is "1x" (CVE-2026-30892).
fn user(text: &str) -> Result<(u32, Option<u32>), Failure> {
    let number = |text: &str, what: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // The last number means "leave as it is" to the kernel.
        let id = text.parse().ok().filter(|id| digits && *id != u32::MAX);
        id.ok_or_else(|| Failure::new(format!("parsing {text} as int for {what} failed")))
    };
    match text.split_once(':') {
        Some((uid, gid)) => Ok((number(uid, "uid")?, Some(number(gid, "gid")?))),
        None => Ok((number(text, "uid")?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    fn parse(words: &[&str]) -> Exec {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        args::parse("exec", "", words, Exec::ORDER, Exec::COUNT).unwrap()
    }

    #[test]
    fn the_command_keeps_its_options_and_slices_their_commas() {
        let exec = parse(&["-e", "A=1,2", "--env=B=", "-g", "5", "-g=6", "ID", "ls", "-e", "--"]);
        assert_eq!(exec.env, ["A=1,2", "B="]);
        assert_eq!(exec.additional_gids, [5, 6]);
        assert_eq!((exec.id.as_str(), exec.args.join(" ").as_str()), ("ID", "ls -e --"));
    }

    #[test]
    fn the_last_of_two_values_counts() {
        assert_eq!(parse(&["--cwd", "/a", "--cwd", "/b", "ID"]).cwd.as_deref(), Some("/b"));
    }

    #[test]
    fn a_user_is_one_number_or_two() {
        assert_eq!(user("1").unwrap(), (1, None));
        assert_eq!(user("1000:100").unwrap(), (1000, Some(100)));
        for wrong in ["", "root", "1x", "1:", ":1", "+1", "-1", "4294967295", "4294967296", "1:2:3"]
        {
            assert!(user(wrong).is_err(), "{wrong}");
        }
    }
}
