//! What fails leaves nothing in the program, nor on the machine.

use std::time::Duration;

use runtime_core::{CreateOptions, ErrorKind, ExecOptions, ExitStatus};
use serde_json::{Value, json};

use crate::alone::alone;
use crate::fixture::{Fixture, script};
use crate::snapshot::Snapshot;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_create_that_fails_leaves_no_child_and_no_descriptor() {
    alone("failure::a_create_that_fails_leaves_no_child_and_no_descriptor", failing_creates);
}

fn failing_creates() {
    let fixture = Fixture::new();
    let missing =
        json!({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]});
    let hook = json!([{"path": "/bin/false"}]);
    let cases: [(&str, &str, Value); 5] = [
        ("mount", "/mounts/0", missing),
        ("program", "/process/args/0", json!("/no/such")),
        ("prestart", "/hooks/prestart", hook.clone()),
        ("container", "/hooks/createContainer", hook),
        ("namespace", "/linux/namespaces/4/path", json!("/no/such")),
    ];
    let before = Snapshot::take();
    for (name, place, value) in cases {
        let mut config = fixture.config(name, "true");
        set(&mut config, place, value);
        let bundle = fixture.bundle(name, &config);
        let failed = fixture.runtime().create(name, &bundle, CreateOptions::default());
        let error = failed.map(|_| ()).unwrap_err();
        assert!(error.pointer().is_some(), "{name}: {error}");
        assert_eq!(fixture.leftovers(), Vec::<std::path::PathBuf>::new(), "{name}");
        before.assert_still(name);
    }
}

#[test]
fn an_exec_that_fails_leaves_no_child_and_the_container_runs_on() {
    alone("failure::an_exec_that_fails_leaves_no_child_and_the_container_runs_on", failing_exec);
}

fn failing_exec() {
    let fixture = Fixture::new();
    let bundle = fixture.bundle("exec", &fixture.config("exec", "exec busybox sleep 1000"));
    let container = fixture.runtime().create("exec", &bundle, CreateOptions::default()).unwrap();
    container.start().unwrap();
    let before = Snapshot::take();
    for wrong in ["/no/such", "/proc"] {
        let runtime_core::ExecProcess::Command(mut command) = script("true") else { continue };
        command.args = vec![wrong.to_owned()];
        let process = runtime_core::ExecProcess::Command(command);
        let error = container.exec(process, ExecOptions::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exec, "{error}");
        before.assert_still(wrong);
    }
    assert_eq!(
        container.exec(script("exit 3"), ExecOptions::default()).unwrap().wait().unwrap().code(),
        3
    );
    container.delete(true).unwrap();
}

fn set(config: &mut Value, pointer: &str, value: Value) {
    let mut place = config;
    for key in pointer.split('/').skip(1) {
        place = match (place.is_array(), key.parse::<usize>()) {
            (true, Ok(index)) => &mut place[index],
            _ => &mut place[key],
        };
    }
    *place = value;
}

#[test]
fn a_container_ends_once_what_was_executed_in_it_was_waited_for() {
    alone("failure::a_container_ends_once_what_was_executed_in_it_was_waited_for", forgotten);
}

/// The kernel keeps the first process of a pid namespace until all others were waited for.
fn forgotten() {
    let fixture = Fixture::new();
    let config = fixture.config("forgotten", "exec busybox sleep 1000");
    let bundle = fixture.bundle("forgotten", &config);
    let runtime = fixture.runtime();
    let container = runtime.create("forgotten", &bundle, CreateOptions::default()).unwrap();
    let first = container.process().unwrap();
    container.start().unwrap();
    let executed = container.exec(script("exec busybox sleep 1000"), ExecOptions::default());
    let executed = executed.unwrap();
    container.kill(libc::SIGKILL, false).unwrap();
    assert_eq!(first.wait_timeout(Duration::from_millis(200)).unwrap(), None);
    let killed = Some(ExitStatus::Signaled(libc::SIGKILL));
    assert_eq!(executed.wait_timeout(PATIENCE).unwrap(), killed);
    assert_eq!(first.wait_timeout(PATIENCE).unwrap(), killed);
    container.delete(false).unwrap();
    assert_eq!(executed.try_wait().unwrap_err().errno(), Some(libc::ECHILD));
}
