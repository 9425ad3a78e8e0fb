//! The members of a process object, each for the first process and for executed ones.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::{Bundle, parse_lines};
use crate::console::Receiver;
use crate::context::Context;
use crate::every::{Row, by_document, holds_for_all, holds_where_it_is_said, idle, refused};
use crate::outcome::Outcome;
use crate::{check, check_eq, family, host};

family!("members":
    limits_of_every_name_are_set,
    limits_hold_in_a_user_namespace,
    limits_that_make_no_sense_are_refused,
    oom_score_is_that_of_every_process,
    oom_score_that_makes_no_sense_is_refused,
    umask_is_that_of_every_process,
    capabilities_are_those_of_every_process,
    capabilities_of_a_user_are_ambient,
    capabilities_that_are_absent_are_all_dropped_in_exec,
    capabilities_that_are_unknown_are_dropped_from_every_set_with_a_warning,
    capability_that_exec_adds_may_be_unknown,
    capability_that_exec_adds_is_ambient_where_inheritable,
    identity_is_the_documents,
    working_directory_through_a_link_is_entered,
    working_directory_that_is_missing_fails_an_exec,
    working_directory_that_is_a_file_is_refused,
    console_size_of_an_exec_is_the_documents,
    console_size_that_makes_no_sense_is_refused,
);

/// Each limit with a value that does no harm here.
const LIMITS: [(&str, u64); 16] = [
    ("RLIMIT_AS", 1 << 33),
    ("RLIMIT_CORE", 0),
    ("RLIMIT_CPU", 100),
    ("RLIMIT_DATA", 1 << 33),
    ("RLIMIT_FSIZE", 1 << 33),
    ("RLIMIT_LOCKS", 100),
    ("RLIMIT_MEMLOCK", 65536),
    ("RLIMIT_MSGQUEUE", 100_000),
    ("RLIMIT_NICE", 10),
    ("RLIMIT_NOFILE", 100),
    ("RLIMIT_NPROC", 5000),
    ("RLIMIT_RSS", 1 << 30),
    ("RLIMIT_RTPRIO", 10),
    ("RLIMIT_RTTIME", 1_000_000),
    ("RLIMIT_SIGPENDING", 500),
    ("RLIMIT_STACK", 8 << 20),
];

/// All limits, as the configuration says them and as the payload finds them. Nothing above what
/// this process may have itself.
fn limits() -> Outcome<(Value, Value)> {
    let (mut said, mut found) = (Vec::new(), json!({}));
    for (name, value) in LIMITS {
        let hard = value.min(host::hard_limit(name)?);
        let soft = hard - hard / 4;
        said.push(json!({"type": name, "soft": soft, "hard": hard}));
        found[name] = json!([soft, hard]);
    }
    Ok((json!(said), found))
}

fn limits_of_every_name_are_set(ctx: &Context) -> Outcome {
    let (value, found) = limits()?;
    let row = Row { pointer: "/process/rlimits", value, fact: "/rlimits", found };
    holds_where_it_is_said(ctx, &[row])
}

fn limits_hold_in_a_user_namespace(ctx: &Context) -> Outcome {
    let (value, found) = limits()?;
    let c = idle(Bundle::new(ctx)?.user_namespace()?.set("/process/rlimits", value))?;
    let facts = c.exec_report(&[], &["facts"])?;
    check_eq!(facts["rlimits"], found, "limits of an executed process");
    Ok(())
}

fn limits_that_make_no_sense_are_refused(ctx: &Context) -> Outcome {
    let case = |name: &str, soft: u64, hard: u64, words: &'static str| {
        ("/process/rlimits", json!([{"type": name, "soft": soft, "hard": hard}]), words)
    };
    refused(
        ctx,
        &[
            case("RLIMIT_NOFILES", 1, 1, "RLIMIT_NOFILES"),
            case("RLIMIT_NOFILE", 9, 8, "soft limit 9 of RLIMIT_NOFILE is above its hard limit 8"),
        ],
    )
}

fn oom_score_is_that_of_every_process(ctx: &Context) -> Outcome {
    let row = |score: i32| Row {
        pointer: "/process/oomScoreAdj",
        value: json!(score),
        fact: "/oomScoreAdj",
        found: json!(score),
    };
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj")?.trim().parse()?;
    holds_for_all(ctx, &[row(own.max(0)), row(999)])?;
    let facts = idle(Bundle::new(ctx)?)?.exec_report(&[], &["facts"])?;
    check_eq!(facts["oomScoreAdj"], json!(own), "score of an executed process, absent");
    Ok(())
}

fn oom_score_that_makes_no_sense_is_refused(ctx: &Context) -> Outcome {
    const POINTER: &str = "/process/oomScoreAdj";
    let words = "oomScoreAdj 1001 is out of range";
    refused(ctx, &[(POINTER, json!(1001), words), (POINTER, json!(-1001), "-1001")])
}

