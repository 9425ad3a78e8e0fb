//! The command line as engines see it: exit codes, texts, the log file. Nothing
//! here needs privileges or runs a container.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const TARE: &str = env!("CARGO_BIN_EXE_tare");

const COMMANDS: [&str; 18] = [
    "create", "delete", "doctor", "events", "exec", "features", "kill", "list", "mounts", "pause",
    "plan", "ps", "resume", "run", "spec", "start", "state", "update",
];

/// A directory of one test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tare-cli-{test}-{}", std::process::id()));
        fs::create_dir_all(dir.join("root")).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// `program` with the words of `line`, in this directory and with a root in it.
    fn call(&self, program: &str, line: &str) -> Output {
        let words = line.split_whitespace().map(|word| if word == "''" { "" } else { word });
        let mut command = Command::new(program);
        command.current_dir(&self.0).stdin(Stdio::null()).arg("--root").arg(self.path("root"));
        command.args(words).output().unwrap()
    }

    fn tare(&self, line: &str) -> Output {
        self.call(TARE, line)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The message of the one log line on stderr.
fn message(output: &Output) -> String {
    let stderr = text(&output.stderr);
    let start = stderr.find(" level=error msg=").map(|at| at + " level=error msg=".len());
    let value = stderr[start.unwrap_or_else(|| panic!("no error line in {stderr:?}"))..].trim_end();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').unwrap().replace("\\\"", "\""),
        None => value.to_owned(),
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

#[test]
fn wrong_arguments_are_told_on_stderr_and_explained_on_stdout() {
    let scratch = Scratch::new("usage");
    let cases = [
        ("state", ".", "tare: \"state\" requires exactly 1 argument(s)"),
        ("state a b", ".", "tare: \"state\" requires exactly 1 argument(s)"),
        ("kill", ".", "tare: \"kill\" requires a minimum of 1 argument(s)"),
        ("kill a b c", ".", "tare: \"kill\" requires a maximum of 2 argument(s)"),
        ("exec", ".", "tare: \"exec\" requires a minimum of 1 argument(s)"),
        ("create -b", ": flag needs an argument: -b", "flag needs an argument: -b"),
        ("run --nope x", ": flag provided", "flag provided but not defined: -nope"),
    ];
    for (line, note, expected) in cases {
        let output = scratch.tare(line);
        let usage = text(&output.stdout);
        assert_eq!((code(&output), message(&output).as_str()), (1, expected), "{line}");
        assert!(usage.starts_with(&format!("Incorrect Usage{note}")), "{line}: {usage}");
        let command = line.split(' ').next().unwrap();
        assert!(usage.contains(&format!("USAGE:\n   tare {command} ")), "{line}: {usage}");
    }
}

#[test]
fn tare_and_runc_say_the_same() {
    let scratch = Scratch::new("runc");
    if Command::new("runc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: runc is not installed");
        return;
    }
    let lines = [
        "bogus",
        "bogus -h",
        "help bogus",
        "help exec list",
        "list -h extra",
        "exec -h -b",
        "state -h --bogus",
        "exec x -h",
        "--bogus",
        "--debug=foo list",
        "--log-format foo list",
        "--log /nonexistent/log state x",
        "create",
        "create -b",
        "create --pid-file",
        "create --no-pivot=foo x",
        "create --preserve-fds x a",
        "create --=x",
        "create ---x",
        "create x",
        "create -b",
        "delete",
        "delete x",
        "delete -f x",
        "delete x -f",
        "delete a/b",
        "delete -f a/b",
        "exec",
        "exec x ls",
        "exec --cwd",
        "kill",
        "kill x",
        "kill x FOO",
        "kill x -a",
        "kill --bogus x",
        "kill a b c",
        "list",
        "list a",
        "list -f foo",
        "list -f json",
        "list -format json -q",
        "list --quiet=true --format=json",
        "list -x",
        "pause",
        "pause x",
        "ps",
        "ps x",
        "ps x -f json",
        "resume x",
        "run",
        "run x",
        "spec a",
        "start",
        "start x",
        "start a b",
        "state",
        "state x",
        "state a/b",
        "state ''",
        "state x --help",
    ];
    for line in lines {
        let [ours, theirs] = [TARE, "runc"].map(|program| scratch.call(program, line));
        assert_eq!(code(&ours), code(&theirs), "{line}: {ours:?}");
        if ours.stderr.is_empty() {
            assert_eq!(text(&theirs.stderr), "", "{line}");
        } else {
            let expected = message(&theirs).replace("runc", "tare");
            let (said, expected) = (message(&ours), expected.trim_end_matches("\\n"));
            // Ours may go on, with the path at fault and the remedy.
            let same = said == expected || said.starts_with(&format!("{expected}: "));
            assert!(same, "{line}: {said:?} is not {expected:?}");
        }
        let first = |output: &Output| text(&output.stdout).lines().next().map(str::to_owned);
        if !line.contains("--help") && !line.ends_with("-h") {
            assert_eq!(first(&ours), first(&theirs), "{line}");
        }
    }
}

#[test]
fn a_failure_leaves_one_line_in_the_log_and_the_bare_message_on_stderr() {
    let scratch = Scratch::new("json");
    let output = scratch.tare("--log log.json --log-format json state nosuch");
    assert_eq!(code(&output), 1);
    assert_eq!(text(&output.stderr), "container does not exist\n");
    let log = fs::read_to_string(scratch.path("log.json")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "container does not exist");
    let time = line["time"].as_str().unwrap();
    assert_eq!((time.len(), &time[10..11], &time[19..]), (20, "T", "Z"));
    assert_eq!(line.as_object().unwrap().len(), 3);
}

#[test]
fn wrong_arguments_of_a_command_reach_the_log_too() {
    let scratch = Scratch::new("usage-log");
    scratch.tare("--log log.json --log-format json state");
    let log = fs::read_to_string(scratch.path("log.json")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(line["msg"], "tare: \"state\" requires exactly 1 argument(s)");
}

#[test]
fn success_leaves_the_log_empty_and_a_second_failure_adds_to_it() {
    let scratch = Scratch::new("log");
    scratch.tare("--log log list");
    assert_eq!(fs::read_to_string(scratch.path("log")).unwrap(), "");
    scratch.tare("--log log state x");
    scratch.tare("--log log state x");
    let log = fs::read_to_string(scratch.path("log")).unwrap();
    assert_eq!(log.matches("level=error msg=\"container does not exist\"\n").count(), 2);
}

#[test]
fn every_command_has_help_and_the_help_of_the_program_lists_them_all() {
    let scratch = Scratch::new("help");
    for line in ["", "help", "--help", "-h"] {
        let output = scratch.tare(line);
        let help = text(&output.stdout);
        assert_eq!(code(&output), 0, "{line}");
        for command in COMMANDS {
            assert!(help.contains(&format!("\n   {command} ")), "{line}: {command}");
        }
    }
    for command in COMMANDS {
        for line in
            [format!("{command} --help"), format!("{command} -h"), format!("help {command}")]
        {
            let output = scratch.tare(&line);
            assert_eq!((code(&output), text(&output.stderr).as_str()), (0, ""), "{line}");
            let stdout = text(&output.stdout);
            let start = format!("NAME:\n   tare {command} - ");
            assert!(stdout.starts_with(&start), "{line}: {stdout}");
            for heading in ["\nUSAGE:\n", "\nDESCRIPTION:\n", "\nOPTIONS:\n"] {
                assert!(stdout.contains(heading), "{line}: {stdout}");
            }
        }
    }
}

#[test]
fn help_has_the_layout_of_runc_and_the_name_that_the_program_was_called_by() {
    let scratch = Scratch::new("layout");
    let runc = scratch.path("runc");
    symlink(TARE, &runc).unwrap();
    let help = |line: &str| text(&scratch.call(runc.to_str().unwrap(), line).stdout);
    assert!(help("-h").starts_with("NAME:\n   runc - Open Container Initiative runtime\n"));
    assert!(help("run -h").starts_with("NAME:\n   runc run - "));
    assert!(help("run -h").contains("\nUSAGE:\n   runc run [options] <container-id>\n"));
    for line in ["help help", "help -h", "help --help", "h help"] {
        assert!(help(line).starts_with("NAME:\n   runc help - "), "{line}");
    }
    assert_eq!(code(&scratch.tare("help nothing")), 3);
    assert!(help("").lines().all(|line| line.chars().count() <= 100), "a line is long");
}

#[test]
fn the_version_is_told_in_lines_that_engines_know() {
    let output = Scratch::new("version").tare("--version");
    let stdout = text(&output.stdout);
    let beginnings: Vec<_> = stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(beginnings, ["tare", "commit:", "spec:"]);
    assert!(stdout.starts_with("tare version "));
}

#[test]
fn exec_fails_with_255_before_its_process_runs() {
    let scratch = Scratch::new("exec");
    for line in ["exec nosuch ls", "exec -t -d nosuch sh", "exec -p /nonexistent nosuch"] {
        let output = scratch.tare(line);
        assert_eq!(code(&output), 255, "{line}");
        assert!(message(&output).starts_with("exec failed: "), "{line}");
    }
}

#[test]
fn create_and_run_name_themselves_in_their_errors() {
    let scratch = Scratch::new("wrap");
    for command in ["create", "run"] {
        let output = scratch.tare(&format!("{command} x"));
        let start = format!("tare {command} failed: ");
        assert_eq!(code(&output), 1);
        assert!(message(&output).starts_with(&start), "{output:?}");
    }
}

#[test]
fn a_root_that_was_asked_for_must_be_there_to_be_listed() {
    let scratch = Scratch::new("missing");
    let root = scratch.path("root").join("no");
    let output = scratch.tare("--root root/no list");
    let expected = format!("open {}: no such file or directory", root.display());
    assert_eq!((code(&output), message(&output)), (1, expected));
}

#[test]
fn the_root_of_the_file_system_holds_no_containers() {
    let output = Scratch::new("slash").tare("--root=/ list");
    let expected = "Option --root argument should not be set to /";
    assert_eq!((code(&output), message(&output).as_str()), (1, expected));
}

#[test]
fn spec_writes_a_new_file_and_never_over_one() {
    let scratch = Scratch::new("spec");
    assert_eq!(code(&scratch.tare("spec -b .")), 0);
    let config = fs::read(scratch.path("config.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&config).unwrap();
    let again = scratch.tare("spec");
    assert_eq!(message(&again), "File config.json exists. Remove it first");
    assert_eq!(fs::read(scratch.path("config.json")).unwrap(), config);
}

#[test]
fn a_descriptor_to_preserve_must_be_open_and_the_log_is_none() {
    let scratch = Scratch::new("fds");
    fs::write(scratch.path("config.json"), r#"{"ociVersion":"1.0.2","root":{"path":"r"}}"#)
        .unwrap();
    let output = scratch.tare("--log log run --preserve-fds 1000 x");
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("tare run failed: unable to stat preserved-fd "), "{stderr}");
    assert!(stderr.contains(" (of 1000): no such file or directory"), "{stderr}");
}

#[test]
fn odd_arguments_and_a_full_stdout_are_errors_and_no_panics() {
    let odd = Command::new(TARE).arg(OsStr::from_bytes(b"\xff")).output().unwrap();
    assert_eq!((code(&odd), message(&odd).ends_with("is not UTF-8")), (1, true));
    let full = fs::OpenOptions::new().write(true).open(Path::new("/dev/full")).unwrap();
    let full = Command::new(TARE).arg("--version").stdout(full).output().unwrap();
    assert_eq!((code(&full), message(&full).contains("no space left")), (1, true));
}

#[test]
fn a_failure_is_an_object_on_stderr_when_that_is_asked_for() {
    let scratch = Scratch::new("error-format");
    let object = |output: &Output| -> serde_json::Value {
        let stderr = text(&output.stderr);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        serde_json::from_str(&stderr).unwrap()
    };
    let output = scratch.tare("--error-format json state nobody");
    assert_eq!((code(&output), &object(&output)["kind"]), (1, &"NotFound".into()));
    let output = scratch.tare("--error-format=json state");
    assert_eq!(object(&output)["message"], "tare: \"state\" requires exactly 1 argument(s)");
    fs::create_dir_all(scratch.path("b/rootfs")).unwrap();
    fs::write(
        scratch.path("b/config.json"),
        r#"{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
        "process": {"cwd": "relative", "args": ["sh"], "user": {}}}"#,
    )
    .unwrap();
    let output = scratch.tare("--error-format json --log log create -b b x");
    let fault = object(&output);
    assert_eq!(
        (&fault["kind"], &fault["pointer"]),
        (&"InvalidConfig".into(), &"/process/cwd".into())
    );
    assert!(fault["hint"].is_string(), "{fault}");
    for line in [
        "--bogus",
        "--root",
        "--debug=maybe list",
        "bogus",
        "help bogus",
        "--log-format yaml list",
        "--log /nonexistent/log list",
        "--trace /nonexistent/trace list",
        "--root / list",
        "--rootless maybe plan",
        "--cgroup-manager none list",
        "list --bogus",
        "list -f",
        "run --preserve-fds x y",
        "kill a b c",
        "state a/b",
    ] {
        let mut command = Command::new(TARE);
        command.current_dir(&scratch.0).stdin(Stdio::null()).args(["--error-format", "json"]);
        let output = command.args(line.split(' ')).output().unwrap();
        let fault = object(&output);
        assert_eq!(fault["exitCode"], code(&output), "{line}");
        assert!(code(&output) != 0 && fault["message"].is_string(), "{line}: {fault}");
    }
    // The log file is what it always is.
    let log = fs::read_to_string(scratch.path("log")).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains(" level=error msg=\"tare create failed: "), "{log}");
    let output = scratch.tare("--error-format yaml list");
    assert_eq!((code(&output), message(&output).as_str()), (1, "invalid error-format: yaml"));
}
