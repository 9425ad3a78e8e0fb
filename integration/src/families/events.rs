//! `events`: what a container uses, and when its memory runs out.

use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cgroups::{has, needs};
use crate::container::Container;
use crate::context::{Context, Kind, Layout};
use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Running, wait_for};
use crate::{check, check_eq, family};

family!("events":
    report_has_the_members_that_runc_writes,
    limits_are_told,
    processor_time_grows,
    memory_that_is_filled_is_told,
    tasks_are_counted,
    throttled_time_is_told,
    bytes_read_from_a_disk_are_told,
    created_and_paused_containers_are_told_of,
    reports_come_at_each_interval_until_the_end,
    want_of_memory_is_told_when_it_comes,
    want_of_memory_that_ends_the_container_is_told,
    stopped_container_is_not_running,
    wrong_intervals_are_refused,
    interfaces_of_the_container_are_told,
    prometheus_gets_its_format,
    prometheus_counts_want_of_memory,
);

const MEGABYTE: u64 = 1 << 20;

/// A container that waits, with limits of its own.
fn running<'c>(ctx: &'c Context, resources: Value) -> Outcome<Container<'c>> {
    let c = Bundle::new(ctx)?
        .set("/linux/resources", resources)
        .payload(&["sleep", "60000"])
        .container()?;
    c.up()?;
    Ok(c)
}

/// The `data` of one report.
fn stats(ctx: &Context, c: &Container<'_>) -> Outcome<Value> {
    let done = ctx.ok(&["events", "--stats", &c.id])?;
    let mut lines = lines(&done.stdout)?;
    check_eq!(lines.len(), 1, "lines of {:?}", done.stdout);
    let mut line = lines.remove(0);
    check_eq!(line["type"], json!("stats"), "type");
    check_eq!(line["id"], json!(c.id), "id");
    Ok(line["data"].take())
}