fn umask_is_that_of_every_process(ctx: &Context) -> Outcome {
    let value = json!({"uid": 0, "gid": 0, "umask": 0o137});
    holds_for_all(
        ctx,
        &[Row { pointer: "/process/user", value, fact: "/umask", found: json!(0o137) }],
    )
}

fn capabilities_are_those_of_every_process(ctx: &Context) -> Outcome {
    let (chown, kill) = (json!(["CAP_CHOWN"]), json!(["CAP_CHOWN", "CAP_KILL"]));
    let value = json!({
        "bounding": kill, "permitted": kill, "effective": chown, "inheritable": chown,
        "ambient": chown,
    });
    // What root has after execve is its bounding set, with no_new_privs as much as before.
    let found = json!({"bounding": 0x21, "inheritable": 1, "ambient": 1, "permitted": 0x21});
    holds_for_all(
        ctx,
        &[
            Row { pointer: "/process/capabilities", value, fact: "/caps", found },
            Row {
                pointer: "/process/capabilities",
                value: json!({}),
                fact: "/caps",
                found: json!({"bounding": 0, "inheritable": 0, "permitted": 0, "effective": 0}),
            },
        ],
    )
}

fn capabilities_of_a_user_are_ambient(ctx: &Context) -> Outcome {
    let kill = json!(["CAP_KILL"]);
    let sets = json!({
        "bounding": kill, "permitted": kill, "effective": kill, "inheritable": kill,
        "ambient": kill,
    });
    let c = idle(Bundle::new(ctx)?.set("/process/capabilities", sets))?;
    let facts = c.exec_report(&["--user", "1000:1000"], &["facts"])?;
    check_eq!(facts["caps"]["effective"], json!(1 << 5), "effective set by flags");
    let user = json!({"user": {"uid": 1000, "gid": 1000}});
    let facts = by_document(ctx, &c, &user)?;
    check_eq!(facts["caps"]["effective"], json!(1 << 5), "effective set by a document");
    Ok(())
}

fn capabilities_that_are_absent_are_all_dropped_in_exec(ctx: &Context) -> Outcome {
    let c = idle(Bundle::new(ctx)?.remove("/process", "capabilities"))?;
    for facts in [c.exec_report(&[], &["facts"])?, by_document(ctx, &c, &json!({}))?] {
        for set in ["inheritable", "permitted", "effective", "bounding", "ambient"] {
            check_eq!(facts["caps"][set], json!(0), "{set}");
        }
    }
    Ok(())
}

fn capabilities_that_are_unknown_are_dropped_from_every_set_with_a_warning(
    ctx: &Context,
) -> Outcome {
    const SETS: [&str; 5] = ["bounding", "permitted", "effective", "inheritable", "ambient"];
    let mut caps = json!({});
    for set in SETS {
        caps[set] = json!(["CAP_KILL", "CAP_FROM_THE_FUTURE"]);
    }
    let c = Bundle::new(ctx)?.set("/process/capabilities", caps.clone()).container()?;
    let done = c.run(&[])?.ok()?;
    let words = "ignoring unknown or unavailable capabilities: [CAP_FROM_THE_FUTURE]";
    for set in SETS {
        let line = done.stderr.lines().find(|line| line.contains(&format!("capabilities/{set}")));
        let line = line.unwrap_or_default();
        check!(line.contains("level=warning") && line.contains(words), "{set}: {}", done.stderr);
    }
    let facts = parse_lines(&done.stdout)?.remove(0);
    for set in SETS {
        check_eq!(facts["caps"][set], json!(1 << 5), "{set}");
    }
    let c = idle(Bundle::new(ctx)?)?;
    let file = ctx.dir.join("process.json");
    let process = json!({
        "args": ["/bin/payload", "facts"], "cwd": "/", "capabilities": caps,
    });
    fs::write(&file, process.to_string())?;
    let done = ctx.ok(&["exec", "--process", &file.to_string_lossy(), &c.id])?;
    check_eq!(parse_lines(&done.stdout)?[0]["caps"]["bounding"], json!(1 << 5), "of a document");
    done.says(&[words]).map(drop)
}

fn capability_that_exec_adds_may_be_unknown(ctx: &Context) -> Outcome {
    let c = idle(Bundle::new(ctx)?)?;
    let flags = ["--cap", "CAP_FROM_THE_FUTURE", "--cap", "CAP_CHOWN"];
    let done = c.exec(&flags, &["/bin/payload", "facts"])?.ok()?;
    let caps = parse_lines(&done.stdout)?.remove(0)["caps"]["bounding"].clone();
    check_eq!(caps.as_u64().unwrap_or(0) & 1, 1, "CAP_CHOWN");
    done.says(&["unknown or unavailable"]).map(drop)
}

