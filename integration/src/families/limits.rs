//! Limits that bite, and limits that are refused.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::resources::{disk_of, needs};
use crate::bundle::Bundle;
use crate::cgroups::directories;
use crate::context::{Context, Kind, Layout};
use crate::outcome::{Outcome, Stop};
use crate::process::{Run, wait_for};
use crate::{check, check_eq, family};

family!("limits":
    memory_limit_ends_the_process_that_exceeds_it,
    pids_limit_stops_forks,
    cpu_quota_throttles,
    cpuset_restricts_the_affinity,
    hugepage_limit_refuses_pages,
    writes_to_a_disk_are_throttled,
    network_class_and_priorities_are_set,
    weight_of_a_device_is_set,
    realtime_runtime_is_part_of_that_above,
    memory_limit_that_is_too_low_for_init_is_reported,
    refused_limits_name_their_place_and_leave_nothing,
    limits_without_a_controller_are_refused,
    unified_values_that_cannot_be_are_refused,
    memory_limit_below_the_usage_does_not_pass_the_check,
);

fn limited<'c>(ctx: &'c Context, resources: Value) -> Outcome<Bundle<'c>> {
    let mut bundle = Bundle::new(ctx)?;
    for (name, value) in resources.as_object().into_iter().flatten() {
        bundle = bundle.set(&format!("/linux/resources/{name}"), value.clone());
    }
    Ok(bundle)
}

fn memory_limit_ends_the_process_that_exceeds_it(ctx: &Context) -> Outcome {
    needs(ctx, "memory")?;
    let c = limited(ctx, json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}}))?
        .payload(&["allocate", "8000000", ",", "allocate", "100000000"])
        .container()?;
    let done = c.run(&[])?.exits(137)?;
    check!(done.stdout.contains("8000000"), "the first allocation failed: {}", done.stdout);
    Ok(())
}

fn pids_limit_stops_forks(ctx: &Context) -> Outcome {
    needs(ctx, "pids")?;
    let bundle = limited(ctx, json!({"pids": {"limit": 10}}))?;
    let line = bundle.report(&["fork-until-refused", "50"])?;
    check_eq!(line, json!({"forked": 9, "errno": 11}), "forks");
    Ok(())
}

fn cpu_quota_throttles(ctx: &Context) -> Outcome {
    let hierarchy = needs(ctx, "cpu")?;
    let c = limited(ctx, json!({"cpu": {"quota": 10_000, "period": 100_000}}))?
        .payload(&["burn", "60000"])
        .container()?;
    c.up()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let file = hierarchy.join(cgroup.trim_start_matches('/')).join("cpu.stat");
    // What is measured in time depends on what else the machine does.
    wait_for("periods that were cut short", || {
        let text = fs::read_to_string(&file)?;
        let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        Ok(line.and_then(|count| count.parse::<u64>().ok()).filter(|count| *count > 2))
    })
    .map(drop)
}

fn cpuset_restricts_the_affinity(ctx: &Context) -> Outcome {
    needs(ctx, "cpuset")?;
    let last = std::thread::available_parallelism()?.get() - 1;
    for cpu in [0, last] {
        let bundle = limited(ctx, json!({"cpu": {"cpus": cpu.to_string()}}))?;
        check_eq!(bundle.report(&["affinity"])?["cpus"], json!([cpu]), "processors");
    }
    Ok(())
}

fn hugepage_limit_refuses_pages(ctx: &Context) -> Outcome {
    needs(ctx, "hugetlb")?;
    let free = fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    if free.is_ok_and(|count| count.trim() == "0") {
        return Err(Stop::skip("no huge pages are set aside here"));
    }
    for (limit, errno) in [(2 << 20, 0), (0, libc::ENOMEM)] {
        let limits = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": limit}]});
        let line = limited(ctx, limits)?.report(&["hugepage"])?;
        check_eq!(line["errno"], json!(errno), "errno with a limit of {limit} in {line}");
    }
    Ok(())
}