fn lines(text: &str) -> Outcome<Vec<Value>> {
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn number(data: &Value, pointer: &str) -> u64 {
    data.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn report_has_the_members_that_runc_writes(ctx: &Context) -> Outcome {
    let runc = ctx.with_runc()?;
    let mut limits = json!({});
    for (controller, member, limit) in [
        ("memory", "memory", json!({"limit": 64 * MEGABYTE, "swap": 128 * MEGABYTE})),
        ("pids", "pids", json!({"limit": 20})),
        ("cpu", "cpu", json!({"quota": 50000, "period": 100_000})),
    ] {
        if has(ctx.layout, controller) {
            limits[member] = limit;
        }
    }
    let ours = stats(ctx, &running(ctx, limits.clone())?)?;
    let theirs = stats(&runc, &running(&runc, limits)?)?;
    let mut wrong = Vec::new();
    compare("", &ours, &theirs, &mut wrong);
    // runc 1.1 knows no pressure, and none of them looks into the v2 hierarchy of a hybrid host.
    wrong.retain(|place| !place.contains("/psi") && !place.starts_with("/hugetlb"));
    check!(wrong.is_empty(), "{wrong:?}: {ours} and {theirs}");
    Ok(())
}

/// Places where one has a member and the other does not. What says nothing may be left out: newer
/// versions of runc leave out more. Numbers of devices come with what was read, and those of
/// throttling with work enough.
fn compare(place: &str, one: &Value, other: &Value, wrong: &mut Vec<String>) {
    let by_chance = place.ends_with("Recursive") || place == "/cpu/throttling";
    if by_chance || (says_nothing(one) && says_nothing(other)) {
        return;
    }
    match (one, other) {
        (Value::Object(these), Value::Object(those)) => {
            for key in these.keys().chain(those.keys()) {
                compare(&format!("{place}/{key}"), &one[key], &other[key], wrong);
            }
        }
        // A counter may have moved in one of them.
        (Value::Number(_), Value::Null) | (Value::Null, Value::Number(_))
            if place.starts_with("/memory/") || place.starts_with("/cpu/") => {}
        (Value::Number(_), Value::Number(_)) | (Value::Array(_), Value::Array(_)) => {}
        _ => wrong.push(place.to_owned()),
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(values) => values.iter().all(says_nothing),
        Value::Object(members) => members.values().all(says_nothing),
        _ => false,
    }
}

fn limits_are_told(ctx: &Context) -> Outcome {
    for controller in ["memory", "pids"] {
        needs(ctx.layout, controller)?;
    }
    let limits = json!({
        "memory": {"limit": 64 * MEGABYTE, "swap": 96 * MEGABYTE}, "pids": {"limit": 21},
    });
    let data = stats(ctx, &running(ctx, limits)?)?;
    check_eq!(number(&data, "/memory/usage/limit"), 64 * MEGABYTE, "memory");
    check_eq!(number(&data, "/memory/swap/limit"), 96 * MEGABYTE, "memory and swap");
    check_eq!(number(&data, "/pids/limit"), 21, "tasks");
    // Without a limit there is none to tell.
    let data = stats(ctx, &running(ctx, json!({}))?)?;
    check_eq!(data["pids"].get("limit"), None, "no limit of tasks");
    check!(number(&data, "/memory/usage/limit") >= 1 << 62, "{}", data["memory"]["usage"]);
    Ok(())
}

fn processor_time_grows(ctx: &Context) -> Outcome {
    let c = running(ctx, json!({}))?;
    let before = number(&stats(ctx, &c)?, "/cpu/usage/total");
    c.exec(&[], &["/bin/payload", "burn", "300"])?.ok()?;
    let data = stats(ctx, &c)?;
    let used = number(&data, "/cpu/usage/total") - before;
    // The machine may give us little of a processor, but not more than all of it.
    check!((5_000_000..2_000_000_000).contains(&used), "{used} ns for 300 ms of work");
    let (user, kernel) = (number(&data, "/cpu/usage/user"), number(&data, "/cpu/usage/kernel"));
    check!(user > 0 && user + kernel < before + used + 100_000_000, "{}", data["cpu"]);
    if ctx.layout != Layout::V2 {
        let each = data["cpu"]["usage"]["percpu"].as_array().into_iter().flatten();
        let sum: u64 = each.filter_map(Value::as_u64).sum();
        check!(sum > before, "of all processors: {}", data["cpu"]);
    }
    Ok(())
}

fn memory_that_is_filled_is_told(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    let c = running(ctx, json!({}))?;
    let before = stats(ctx, &c)?;
    let fill = "busybox dd if=/dev/zero of=/dev/shm/fill bs=1M count=20 2>/dev/null";
    c.exec(&[], &["/bin/sh", "-c", fill])?.ok()?;
    let after = stats(ctx, &c)?;
    for place in ["/memory/usage/usage", "/memory/cache", "/memory/raw/shmem"] {
        let grown = number(&after, place).saturating_sub(number(&before, place));
        check!((19 * MEGABYTE..40 * MEGABYTE).contains(&grown), "{place}: {grown} bytes more");
    }
    check!(number(&after, "/memory/swap/usage") >= 19 * MEGABYTE, "{}", after["memory"]["swap"]);
    Ok(())
}

fn tasks_are_counted(ctx: &Context) -> Outcome {
    let c = running(ctx, json!({}))?;
    check_eq!(number(&stats(ctx, &c)?, "/pids/current"), 1, "tasks at first");
    c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
    check_eq!(number(&stats(ctx, &c)?, "/pids/current"), 2, "tasks then");
    Ok(())
}

fn throttled_time_is_told(ctx: &Context) -> Outcome {
    needs(ctx.layout, "cpu")?;
    let c = running(ctx, json!({"cpu": {"quota": 10000, "period": 100_000}}))?;
    c.exec(&[], &["/bin/payload", "burn", "500"])?.ok()?;
    let throttling = stats(ctx, &c)?["cpu"]["throttling"].take();
    for member in ["/periods", "/throttledPeriods"] {
        check!(number(&throttling, member) >= 2, "{member} of {throttling}");
    }
    let time = number(&throttling, "/throttledTime");
    check!((1_000_000..30_000_000_000).contains(&time), "{throttling}");
    Ok(())
}

fn bytes_read_from_a_disk_are_told(ctx: &Context) -> Outcome {
    needs(ctx.layout, "io")?;
    let c = running(ctx, json!({}))?;
    if nix::sys::stat::major(c.rootfs().metadata()?.dev()) == 0 {
        return Err(Stop::skip("no disk below the root file system here"));
    }
    // Past the page cache, as far as the file system can.
    let read = "busybox dd if=/bin/busybox of=/dev/null bs=65536 count=10 iflag=direct";
    if c.exec(&[], &["/bin/sh", "-c", read])?.code != 0 {
        return Err(Stop::skip("no dd that reads past the page cache"));
    }
    let blkio = stats(ctx, &c)?["blkio"].take();
    let all = blkio["ioServiceBytesRecursive"].as_array().into_iter().flatten();
    let bytes: u64 =
        all.filter(|entry| entry["op"] == "Read").filter_map(|it| it["value"].as_u64()).sum();
    check!(bytes >= 10 * 65536, "{blkio}");
    let requests = &blkio["ioServicedRecursive"];
    check!(requests.as_array().is_some_and(|all| !all.is_empty()), "{blkio}");
    Ok(())
}

fn created_and_paused_containers_are_told_of(ctx: &Context) -> Outcome {
    let c = Bundle::new(ctx)?.payload(&["sleep", "60000"]).container()?;
    c.create()?;
    // runc's init has threads.
    check!(number(&stats(ctx, &c)?, "/pids/current") >= 1, "no tasks in a created container");
    c.start()?;
    c.verb("pause")?.ok()?;
    check_eq!(number(&stats(ctx, &c)?, "/pids/current"), 1, "tasks of a paused container");
    c.verb("resume")?.ok()?;
    Ok(())
}

fn follow(ctx: &Context, c: &Container<'_>, flags: &[&str]) -> Outcome<Running> {
    ctx.cmd(&[&["events", "--interval", "100ms"], flags, &[c.id.as_str()]].concat())?.start()
}

fn printed(running: &Running) -> String {
    std::fs::read_to_string(running.stdout()).unwrap_or_default()
}

/// Waits until what `running` has printed has these lines.
fn prints(running: &Running, what: &str, count: usize) -> Outcome {
    wait_for(&format!("{count} of {what}"), || {
        Ok((printed(running).matches(what).count() >= count).then_some(()))
    })
}

fn of_type(done: &Done, kind: &str) -> Outcome<usize> {
    Ok(lines(&done.stdout)?.iter().filter(|line| line["type"] == kind).count())
}

fn reports_come_at_each_interval_until_the_end(ctx: &Context) -> Outcome {
    let c = running(ctx, json!({}))?;
    let begin = std::time::Instant::now();
    let events = follow(ctx, &c, &[])?;
    prints(&events, "\"stats\"", 3)?;
    let took = begin.elapsed().as_millis();
    check!(took >= 300, "three reports after {took} ms");
    c.kill_init()?;
    // runc waits until the cgroup is removed.
    c.verb("delete")?.ok()?;
    let done = events.done()?.ok()?;
    check_eq!(of_type(&done, "oom")?, 0, "lines of type oom");
    check!(of_type(&done, "stats")? >= 3, "{:?}", done.stdout);
    Ok(())
}

fn want_of_memory_is_told_when_it_comes(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    let limit = 16 * MEGABYTE;
    let c = running(ctx, json!({"memory": {"limit": limit, "swap": limit}}))?;
    let events = follow(ctx, &c, &[])?;
    prints(&events, "\"stats\"", 1)?;
    let eaten = c.exec(&[], &["/bin/payload", "allocate", "100000000"])?;
    check_eq!(eaten.code, 137, "exit code of what ate too much");
    prints(&events, "\"oom\"", 1)?;
    // Nothing but that was killed.
    c.has_status("running")?;
    c.kill_init()?;
    c.verb("delete")?.ok()?;
    let done = events.done()?.ok()?;
    let oom = lines(&done.stdout)?.into_iter().find(|line| line["type"] == "oom");
    check_eq!(oom, Some(json!({"type": "oom", "id": c.id})), "the line");
    Ok(())
}

fn want_of_memory_that_ends_the_container_is_told(ctx: &Context) -> Outcome {
    needs(ctx.layout, "memory")?;
    let limit = 16 * MEGABYTE;
    let c = Bundle::new(ctx)?
        .set("/linux/resources/memory", json!({"limit": limit, "swap": limit}))
        .payload(&["allocate", "100000000"])
        .container()?;
    c.create()?;
    let events = follow(ctx, &c, &[])?;
    prints(&events, "\"stats\"", 1)?;
    c.start()?;
    check_eq!(c.exit_code()?, 137, "exit code of the container");
    c.verb("delete")?.ok()?;
    let done = events.done()?.ok()?;
    check!(of_type(&done, "oom")? >= 1, "{:?}", done.stdout);
    Ok(())
}

fn stopped_container_is_not_running(ctx: &Context) -> Outcome {
    let c = running(ctx, json!({}))?;
    c.kill_init()?;
    let said = format!("container with id {} is not running", c.id);
    for flags in [&["--stats"][..], &[]] {
        let done = ctx.done(&[&["events"], flags, &[c.id.as_str()]].concat())?;
        done.exits(1)?.says(&[&said])?.in_one_line()?;
    }
    ctx.done(&["events", "nobody"])?.exits(1)?.says(&["container does not exist"])?;
    Ok(())
}

fn wrong_intervals_are_refused(ctx: &Context) -> Outcome {
    let c = running(ctx, json!({}))?;
    for interval in ["0s", "-1s", "0"] {
        let done = ctx.done(&["events", "--interval", interval, &c.id])?;
        done.exits(1)?.says(&["duration interval must be greater than 0"])?;
    }
    for interval in ["soon", "5", "1d", "s"] {
        let done = ctx.done(&["events", "--interval", interval, &c.id])?;
        check!(done.code != 0, "{interval} was accepted");
        done.says(&["for flag -interval"])?;
    }
    Ok(())
}

fn interfaces_of_the_container_are_told(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("runc tells of devices only that it made, and it makes none"));
    }
    let c = running(ctx, json!({}))?;
    check_eq!(stats(ctx, &c)?["network_interfaces"], json!(null), "with loopback alone");
    let namespace = format!("/proc/{}/ns/net", c.pid()?);
    let ip = |words| Outcome::Ok(super::net_devices::ip(ctx, &namespace, words)?.code);
    if ip("link add eth7 type veth peer name eth8")? != 0 {
        return Err(Stop::skip("no veth devices here"));
    }
    for words in ["link set eth7 up", "link set eth8 up"] {
        check_eq!(ip(words)?, 0, "{words}");
    }
    // Each end speaks of its neighbours to the other.
    wait_for("packets", || {
        let all = stats(ctx, &c)?["network_interfaces"].take();
        let names: Vec<_> = all.as_array().into_iter().flatten().map(|it| &it["Name"]).collect();
        check_eq!(names, [&json!("eth7"), &json!("eth8")], "names");
        let (sent, received) = (number(&all, "/0/TxBytes"), number(&all, "/1/RxBytes"));
        Ok((sent > 0 && received > 0 && number(&all, "/0/TxPackets") > 0).then_some(()))
    })
}

