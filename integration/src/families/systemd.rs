//! `--systemd-cgroup`: the cgroup is a transient unit, from `create` to `delete`, whatever comes
//! in between.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::Context;
use crate::leftovers;
use crate::outcome::Outcome;
use crate::process::wait_for;
use crate::random::Random;
use crate::systemd::{apart, hiding, needs_v2, place_of, user_with_manager, with_systemd};
use crate::user::User;
use crate::{check, check_eq, family};

family!("systemd":
    container_is_a_unit_from_create_to_delete,
    unit_is_gone_after_run,
    executed_process_joins_the_unit,
    paused_container_keeps_its_unit,
    slices_are_nested_by_their_names,
    prefix_may_be_empty,
    without_a_path_the_unit_has_the_containers_id,
    other_forms_of_the_path_are_refused,
    annotations_become_properties,
    annotation_that_is_no_value_is_refused,
    property_that_systemd_does_not_take_leaves_nothing,
    failed_unit_of_the_same_name_is_replaced,
    unit_of_somebody_else_is_left_alone,
    failure_after_the_unit_is_made_takes_it_back,
    container_killed_for_memory_leaves_no_failed_unit,
    stragglers_end_with_the_unit,
    unit_that_systemd_stops_ends_the_container,
    runtime_killed_during_create_leaves_no_unit,
    private_socket_does_without_a_bus,
    bus_does_without_the_private_socket,
    unreachable_systemd_is_told_with_what_to_do,
    manager_of_a_user_makes_an_ordinary_users_unit,
    manager_of_a_user_makes_the_unit_of_a_root_that_the_user_is,
    user_without_a_session_is_told_what_to_do,
);

fn container_is_a_unit_from_create_to_delete(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        let unit = systemd.unit(&c.id);
        c.create()?;
        let slice = format!("{}.slice", systemd.prefix);
        let place = format!("/{slice}/{unit}");
        check_eq!(place_of(c.pid()?)?, place, "cgroup of init");
        for (name, value) in [
            ("ActiveState", "active"),
            ("Transient", "yes"),
            ("Slice", slice.as_str()),
            ("ControlGroup", place.as_str()),
            ("Delegate", "yes"),
            ("DefaultDependencies", "no"),
            ("MemoryAccounting", "yes"),
            ("TasksAccounting", "yes"),
        ] {
            check_eq!(systemd.property(&unit, name)?, value, "{name}");
        }
        let io = systemd.property(&unit, "IOAccounting")? == "yes";
        let block_io = || systemd.property(&unit, "BlockIOAccounting");
        check!(io || block_io()? == "yes", "I/O is not accounted for");
        let description = systemd.property(&unit, "Description")?;
        check!(description.contains(&c.id), "the description is {description:?}");
        c.start()?;
        c.has_status("running")?;
        let pids = systemd.ctx.ok(&["ps", "--format", "json", &c.id])?.stdout;
        check_eq!(serde_json::from_str::<Vec<i32>>(&pids)?, [c.pid()?], "processes");
        c.kill("KILL")?.ok()?;
        c.exit_code()?;
        c.verb("delete")?.ok()?;
        systemd.has_nothing_left()
    })
}

fn unit_is_gone_after_run(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let c = systemd.bundle()?.payload(&["exit", "7"]).container()?;
        c.run(&[])?.exits(7)?;
        systemd.has_nothing_left()
    })
}

fn executed_process_joins_the_unit(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        c.up()?;
        let pid = c.exec_detached(&[], &["/bin/payload", "sleep", "60000"])?;
        check_eq!(place_of(pid)?, place_of(c.pid()?)?, "cgroup of the executed process");
        c.exec(&[], &["/bin/payload", "exit", "3"])?.exits(3)?;
        Ok(())
    })
}