fn writes_to_a_disk_are_throttled(ctx: &Context) -> Outcome {
    needs(ctx, "io")?;
    let (major, minor) = disk_of(&ctx.dir)?;
    let rate = json!([{"major": major, "minor": minor, "rate": 1 << 20}]);
    let dd = "of=/file bs=65536 count=24 oflag=direct";
    let script = format!("/bin/busybox dd if=/dev/zero {dd} 2>/dev/null");
    let c = limited(ctx, json!({"blockIO": {"throttleWriteBpsDevice": rate}}))?
        .args(&["/bin/sh", "-c", &script])
        .container()?;
    let begin = Instant::now();
    let done = c.run(&[])?;
    if done.code != 0 {
        return Err(Stop::skip("the disk takes no direct writes"));
    }
    let took = begin.elapsed();
    check!(took > Duration::from_millis(900), "1.5 MB at 1 MB/s took {took:?}");
    Ok(())
}

/// v1 only, and hardly mounted anywhere: here they are, in a mount namespace.
fn network_class_and_priorities_are_set(ctx: &Context) -> Outcome {
    if ctx.layout == Layout::V2 {
        return Err(Stop::skip("controllers of v1"));
    }
    let kernel = fs::read_to_string("/proc/cgroups")?;
    let is_free = |name: &&str| kernel.lines().any(|l| l.starts_with(&format!("{name}\t0\t")));
    if !["net_cls", "net_prio"].iter().all(is_free) {
        return Err(Stop::skip("no net_cls and net_prio in this kernel, or mounted already"));
    }
    let priorities = json!([{"name": "lo", "priority": 5}]);
    let network = json!({"classID": 1_048_577, "priorities": priorities});
    let c = limited(ctx, json!({"network": network}))?.container()?;
    let mounts = ctx.dir.join("v1");
    fs::create_dir(&mounts)?;
    let with_mounts = |script: &str| -> Outcome<Run> {
        let args = ["--mount", "sh", "-c", script];
        Ok(Run::new("/usr/bin/unshare".as_ref(), &args, &ctx.dir)?.env("MOUNTS", &mounts))
    };
    let done = with_mounts(
        r#"mount --make-rprivate / && cd "$MOUNTS" && mkdir net_cls net_prio &&
        mount -t cgroup -o net_cls none net_cls && mount -t cgroup -o net_prio none net_prio &&
        "$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" --pid-file "$PID" "$ID" </dev/null &&
        cat "net_cls$CGROUP/net_cls.classid" "net_prio$CGROUP/net_prio.ifpriomap"
        "$RUNTIME" --root "$ROOT" delete --force "$ID"
        rmdir "net_cls${CGROUP%/*}" "net_prio${CGROUP%/*}""#,
    )?
    .env("RUNTIME", &ctx.runtime)
    .env("ROOT", ctx.root())
    .env("BUNDLE", &c.dir)
    .env("ID", &c.id)
    .env("PID", c.pid_file())
    .env("CGROUP", c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default())
    .done();
    // The last process keeps its cgroup until it is reaped, and that keeps the hierarchy.
    drop(c);
    with_mounts(
        r#"mount --make-rprivate / && cd "$MOUNTS" && for name in net_cls net_prio; do
            for _ in 1 2 3 4 5 6; do
                if grep -q "^$name.0" /proc/cgroups; then break; fi
                mount -t cgroup -o "$name" none "$name" && umount "$name"
                sleep 0.2
            done
        done"#,
    )?
    .done()?;
    let stdout = done?.ok()?.stdout;
    let has = |line: &str| stdout.lines().any(|one| one == line);
    check!(has("1048577") && has("lo 5"), "the files hold {stdout:?}");
    Ok(())
}

/// A loop device that nobody uses, scheduled by BFQ until this is dropped.
struct Bfq {
    scheduler: std::path::PathBuf,
    before: String,
    number: (u64, u64),
}

impl Bfq {
    fn new() -> Outcome<Self> {
        let device = std::path::Path::new("/sys/block/loop7");
        let scheduler = device.join("queue/scheduler");
        let text = fs::read_to_string(&scheduler).unwrap_or_default();
        if !text.contains("bfq") || device.join("loop/backing_file").exists() {
            return Err(Stop::skip("no free device that BFQ could schedule"));
        }
        let before = text.split(['[', ']']).nth(1).unwrap_or("none").to_owned();
        let number = fs::read_to_string(device.join("dev"))?;
        let (major, minor) = number.trim().split_once(':').unwrap_or_default();
        fs::write(&scheduler, "bfq")?;
        Ok(Self { scheduler, before, number: (major.parse()?, minor.parse()?) })
    }
}