/// The samples of an exposition by name and labels, without the container's.
fn samples(text: &str, id: &str) -> Outcome<Vec<(String, f64)>> {
    let mut all = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let sample = line.split_once("} ").and_then(|(name, value)| {
            let name = name.replace(&format!("id=\"{id}\""), "").replace("{,", "{");
            Some((name, value.parse().ok()?))
        });
        all.push(sample.ok_or_else(|| Stop::fail(format!("not a sample: {line}")))?);
    }
    Ok(all)
}

fn prometheus_gets_its_format(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("runc knows JSON only"));
    }
    for controller in ["memory", "pids"] {
        needs(ctx.layout, controller)?;
    }
    let c = running(ctx, json!({"memory": {"limit": 64 * MEGABYTE}, "pids": {"limit": 21}}))?;
    let done = ctx.ok(&["events", "--stats", "--format", "prometheus", &c.id])?;
    let all = samples(&done.stdout, &c.id)?;
    let value = |name: &str| all.iter().find(|(it, _)| it == name).map(|(_, value)| *value);
    check_eq!(value("tare_pids{"), Some(1.0), "tasks in {}", done.stdout);
    check_eq!(value("tare_pids_limit{"), Some(21.0), "limit of tasks");
    let limit = value("tare_memory_limit_bytes{");
    check_eq!(limit, Some(67_108_864.0), "limit of memory");
    let seconds = value("tare_cpu_usage_seconds_total{").unwrap_or(0.0);
    check!(seconds > 0.0 && seconds < 10.0, "{seconds} s");
    let typed = done.stdout.lines().filter(|line| line.starts_with("# TYPE ")).count();
    check!(typed > 10, "{}", done.stdout);
    let done = ctx.done(&["events", "--stats", "--format", "xml", &c.id])?;
    done.exits(1)?.says(&["invalid format option"])?;
    Ok(())
}

fn prometheus_counts_want_of_memory(ctx: &Context) -> Outcome {
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("runc knows JSON only"));
    }
    needs(ctx.layout, "memory")?;
    let limit = 16 * MEGABYTE;
    let c = running(ctx, json!({"memory": {"limit": limit, "swap": limit}}))?;
    let events = follow(ctx, &c, &["--format=prometheus"])?;
    let told = |name: &str, count: u32| format!("tare_{name}{{id=\"{}\"}} {count}\n", c.id);
    prints(&events, &told("memory_oom_kills_total", 0), 1)?;
    c.exec(&[], &["/bin/payload", "allocate", "100000000"])?;
    prints(&events, &told("memory_oom_kills_total", 1), 1)?;
    prints(&events, &told("memory_oom_events_total", 1), 1)?;
    c.kill_init()?;
    events.done()?.ok()?;
    Ok(())
}