fn capability_that_exec_adds_is_ambient_where_inheritable(ctx: &Context) -> Outcome {
    let bundle = Bundle::new(ctx)?.set("/process/capabilities/inheritable", json!(["CAP_KILL"]));
    let c = idle(bundle)?;
    let flags = ["--user", "1000:1000", "--cap", "CAP_KILL", "--cap", "CAP_NET_RAW"];
    let facts = c.exec_report(&flags, &["facts"])?;
    for (set, mask) in [("inheritable", 1 << 5), ("ambient", 1 << 5), ("effective", 1 << 5)] {
        check_eq!(facts["caps"][set], json!(mask), "{set}");
    }
    Ok(())
}

fn identity_is_the_documents(ctx: &Context) -> Outcome {
    let user = json!({"uid": 7, "gid": 8, "additionalGids": [9, 10]});
    let row =
        |pointer, value: &Value, fact, found| Row { pointer, value: value.clone(), fact, found };
    let (yes, tmp) = (json!(true), json!("/tmp"));
    let env = json!(["A=1", "A=2", "HOME=/here"]);
    holds_where_it_is_said(
        ctx,
        &[
            row("/process/user", &user, "/uids", json!([7, 7, 7, 7])),
            row("/process/user", &user, "/gids", json!([8, 8, 8, 8])),
            row("/process/user", &user, "/groups", json!([9, 10])),
            row("/process/cwd", &tmp, "/cwd", tmp.clone()),
            row("/process/env", &env, "/env", json!(["A=2", "HOME=/here"])),
            row("/process/noNewPrivileges", &yes, "/noNewPrivileges", yes.clone()),
        ],
    )
}

fn working_directory_through_a_link_is_entered(ctx: &Context) -> Outcome {
    // The link is the root's own, wherever it points on the host.
    let bundle = Bundle::new(ctx)?.symlink("/link", "/../../tmp")?;
    let c = idle(bundle.set("/process/cwd", json!("/link/below")))?;
    check!(c.rootfs().join("tmp/below").is_dir(), "the directory is not made inside");
    check_eq!(c.exec_report(&[], &["facts"])?["cwd"], "/tmp/below", "cwd");
    let facts = c.exec_report(&["--cwd", "/link"], &["facts"])?;
    check_eq!(facts["cwd"], "/tmp", "cwd of the flag");
    Ok(())
}

fn working_directory_that_is_missing_fails_an_exec(ctx: &Context) -> Outcome {
    let c = idle(Bundle::new(ctx)?)?;
    let done = c.exec(&["--cwd", "/nowhere"], &["/bin/payload", "true"])?.exits(255)?;
    done.says(&["no such file or directory"])?.says(&["/nowhere"])?;
    check!(!c.rootfs().join("nowhere").exists(), "the directory was made");
    Ok(())
}

fn working_directory_that_is_a_file_is_refused(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.set("/process/cwd", json!("/etc/passwd")).container()?;
    let done = c.run(&[])?.exits(1)?;
    done.says(&["not a directory", "file exists"])?.says(&["/etc/passwd"]).map(drop)
}

fn console_size_of_an_exec_is_the_documents(ctx: &Context) -> Outcome {
    for [rows, columns] in [[33, 101], [0, 0]] {
        let c = idle(Bundle::new(ctx)?)?;
        let process = json!({
            "args": ["/bin/payload", "tty", ",", "sleep", "60000"], "cwd": "/", "terminal": true,
            "consoleSize": {"height": rows, "width": columns},
        });
        let file = ctx.dir.join("process.json");
        fs::write(&file, process.to_string())?;
        let receiver = Receiver::new(&ctx.dir.join(format!("console{}", ctx.number())))?;
        let (socket, file) = (receiver.path(), file.to_string_lossy());
        c.exec_detached(&["--process", &file, "--console-socket", &socket], &[])?;
        let (fd, _) = receiver.receive()?;
        let mut master = crate::console::Master::new(fd)?;
        master.shows(&format!(r#""columns":{columns},"name":"/dev/pts/0","rows":{rows}"#))?;
    }
    Ok(())
}

fn console_size_that_makes_no_sense_is_refused(ctx: &Context) -> Outcome {
    const POINTER: &str = "/process/consoleSize";
    let c = Bundle::new(ctx)?
        .set("/process/terminal", json!(true))
        .set(POINTER, json!({"height": 65536, "width": 80}))
        .container()?;
    let receiver = Receiver::new(&ctx.dir.join("console"))?;
    let done = c.try_create(&["--console-socket", &receiver.path()])?.exits(1)?;
    done.says(&["consoleSize 80x65536 is too large"])?.says(&[POINTER])?;
    // Nobody looks at the size of a terminal that is not there.
    Bundle::new(ctx)?.set(POINTER, json!({"height": 65536, "width": 80})).facts().map(drop)
}
