//! Running a program to its end: with a deadline, output kept in files.
//!
//! Files and not pipes, because a detached container inherits the descriptors and a pipe would
//! stay open as long as it lives.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{PipeReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::outcome::{Outcome, Stop};

static RUNS: AtomicU32 = AtomicU32::new(0);

/// How long a program may take unless a test says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A program about to be run.
#[derive(Debug)]
pub struct Run {
    command: Command,
    stdout: PathBuf,
    stderr: PathBuf,
    deadline: Duration,
    text: String,
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    deadline: Duration,
    text: String,
}

/// A program that has ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// The exit code, or 128 + signal as a shell would have it.
    pub code: i32,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
    text: String,
}

impl Run {
    /// A program with empty standard input; its output goes to files below `dir`.
    pub fn new(program: &Path, args: &[impl AsRef<OsStr>], dir: &Path) -> Outcome<Self> {
        let n = RUNS.fetch_add(1, Ordering::Relaxed);
        let (stdout, stderr) = (dir.join(format!("{n}.out")), dir.join(format!("{n}.err")));
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?);
        let words: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy()).collect();
        let text = format!("{} {}", program.display(), words.join(" "));
        Ok(Self { command, stdout, stderr, deadline: DEADLINE, text })
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes away all variables of the environment but these.
    #[must_use]
    pub fn only_env(mut self, variables: &[(&str, &OsStr)]) -> Self {
        self.command.env_clear().envs(variables.iter().copied());
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Gives the program its standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Gives the program its standard streams; `Done` then has no output.
    #[must_use]
    pub fn stdio(
        mut self,
        input: impl Into<Stdio>,
        output: impl Into<Stdio>,
        errors: impl Into<Stdio>,
    ) -> Self {
        self.command.stdin(input).stdout(output).stderr(errors);
        self
    }

    /// Gives the program its standard output; `Done` then has none.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Gives the program its standard error; `Done` then has none.
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Gives one descriptor as all three standard ones; `Done` then has no output.
    pub fn terminal(mut self, tty: &File) -> Outcome<Self> {
        self.command.stdin(tty.try_clone()?).stdout(tty.try_clone()?).stderr(tty.try_clone()?);
        Ok(self)
    }

    /// Sets how long the program may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Starts the program.
    pub fn start(mut self) -> Outcome<Running> {
        let child = self.command.spawn().map_err(|e| Stop::fail(format!("{}: {e}", self.text)))?;
        let Self { stdout, stderr, deadline, text, .. } = self;
        Ok(Running { child, stdout, stderr, deadline, text })
    }

    /// Runs the program to its end, whatever that is.
    pub fn done(self) -> Outcome<Done> {
        self.start()?.done()
    }

    /// Runs the program, which must succeed.
    pub fn ok(self) -> Outcome<Done> {
        self.done()?.ok()
    }
}

impl Running {
    /// The process id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Where standard output goes.
    pub fn stdout(&self) -> &Path {
        &self.stdout
    }

    /// Ends the program with SIGKILL; what it left is collected by `done`.
    pub fn kill(&mut self) -> Outcome {
        Ok(self.child.kill()?)
    }

    /// Waits for the end; a program that misses its deadline is killed. Whether it was in time.
    pub fn ended_in_time(&mut self) -> Outcome<bool> {
        let until = Instant::now() + self.deadline;
        let mut pause = Duration::from_micros(100);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(false);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        Ok(true)
    }

    /// Waits for the end; a program that misses its deadline is killed and fails the test.
    pub fn done(mut self) -> Outcome<Done> {
        if !self.ended_in_time()? {
            let output = read(&self.stderr);
            return Err(Stop::fail(format!("{}: not done in time; {output}", self.text)));
        }
        self.output()
    }

    /// What a program that has ended left; a second wait gives the same status.
    pub fn output(mut self) -> Outcome<Done> {
        Ok(Done {
            code: code(self.child.wait()?),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            text: self.text,
        })
    }
}

impl Done {
    /// The program must have succeeded.
    pub fn ok(self) -> Outcome<Self> {
        self.exits(0)
    }

    /// The program must have ended with this code.
    pub fn exits(self, code: i32) -> Outcome<Self> {
        crate::check!(
            self.code == code,
            "{}: exit code {}, expected {code}; {}{}",
            self.text,
            self.code,
            self.stderr.trim(),
            self.stdout.trim()
        );
        Ok(self)
    }

    /// Standard error must hold one of these phrases, in any case.
    pub fn says(self, phrases: &[&str]) -> Outcome<Self> {
        let text = self.stderr.to_lowercase();
        crate::check!(
            phrases.iter().any(|p| text.contains(&p.to_lowercase())),
            "{}: said {:?}, expected {}",
            self.text,
            self.stderr.trim(),
            phrases.join(" or ")
        );
        Ok(self)
    }

    /// Standard error must be one line.
    pub fn in_one_line(self) -> Outcome<Self> {
        let lines = self.stderr.trim_end().lines().count();
        crate::check!(lines == 1, "{}: {lines} lines of error: {:?}", self.text, self.stderr);
        Ok(self)
    }
}

/// What a shell reports: the exit code, or 128 + signal.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
}

/// Reads a pipe until all that may write into it have let go of it.
pub fn read_to_end(mut pipe: PipeReader) -> Outcome<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.read_to_end(&mut bytes).map(|_| bytes);
        // Nobody listens any more once the deadline is over.
        let _ = sender.send(read);
    });
    let bytes = receiver
        .recv_timeout(DEADLINE)
        .map_err(|_| Stop::fail("the pipe's end never came: somebody holds it open"))?;
    Ok(String::from_utf8_lossy(&bytes?).into_owned())
}

/// Waits until `ready` gives a value; the test fails after the usual deadline.
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        crate::check!(Instant::now() < until, "{what}: waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}
