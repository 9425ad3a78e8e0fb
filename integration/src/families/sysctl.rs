//! Kernel parameters: those of the container's namespaces are set there, all others refused.

use std::fs;

use serde_json::json;

use crate::bundle::Bundle;
use crate::context::{Context, Kind};
use crate::outcome::Outcome;
use crate::{check, check_eq, family};

family!("sysctl":
    parameters_of_each_namespace_are_set,
    parameters_of_a_user_namespace_are_set,
    slashes_separate_as_dots_do,
    parameter_without_its_namespace_is_refused,
    parameter_of_the_host_is_refused,
    parameters_of_the_network_are_refused_where_the_hosts_is_joined,
    parameter_that_the_kernel_does_not_have_is_an_error_that_names_it,
    value_that_the_kernel_refuses_is_an_error_that_names_it,
);

/// Sets parameters and reads them back inside; the host's must stay.
fn set_and_read(bundle: Bundle<'_>, rows: &[(&str, &str, &str)]) -> Outcome {
    let file = |path: &str| format!("/proc/sys/{path}");
    let on_host = || rows.iter().map(|row| fs::read_to_string(file(row.1)).ok()).collect();
    let before: Vec<Option<String>> = on_host();
    let mut bundle = bundle;
    let mut commands = Vec::new();
    for (key, path, value) in rows {
        bundle.config["linux"]["sysctl"][*key] = json!(value);
        commands.extend(["cat".to_owned(), file(path), ",".to_owned()]);
    }
    commands.pop();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let lines = bundle.reports(&commands)?;
    for (line, (key, _, value)) in lines.iter().zip(rows) {
        let words: Vec<&str> =
            line["text"].as_str().unwrap_or_default().split_whitespace().collect();
        check_eq!(words.join(" "), *value, "{key} inside");
    }
    check_eq!(lines.len(), rows.len(), "parameters read");
    check_eq!(on_host(), before, "the host's");
    Ok(())
}

fn parameters_of_each_namespace_are_set(ctx: &Context) -> Outcome {
    set_and_read(
        Bundle::new(ctx)?,
        &[
            ("kernel.msgmax", "kernel/msgmax", "8193"),
            ("kernel.msgmnb", "kernel/msgmnb", "16385"),
            ("kernel.msgmni", "kernel/msgmni", "123"),
            ("kernel.sem", "kernel/sem", "250 32001 101 128"),
            ("kernel.shmall", "kernel/shmall", "65537"),
            ("kernel.shmmax", "kernel/shmmax", "1048577"),
            ("kernel.shmmni", "kernel/shmmni", "124"),
            ("kernel.shm_rmid_forced", "kernel/shm_rmid_forced", "1"),
            ("fs.mqueue.queues_max", "fs/mqueue/queues_max", "77"),
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward", "1"),
            ("net.core.somaxconn", "net/core/somaxconn", "321"),
            ("kernel.domainname", "kernel/domainname", "example.org"),
        ],
    )
}

fn parameters_of_a_user_namespace_are_set(ctx: &Context) -> Outcome {
    let rows = &[("user.max_inotify_watches", "user/max_inotify_watches", "4321")];
    set_and_read(Bundle::new(ctx)?.user_namespace()?, rows)
}

fn slashes_separate_as_dots_do(ctx: &Context) -> Outcome {
    set_and_read(
        Bundle::new(ctx)?,
        &[
            ("net/ipv4/conf/lo/forwarding", "net/ipv4/conf/lo/forwarding", "1"),
            ("kernel/msgmax", "kernel/msgmax", "8194"),
        ],
    )
}

fn refused(ctx: &Context, bundle: Bundle<'_>, key: &str, words: &str) -> Outcome {
    let mut bundle = bundle;
    bundle.config["linux"]["sysctl"] = json!({key: "1"});
    let answer = bundle.container()?.try_create(&[])?;
    check!(answer.code != 0, "{key} was set");
    let says = answer.stderr.contains(&key.replace('/', ".")) && answer.stderr.contains(words);
    check!(says, "{}", answer.stderr);
    if ctx.kind == Kind::Tare {
        let place = format!("/linux/sysctl/{}", key.replace('/', "~1"));
        check!(answer.stderr.contains(&place), "{place} is not in {}", answer.stderr);
    }
    Ok(())
}

fn parameter_without_its_namespace_is_refused(ctx: &Context) -> Outcome {
    for (kind, key, words) in [
        ("ipc", "kernel.shmmax", "hosts ipc namespace"),
        ("ipc", "fs.mqueue.queues_max", "hosts ipc namespace"),
        ("network", "net.ipv4.ip_forward", "not allowed in host network namespace"),
        ("uts", "kernel.domainname", "not in a separate kernel namespace"),
    ] {
        let bundle = Bundle::new(ctx)?.without_namespace(kind).remove("", "hostname");
        refused(ctx, bundle, key, words)?;
    }
    Ok(())
}

fn parameter_of_the_host_is_refused(ctx: &Context) -> Outcome {
    for key in ["kernel.core_pattern", "vm.overcommit_memory", "fs.file-max", "kernel/sysrq"] {
        refused(ctx, Bundle::new(ctx)?, key, "not in a separate kernel namespace")?;
    }
    let words = "conflicts with the OCI \\\"hostname\\\" field";
    refused(ctx, Bundle::new(ctx)?, "kernel.hostname", words)
}

fn parameters_of_the_network_are_refused_where_the_hosts_is_joined(ctx: &Context) -> Outcome {
    let own = "/proc/self/ns/net";
    let bundle = Bundle::new(ctx)?.namespace("network", Some(own));
    refused(ctx, bundle, "net.ipv4.ip_forward", "not allowed in host network namespace")
}

fn parameter_that_the_kernel_does_not_have_is_an_error_that_names_it(ctx: &Context) -> Outcome {
    let key = "net.ipv4.no_such_parameter";
    let mut bundle = Bundle::new(ctx)?;
    bundle.config["linux"]["sysctl"] = json!({key: "1"});
    let answer = bundle.container()?.try_create(&[])?;
    let says =
        answer.stderr.contains("no_such_parameter") && answer.stderr.contains("no such file");
    check!(answer.code != 0 && says, "{}", answer.stderr);
    Ok(())
}

fn value_that_the_kernel_refuses_is_an_error_that_names_it(ctx: &Context) -> Outcome {
    let mut bundle = Bundle::new(ctx)?;
    bundle.config["linux"]["sysctl"] = json!({"net.core.somaxconn": "many"});
    let answer = bundle.container()?.try_create(&[])?;
    let says = answer.stderr.contains("somaxconn") && answer.stderr.contains("invalid argument");
    check!(answer.code != 0 && says, "{}", answer.stderr);
    Ok(())
}