fn paused_container_keeps_its_unit(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        c.up()?;
        c.verb("pause")?.ok()?;
        c.has_status("paused")?;
        let frozen =
            systemd.file(&c, "cgroup.freeze").or_else(|_| systemd.file(&c, "freezer.state"))?;
        check!(["1", "FROZEN"].contains(&frozen.as_str()), "the state of the freezer is {frozen}");
        check_eq!(systemd.property(&systemd.unit(&c.id), "ActiveState")?, "active", "the unit");
        c.verb("resume")?.ok()?;
        c.has_status("running")?;
        c.verb("pause")?.ok()?;
        // Frozen processes do not end when systemd asks them to.
        systemd.ctx.ok(&["delete", "--force", &c.id])?;
        c.exit_code()?;
        systemd.has_nothing_left()
    })
}

fn slices_are_nested_by_their_names(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let prefix = &systemd.prefix;
        for (path, place) in [
            (
                format!("{prefix}-a-b.slice:{prefix}:one"),
                format!("/{prefix}.slice/{prefix}-a.slice/{prefix}-a-b.slice/{prefix}-one.scope"),
            ),
            (format!(":{prefix}:two"), format!("/system.slice/{prefix}-two.scope")),
        ] {
            let c = systemd.bundle()?.set("/linux/cgroupsPath", json!(path)).container()?;
            c.create()?;
            check_eq!(place_of(c.pid()?)?, place, "cgroup for {path}");
        }
        // Slices without units stay until systemd collects them.
        let slices = [format!("{prefix}-a-b.slice"), format!("{prefix}-a.slice")];
        systemd.systemctl(&["stop", &slices[0], &slices[1]])?;
        Ok(())
    })
}

fn prefix_may_be_empty(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let path = format!("{0}.slice::{0}-alone", systemd.prefix);
        let c = systemd.bundle()?.set("/linux/cgroupsPath", json!(path)).container()?;
        c.create()?;
        check_eq!(
            place_of(c.pid()?)?,
            format!("/{0}.slice/{0}-alone.scope", systemd.prefix),
            "cgroup"
        );
        Ok(())
    })
}

fn without_a_path_the_unit_has_the_containers_id(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let c = systemd.bundle()?.remove("/linux", "cgroupsPath").container()?;
        c.create()?;
        let place = place_of(c.pid()?)?;
        let unit = place.strip_prefix("/system.slice/").unwrap_or_default().to_owned();
        check!(unit.contains(&c.id) && unit.ends_with(".scope"), "the cgroup is {place}");
        systemd.ctx.ok(&["delete", "--force", &c.id])?;
        wait_for("the end of the unit", || {
            Ok((systemd.property(&unit, "LoadState")? == "not-found").then_some(()))
        })
    })
}

fn other_forms_of_the_path_are_refused(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        for path in ["/a/b", "a.slice:b", "a.slice:b:c:d", "name"] {
            let c = systemd.bundle()?.set("/linux/cgroupsPath", json!(path)).container()?;
            let done = c.try_create(&[])?.exits(1)?;
            done.says(&["expected cgroupsPath to be of format"])?;
        }
        for path in ["a--b.slice:p:n", "a:p:n", "-a.slice:p:n"] {
            let c = systemd.bundle()?.set("/linux/cgroupsPath", json!(path)).container()?;
            c.try_create(&[])?.exits(1)?.says(&["invalid slice name"])?;
        }
        Ok(())
    })
}

fn annotations_become_properties(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let c = systemd
            .bundle()?
            .set(
                "/annotations",
                json!({
                    "org.systemd.property.TimeoutStopUSec": "uint64 5000000",
                    "org.systemd.property.RuntimeMaxSec": "3600",
                    "org.systemd.property.CollectMode": "'inactive-or-failed'",
                    "org.systemd.property.Documentation": "['https://example.org/a']",
                    "org.systemd.property.SendSIGHUP": "true",
                }),
            )
            .container()?;
        c.create()?;
        for (name, value) in [
            ("TimeoutStopUSec", "5s"),
            ("RuntimeMaxUSec", "1h"),
            ("CollectMode", "inactive-or-failed"),
            ("Documentation", "https://example.org/a"),
            ("SendSIGHUP", "yes"),
        ] {
            check_eq!(systemd.property(&systemd.unit(&c.id), name)?, value, "{name}");
        }
        Ok(())
    })
}

