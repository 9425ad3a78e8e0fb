//! One container, from creation to deletion, by a program of its own:
//!
//! ```sh
//! cargo build --package runtime-core --example embed
//! sudo target/*/debug/examples/embed /bin/busybox   # any static program with a shell in it
//! ```

use runtime_core::{
    Bundle, CreateOptions, ExecCommand, ExecOptions, ExecProcess, ExitStatus, Runtime,
};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

type Anything = Box<dyn std::error::Error + Send + Sync>;

fn main() {
    if let Err(error) = prepare_and_run() {
        explain(&error);
        #[allow(clippy::exit, reason = "everything that had to be cleaned up is")]
        std::process::exit(1);
    }
}

fn prepare_and_run() -> Result<(), Anything> {
    let program = std::env::args().nth(1).ok_or("usage: embed STATIC-BUSYBOX")?;
    let directory = std::env::temp_dir().join(format!("embed-{}", std::process::id()));
    let result = make_bundle(&directory, Path::new(&program)).and_then(|()| run(&directory));
    fs::remove_dir_all(&directory)?;
    result
}

fn run(directory: &Path) -> Result<(), Anything> {
    let runtime = Runtime::new(directory.join("state"));
    let bundle = Bundle::load(directory)?;
    let id = format!("embed-{}", std::process::id());

    let (mut output, stdio) = streams()?;
    let options = CreateOptions { stdio: Some(stdio), ..CreateOptions::default() };
    let container = runtime.create(&id, &bundle, options)?;
    for notice in container.notices() {
        println!("notice: {notice}");
    }
    let result = live(&container);
    container.delete(true)?;

    let mut said = String::new();
    output.read_to_string(&mut said)?;
    print!("the container said: {said}");
    result
}

fn live(container: &runtime_core::Container) -> Result<(), Anything> {
    let first = container.process()?;
    println!("{}, pid {}", container.status()?, first.pid());
    container.start()?;
    println!("{}", container.status()?);

    let command = ["/bin/busybox", "sh", "-c", "exit 7"].map(str::to_owned).to_vec();
    let command = ExecCommand { args: command, ..ExecCommand::default() };
    let executed = container.exec(ExecProcess::Command(command), ExecOptions::default())?;
    println!("exec: {:?}", executed.wait()?);

    container.kill(9, false)?;
    match first.wait_timeout(Duration::from_secs(10))? {
        Some(ExitStatus::Signaled(signal)) => println!("ended by signal {signal}"),
        other => println!("unexpected: {other:?}"),
    }
    Ok(())
}

/// Nothing to read, a pipe to write to, and this program's own standard error.
fn streams() -> std::io::Result<(std::io::PipeReader, [OwnedFd; 3])> {
    let (reader, writer) = std::io::pipe()?;
    let input = File::open("/dev/null")?.into();
    let errors = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned()?;
    Ok((reader, [input, writer.into(), errors]))
}

fn make_bundle(directory: &Path, program: &Path) -> Result<(), Anything> {
    let rootfs: PathBuf = directory.join("rootfs");
    for name in ["bin", "proc"] {
        fs::create_dir_all(rootfs.join(name))?;
    }
    fs::copy(program, rootfs.join("bin/busybox"))?;
    let config = format!(
        r#"{{
            "ociVersion": "1.2.0",
            "process": {{
                "user": {{"uid": 0, "gid": 0}},
                "args": ["/bin/busybox", "sh", "-c", "echo hello; exec /bin/busybox sleep 60"],
                "env": ["PATH=/bin"],
                "cwd": "/"
            }},
            "root": {{"path": "rootfs", "readonly": true}},
            "mounts": [{{"destination": "/proc", "type": "proc", "source": "proc"}}],
            "linux": {{
                "cgroupsPath": "/embed-{}",
                "namespaces": [{{"type": "pid"}}, {{"type": "mount"}}, {{"type": "ipc"}},
                               {{"type": "uts"}}, {{"type": "network"}}]
            }}
        }}"#,
        std::process::id()
    );
    Ok(fs::write(directory.join("config.json"), config)?)
}

/// What a program can tell from an error besides its one line.
fn explain(error: &Anything) {
    eprintln!("{error}");
    if let Some(error) = error.downcast_ref::<runtime_core::Error>() {
        eprintln!("  kind:    {:?}", error.kind());
        eprintln!("  place:   {}", error.pointer().unwrap_or("not in config.json"));
        eprintln!("  remedy:  {}", error.remedy().unwrap_or("none known"));
    }
}