impl Drop for Bfq {
    fn drop(&mut self) {
        // The device is unused; the test that comes next sets it anew.
        let _ = fs::write(&self.scheduler, &self.before);
    }
}

fn weight_of_a_device_is_set(ctx: &Context) -> Outcome {
    let hierarchy = needs(ctx, "io")?;
    let bfq = Bfq::new()?;
    let (major, minor) = bfq.number;
    let weights = json!([{"major": major, "minor": minor, "weight": 777}]);
    let c = limited(ctx, json!({"blockIO": {"weightDevice": weights}}))?.container()?;
    c.create()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let dir = hierarchy.join(cgroup.trim_start_matches('/'));
    let files = ["blkio.weight_device", "blkio.bfq.weight_device", "io.bfq.weight", "io.weight"];
    let texts = files.iter().filter_map(|file| fs::read_to_string(dir.join(file)).ok());
    let text = texts.collect::<String>();
    check!(text.contains(&format!("{major}:{minor} 777")), "the files hold {text:?}");
    Ok(())
}

fn realtime_runtime_is_part_of_that_above(ctx: &Context) -> Outcome {
    let hierarchy = needs(ctx, "cpu")?;
    if !hierarchy.join("cpu.rt_runtime_us").exists() {
        return Err(Stop::skip("no realtime limits in this kernel, or cgroup v2"));
    }
    let limits = || json!({"cpu": {"realtimePeriod": 1_000_000, "realtimeRuntime": 5_000}});
    refused(ctx, ("cpu", limits(), "cpu/realtimeRuntime", "invalid argument"))?;
    let parent = hierarchy.join(ctx.cgroup.trim_start_matches('/'));
    fs::create_dir_all(&parent)?;
    fs::write(parent.join("cpu.rt_runtime_us"), "10000")?;
    let c = limited(ctx, limits())?.container()?;
    c.create()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let file = hierarchy.join(cgroup.trim_start_matches('/')).join("cpu.rt_runtime_us");
    check_eq!(fs::read_to_string(file)?.trim(), "5000", "runtime");
    Ok(())
}

fn memory_limit_that_is_too_low_for_init_is_reported(ctx: &Context) -> Outcome {
    needs(ctx, "memory")?;
    let c = limited(ctx, json!({"memory": {"limit": 4096, "swap": 4096}}))?.container()?;
    let done = c.try_create(&[])?.exits(1)?;
    done.says(&["container init was OOM-killed (memory limit too low?)"])?;
    left_nothing(ctx, &c.config)
}