fn annotation_that_is_no_value_is_refused(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        for (name, value, phrase) in [
            ("CollectMode", "inactive", "parse error"),
            ("TimeoutStopSec", "'soon'", "Sec"),
            ("Ab", "1", "name"),
            ("Collect.Mode", "'inactive'", "name"),
        ] {
            let pointer = format!("org.systemd.property.{name}");
            let c = systemd.bundle()?.set("/annotations", json!({ pointer: value })).container()?;
            c.try_create(&[])?.exits(1)?.says(&[phrase])?;
            check!(!systemd.cgroup(&c.id).exists(), "{name}: the unit was made");
        }
        Ok(())
    })
}

fn property_that_systemd_does_not_take_leaves_nothing(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let property = json!({"org.systemd.property.NoSuchThing": "true"});
        let c = systemd.bundle()?.set("/annotations", property).container()?;
        c.try_create(&[])?.exits(1)?.says(&["NoSuchThing", "unknown property"])?;
        check!(!systemd.cgroup(&c.id).exists(), "the cgroup was made");
        systemd.has_nothing_left()
    })
}

fn failed_unit_of_the_same_name_is_replaced(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        let unit = systemd.unit(&c.id);
        let mut scope = systemd.foreign_scope(&unit, &["--property=RuntimeMaxSec=1"])?;
        check!(scope.ended_in_time()?, "the scope outlived its time");
        wait_for("a failed unit", || {
            Ok((systemd.property(&unit, "ActiveState")? == "failed").then_some(()))
        })?;
        c.create()?;
        check_eq!(systemd.property(&unit, "ActiveState")?, "active", "the unit");
        Ok(())
    })
}

fn unit_of_somebody_else_is_left_alone(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        let unit = systemd.unit(&c.id);
        let mut scope = systemd.foreign_scope(&unit, &[])?;
        c.try_create(&[])?.exits(1)?.says(&["already", "exists", "not empty"])?;
        systemd.ctx.ok(&["delete", "--force", &c.id])?;
        check_eq!(systemd.property(&unit, "ActiveState")?, "active", "the other's unit");
        let pids = fs::read_to_string(systemd.cgroup(&c.id).join("cgroup.procs"))?;
        let pids: Vec<i32> = pids.lines().filter_map(|pid| pid.parse().ok()).collect();
        check_eq!(pids, [scope.pid()], "processes of the other's unit");
        scope.kill()?;
        scope.ended_in_time().map(drop)
    })
}

fn failure_after_the_unit_is_made_takes_it_back(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let hook = json!([{"path": "/bin/false", "args": ["false"]}]);
        let c = systemd.bundle()?.set("/hooks/createRuntime", hook).container()?;
        check!(c.try_create(&[])?.code != 0, "it was created");
        systemd.has_nothing_left()?;
        let c = systemd.bundle()?.args(&["/no/such/program"]).container()?;
        check!(c.run(&[])?.code != 0, "it ran");
        let c = systemd.bundle()?.set("/linux/resources/unified", json!({"memory.none": "1"}));
        check!(c.container()?.try_create(&[])?.code != 0, "it was created");
        systemd.has_nothing_left()
    })
}

fn container_killed_for_memory_leaves_no_failed_unit(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let memory = json!({"limit": 16_777_216, "swap": 16_777_216});
        let bundle = systemd.bundle()?.set("/linux/resources/memory", memory);
        let c = bundle.payload(&["allocate", "67108864"]).container()?;
        c.up()?;
        check_eq!(c.exit_code()?, 137, "exit code");
        c.verb("delete")?.ok()?;
        systemd.has_nothing_left()
    })
}

fn stragglers_end_with_the_unit(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let bundle = systemd.bundle()?.without_namespace("pid");
        let script = "trap '' TERM HUP; (trap '' TERM HUP; while :; do sleep 1; done) & exit 0";
        let c = bundle.args(&["/bin/sh", "-c", script]).container()?;
        c.up()?;
        c.exit_code()?;
        check!(!systemd.file(&c, "cgroup.procs")?.is_empty(), "nobody stayed behind");
        let begin = Instant::now();
        c.verb("delete")?.ok()?;
        let time = begin.elapsed();
        check!(time.as_secs() < 15, "delete took {time:?}");
        check!(!systemd.cgroup(&c.id).exists(), "the cgroup is still there");
        systemd.has_nothing_left()
    })
}

fn unit_that_systemd_stops_ends_the_container(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let patience = json!({"org.systemd.property.TimeoutStopUSec": "uint64 500000"});
        let c = systemd.bundle()?.set("/annotations", patience).container()?;
        c.up()?;
        let unit = systemd.unit(&c.id);
        systemd.systemctl(&["stop", &unit])?;
        check_eq!(c.exit_code()?, 137, "exit code");
        c.has_status("stopped")?;
        c.verb("delete")?.ok()?;
        systemd.has_nothing_left()
    })
}

fn runtime_killed_during_create_leaves_no_unit(ctx: &Context) -> Outcome {
    const TIMES: u32 = 30;
    with_systemd(ctx, |systemd| {
        let c = systemd.bundle()?.container()?;
        let begin = Instant::now();
        c.create()?;
        let whole = begin.elapsed();
        drop(c);
        let mut random = Random::new();
        let mut unfinished = 0;
        for round in 0..TIMES {
            let delay = whole.mul_f64(random.fraction() * 1.1);
            let c = systemd.bundle()?.container()?;
            let mut run = c.command("create", &[])?.start()?;
            std::thread::sleep(delay);
            run.kill()?;
            unfinished += u32::from(run.done()?.code == 137);
            let failed = |what: &str| format!("round {round}, killed after {delay:?}: {what}");
            let done = systemd.ctx.done(&["delete", "--force", &c.id])?;
            check!(done.code == 0, "{}", failed(&done.stderr));
            systemd.has_nothing_left()?;
            check!(!systemd.cgroup(&c.id).exists(), "{}", failed("the cgroup is left"));
            leftovers::end_processes();
        }
        println!("      {unfinished} of {TIMES} creates were killed before their end");
        check!(unfinished > TIMES / 4, "only {unfinished} creates were killed before their end");
        Ok(())
    })
}

/// Runs a container and deletes it while some sockets of the host are hidden.
fn works_while_hidden(ctx: &Context, directories: &[&str]) -> Outcome {
    with_systemd(ctx, |systemd| {
        let hidden = apart(ctx, &hiding(ctx, directories)?)?;
        let c = systemd.bundle_in(&hidden)?.container()?;
        c.up()?;
        check_eq!(systemd.property(&systemd.unit(&c.id), "ActiveState")?, "active", "the unit");
        hidden.ok(&["update", "--pids-limit", "50", &c.id])?;
        check_eq!(systemd.property(&systemd.unit(&c.id), "TasksMax")?, "50", "TasksMax");
        c.kill("KILL")?.ok()?;
        c.exit_code()?;
        c.verb("delete")?.ok()?;
        systemd.has_nothing_left()
    })
}

fn private_socket_does_without_a_bus(ctx: &Context) -> Outcome {
    works_while_hidden(ctx, &["/run/dbus"])
}

fn bus_does_without_the_private_socket(ctx: &Context) -> Outcome {
    works_while_hidden(ctx, &["/run/systemd"])
}