fn left_nothing(ctx: &Context, config: &Value) -> Outcome {
    let cgroup = config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let left = directories(ctx.layout, cgroup);
    check!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

/// The controller, what is asked for, the place that is blamed, and some of what is said.
type Refused = (&'static str, Value, &'static str, &'static str);

fn refused(ctx: &Context, (controller, resources, place, says): Refused) -> Outcome {
    if !controller.is_empty() {
        needs(ctx, controller)?;
    }
    let c = limited(ctx, resources)?.container()?;
    let done = c.try_create(&[])?.exits(1)?.says(&[says])?;
    if ctx.kind == Kind::Tare {
        done.says(&[&format!("/linux/resources/{place}")])?;
    }
    left_nothing(ctx, &c.config)
}

fn refused_limits_name_their_place_and_leave_nothing(ctx: &Context) -> Outcome {
    let device = json!([{"major": 250, "minor": 250, "rate": 1}]);
    let rows = [
        ("cpuset", json!({"cpu": {"cpus": "4000"}}), "cpu/cpus", "cpuset.cpus"),
        ("cpuset", json!({"cpu": {"mems": "63"}}), "cpu/mems", "cpuset.mems"),
        ("cpu", json!({"cpu": {"quota": 1, "period": 100_000}}), "cpu/quota", "invalid argument"),
        ("cpu", json!({"cpu": {"period": 2_000_000}}), "cpu/period", "invalid argument"),
        ("memory", json!({"memory": {"swap": 5}}), "memory/swap", "without memory limit"),
        ("memory", json!({"memory": {"limit": 9, "swap": 5}}), "memory/swap", "memory limit"),
        (
            "io",
            json!({"blockIO": {"throttleReadBpsDevice": device}}),
            "blockIO/throttleReadBpsDevice/0",
            "no such device",
        ),
        (
            "hugetlb",
            json!({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}),
            "hugepageLimits/0",
            "no such file",
        ),
        ("rdma", json!({"rdma": {"none0": {"hcaHandles": 3}}}), "rdma/none0", "rdma.max"),
    ];
    let mut lacks = Vec::new();
    for row in rows {
        match refused(ctx, row) {
            Err(Stop::Skip(reason)) => lacks.push(reason),
            other => other?,
        }
    }
    if !lacks.is_empty() {
        println!("      left out: {}", lacks.join(", "));
    }
    Ok(())
}

fn limits_without_a_controller_are_refused(ctx: &Context) -> Outcome {
    if needs(ctx, "rdma").is_ok() {
        return Err(Stop::skip("this machine has the rdma controller"));
    }
    let rdma = json!({"rdma": {"mlx5_1": {"hcaHandles": 3}}});
    refused(ctx, ("", rdma, "rdma/mlx5_1", "rdma"))
}

fn unified_values_that_cannot_be_are_refused(ctx: &Context) -> Outcome {
    if ctx.layout != Layout::V2 {
        let unified = json!({"unified": {"memory.high": "1"}});
        return refused(ctx, ("", unified, "unified", "unified"));
    }
    for (key, value, says) in [
        ("nothing.max", "1", "not available"),
        ("hugetlb.nothing", "1", "unable to set unified resource "),
        ("hugetlb.2MB.max", "many", "unable to set unified resource "),
        // A runtime that writes them all the same must not move or kill a process.
        ("cgroup.procs", "none", "is no limit"),
        ("cgroup.kill", "none", "is no limit"),
        ("../cgroup.procs", "none", "must be a file name (no slashes)"),
    ] {
        let place = format!("unified/{}", key.replace('/', "~1"));
        let place: &'static str = Box::leak(place.into_boxed_str());
        refused(ctx, ("", json!({"unified": {key: value}}), place, says))?;
    }
    Ok(())
}

/// The cgroup was made before, and a file in memory that was written there still counts.
fn memory_limit_below_the_usage_does_not_pass_the_check(ctx: &Context) -> Outcome {
    let hierarchy = needs(ctx, "memory")?;
    if ctx.kind != Kind::Tare {
        return Err(Stop::skip("runc and crun leave it to the kernel on v1"));
    }
    below_the_usage(ctx, &hierarchy, json!({"limit": 65536}), "rejecting memory limit 65536 <= ")?;
    let with_swap = json!({"limit": 65536, "swap": 131_072});
    below_the_usage(ctx, &hierarchy, with_swap, "rejecting memory+swap limit 131072 <= ")
}

fn below_the_usage(ctx: &Context, hierarchy: &Path, mut memory: Value, words: &str) -> Outcome {
    memory["checkBeforeUpdate"] = json!(true);
    let c = limited(ctx, json!({"memory": memory}))?.container()?;
    let cgroup = c.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
    let dir = hierarchy.join(cgroup.trim_start_matches('/'));
    fs::create_dir_all(&dir)?;
    let file = format!("/dev/shm/{}", c.id);
    let script = r#"echo 0 >"$DIR/cgroup.procs" && head -c 1000000 /dev/zero >"$FILE""#;
    let run = Run::new("/bin/sh".as_ref(), &["-c", script], &ctx.dir)?;
    run.env("DIR", &dir).env("FILE", &file).ok()?;
    let done = c.try_create(&[]);
    fs::remove_file(&file)?;
    done?.exits(1)?.says(&[words])?;
    left_nothing(ctx, &c.config)
}