fn unreachable_systemd_is_told_with_what_to_do(ctx: &Context) -> Outcome {
    let hidden = apart(ctx, &hiding(ctx, &["/run/systemd", "/run/dbus"])?)?;
    let path = json!("system.slice:tareit:unreachable");
    let c = Bundle::new(&hidden)?.set("/linux/cgroupsPath", path).container()?;
    let done = c.try_create(&[])?;
    check!(done.code != 0, "it was created");
    let done = done.says(&["connecting to systemd"])?;
    done.says(&["leave --systemd-cgroup out"])?;
    hidden.ok(&["delete", "--force", &c.id])?;
    check!(fs::read_dir(hidden.root())?.count() == 0, "a record is left behind");
    Ok(())
}

fn manager_of_a_user_makes_an_ordinary_users_unit(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let user = user_with_manager(ctx, "")?;
        let path = json!(format!("{0}.slice:{0}:user", systemd.prefix));
        let limits = json!({"pids": {"limit": 44}, "memory": {"limit": 67_108_864}});
        let c = user
            .bundle()?
            .set("/linux/cgroupsPath", path)
            .set("/linux/resources", limits)
            .payload(&["sleep", "60000"])
            .container()?;
        c.up()?;
        let place = place_of(c.pid()?)?;
        check!(place.starts_with("/user.slice/user-"), "the cgroup is {place}");
        check!(place.ends_with(&format!("{0}.slice/{0}-user.scope", systemd.prefix)), "{place}");
        let dir = Path::new("/sys/fs/cgroup").join(place.trim_start_matches('/'));
        let holds = |file: &str, value: &str| -> Outcome {
            check_eq!(fs::read_to_string(dir.join(file))?.trim(), value, "{file}");
            Ok(())
        };
        holds("pids.max", "44")?;
        holds("memory.max", "67108864")?;
        user.ctx.ok(&["update", "--pids-limit", "33", &c.id])?;
        holds("pids.max", "33")?;
        c.exec(&[], &["/bin/payload", "exit", "4"])?.exits(4)?;
        c.kill("KILL")?.ok()?;
        c.exit_code()?;
        c.verb("delete")?.ok()?;
        check!(!dir.exists(), "the cgroup is left");
        Ok(())
    })
}

/// As rootless Podman calls the runtime.
fn manager_of_a_user_makes_the_unit_of_a_root_that_the_user_is(ctx: &Context) -> Outcome {
    with_systemd(ctx, |systemd| {
        let user = user_with_manager(ctx, "unshare --user --map-root-user --mount")?;
        let path = json!(format!("{0}.slice:{0}:root", systemd.prefix));
        let c = user
            .bundle()?
            .without_namespace("user")
            .remove("/linux", "uidMappings")
            .remove("/linux", "gidMappings")
            .set("/linux/cgroupsPath", path)
            .set("/linux/resources", json!({"pids": {"limit": 44}}))
            .payload(&["sleep", "60000"])
            .container()?;
        c.up()?;
        let place = place_of(c.pid()?)?;
        check!(place.starts_with("/user.slice/user-"), "the cgroup is {place}");
        let dir = Path::new("/sys/fs/cgroup").join(place.trim_start_matches('/'));
        check_eq!(fs::read_to_string(dir.join("pids.max"))?.trim(), "44", "pids.max");
        user.ctx.ok(&["delete", "--force", &c.id])?;
        c.exit_code()?;
        check!(!dir.exists(), "the cgroup is left");
        Ok(())
    })
}

fn user_without_a_session_is_told_what_to_do(ctx: &Context) -> Outcome {
    needs_v2(ctx)?;
    let user = User::new(ctx, false)?;
    let bundle = user.bundle()?.set("/linux/cgroupsPath", json!("user.slice:tareit:none"));
    let c: Container<'_> = bundle.container()?;
    let flags = ["--systemd-cgroup", "create", "--bundle", &c.dir.to_string_lossy(), &c.id];
    let done = user.ctx.done(&flags)?;
    check!(done.code != 0, "it was created");
    let done = done.says(&["connecting to the user's systemd"])?;
    done.says(&["loginctl enable-linger"])?;
    Ok(())
}
