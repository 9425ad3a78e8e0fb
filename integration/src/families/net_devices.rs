//! Network devices that are moved into a container, from a network namespace of the test's own.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::container::Container;
use crate::context::Context;
use crate::host::Holder;
use crate::outcome::{Outcome, Stop};
use crate::process::{Done, Run};
use crate::{check, check_eq, family};

family!("net_devices":
    device_is_renamed_and_brought_up_and_keeps_its_addresses,
    device_keeps_its_name_where_no_other_is_given,
    several_devices_are_moved,
    name_with_a_template_is_made_unique,
    name_that_is_taken_is_refused,
    device_that_is_refused_is_as_it_was,
    device_that_is_not_there_is_refused,
    device_is_not_moved_into_the_network_namespace_of_the_host,
    device_is_there_for_hooks_and_parameters,
    device_goes_into_a_user_namespace,
    devices_are_as_they_were_when_creation_fails,
    device_stays_in_a_joined_namespace_after_delete,
);

/// A runtime whose network namespace is the test's own.
struct Network {
    ctx: Context,
    namespace: Holder,
}

impl Network {
    fn new(ctx: &Context) -> Outcome<Self> {
        let namespace = Holder::new(ctx, &["network"])?;
        let runtime = ctx.dir.join(format!("in-namespace{}", ctx.number()));
        let script = format!(
            "#!/bin/sh\nexec {} nsenter --net={} {} \"$@\"\n",
            ctx.busybox.display(),
            namespace.path("network"),
            ctx.runtime.display()
        );
        crate::bundle::script(&runtime, &script)?;
        Ok(Self { ctx: ctx.through(runtime)?, namespace })
    }

    /// `ip`, in this namespace.
    fn ip(&self, words: &str) -> Outcome<Done> {
        ip(&self.ctx, &self.namespace.path("network"), words)
    }

    /// Makes a device; of a kind that has none outside where the kernel lacks the other.
    fn device(&self, name: &str) -> Outcome {
        if self.ip(&format!("link add {name} type dummy"))?.code == 0 {
            return Ok(());
        }
        let made = self.ip(&format!("link add {name} type veth peer name p-{name}"))?;
        if made.code == 0 { Ok(()) } else { Err(Stop::skip("neither dummy nor veth devices here")) }
    }

    fn link(&self, name: &str) -> Outcome<Option<Value>> {
        link(&self.ctx, &self.namespace.path("network"), name)
    }
}

pub(super) fn ip(ctx: &Context, namespace: &str, words: &str) -> Outcome<Done> {
    let program = ["/sbin/ip", "/usr/sbin/ip", "/bin/ip", "/usr/bin/ip"];
    let program = program.into_iter().find(|path| Path::new(path).exists());
    let program = program.ok_or_else(|| Stop::skip("no ip program here"))?;
    let place = format!("--net={namespace}");
    let mut args = vec!["nsenter", place.as_str(), program];
    args.extend(words.split(' '));
    Run::new(&ctx.busybox, &args, &ctx.dir)?.done()
}

/// What `ip` tells of a device.
fn link(ctx: &Context, namespace: &str, name: &str) -> Outcome<Option<Value>> {
    let told = ip(ctx, namespace, "-j addr show")?.ok()?;
    let all: Vec<Value> = serde_json::from_str(&told.stdout)?;
    Ok(all.into_iter().find(|link| link["ifname"] == name))
}

fn inside(ctx: &Context, c: &Container<'_>, name: &str) -> Outcome<Value> {
    let namespace = format!("/proc/{}/ns/net", c.pid()?);
    link(ctx, &namespace, name)?
        .ok_or_else(|| Stop::fail(format!("{name} is not in the container")))
}

/// Addresses with their prefixes, those of the link left out.
fn addresses(link: &Value) -> Vec<String> {
    let all = link["addr_info"].as_array().into_iter().flatten();
    let global = all.filter(|address| address["scope"] == "global");
    let mut texts: Vec<String> = global
        .map(|address| {
            let local = address["local"].as_str().unwrap_or_default();
            format!("{local}/{}", address["prefixlen"])
        })
        .collect();
    texts.sort();
    texts
}

fn is_up(link: &Value) -> bool {
    link["flags"].as_array().is_some_and(|flags| flags.contains(&json!("UP")))
}

fn device_is_renamed_and_brought_up_and_keeps_its_addresses(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    network.device("tare0")?;
    network.ip("link set tare0 mtu 1400 address 02:00:00:00:00:07 up")?.ok()?;
    for address in [
        "10.7.0.1/24",
        "10.7.0.9/24 brd 10.7.0.255",
        "10.8.0.1 peer 10.8.0.2/32",
        "169.254.7.7/16 scope link",
        "fd00:7::1/64 nodad",
    ] {
        network.ip(&format!("addr add {address} dev tare0"))?.ok()?;
    }
    let devices = json!({"tare0": {"name": "ceth0"}});
    let c = Bundle::new(&network.ctx)?.set("/linux/netDevices", devices).container()?;
    c.create()?;
    let link = inside(ctx, &c, "ceth0")?;
    check!(is_up(&link), "it is down: {link}");
    check_eq!(
        addresses(&link),
        ["10.7.0.1/24", "10.7.0.9/24", "10.8.0.1/32", "fd00:7::1/64"],
        "addresses"
    );
    check!(!link.to_string().contains("169.254.7.7"), "an address of the link came along: {link}");
    check_eq!(link["mtu"], json!(1400), "mtu");
    check_eq!(link["address"], "02:00:00:00:00:07", "hardware address");
    check_eq!(network.link("tare0")?, None, "the device outside");
    Ok(())
}

fn device_keeps_its_name_where_no_other_is_given(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    network.device("tare0")?;
    let devices = json!({"tare0": {}});
    let line = Bundle::new(&network.ctx)?
        .set("/linux/netDevices", devices)
        .report(&["cat", "/sys/class/net/tare0/flags"])?;
    let flags = line["text"].as_str().unwrap_or_default().trim().trim_start_matches("0x");
    check_eq!(u32::from_str_radix(flags, 16)? & 1, 1, "IFF_UP of {line}");
    Ok(())
}

fn several_devices_are_moved(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    let names = ["tare0", "tare1", "tare2"];
    for (index, name) in names.iter().enumerate() {
        network.device(name)?;
        network.ip(&format!("addr add 10.7.{index}.1/24 dev {name}"))?.ok()?;
    }
    // Names go round: each is another's until that one is moved.
    let devices = json!({"tare0": {"name": "tare1"}, "tare1": {"name": "tare2"}, "tare2": {}});
    let taken = Bundle::new(&network.ctx)?.set("/linux/netDevices", devices).container()?;
    check!(taken.try_create(&[])?.code != 0, "two devices with one name were taken");
    let devices =
        json!({"tare0": {"name": "tare1"}, "tare1": {"name": "tare2"}, "tare2": {"name": "tare0"}});
    let c = Bundle::new(&network.ctx)?.set("/linux/netDevices", devices).container()?;
    c.create()?;
    for (index, name) in ["tare1", "tare2", "tare0"].iter().enumerate() {
        let link = inside(ctx, &c, name)?;
        check!(is_up(&link), "{name} is down");
        check_eq!(addresses(&link), [format!("10.7.{index}.1/24")], "addresses of {name}");
    }
    Ok(())
}

/// A container that joins a namespace in which `eth0` is there already.
fn crowded<'c>(network: &'c Network, name: &str) -> Outcome<(Holder, Container<'c>)> {
    let joined = Holder::new(&network.ctx, &["network"])?;
    let path = joined.path("network");
    let made = ip(&network.ctx, &path, "link add eth0 type veth peer name other")?;
    if made.code != 0 {
        return Err(Stop::skip("no veth devices here"));
    }
    network.device("tare0")?;
    network.ip("addr add 10.7.0.1/24 dev tare0")?.ok()?;
    network.ip("link set tare0 up")?.ok()?;
    let c = Bundle::new(&network.ctx)?
        .namespace("network", Some(&path))
        .set("/linux/netDevices", json!({"tare0": {"name": name}}))
        .container()?;
    Ok((joined, c))
}

fn name_with_a_template_is_made_unique(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    let (_joined, c) = crowded(&network, "eth%d")?;
    c.create()?;
    let link = inside(ctx, &c, "eth1")?;
    check!(is_up(&link), "it is down: {link}");
    check_eq!(addresses(&link), ["10.7.0.1/24"], "addresses");
    Ok(())
}

fn name_that_is_taken_is_refused(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    let (_joined, c) = crowded(&network, "eth0")?;
    let refused = c.try_create(&[])?;
    check!(refused.code != 0, "the name was taken twice");
    for word in ["tare0", "eth0", "exists"] {
        check!(refused.stderr.contains(word), "{word} is not in {}", refused.stderr);
    }
    Ok(())
}

fn device_that_is_refused_is_as_it_was(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    let (joined, c) = crowded(&network, "eth0")?;
    check!(c.try_create(&[])?.code != 0, "the name was taken twice");
    let link = network.link("tare0")?.ok_or_else(|| Stop::fail("tare0 is gone"))?;
    check!(is_up(&link), "it is down: {link}");
    check_eq!(addresses(&link), ["10.7.0.1/24"], "addresses");
    let left = ip(ctx, &joined.path("network"), "-o link show")?.ok()?.stdout;
    check_eq!(left.lines().count(), 3, "devices of the joined namespace: {left}");
    Ok(())
}

fn device_that_is_not_there_is_refused(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    let devices = json!({"tare7": {"name": "ceth0"}});
    let c = Bundle::new(&network.ctx)?.set("/linux/netDevices", devices).container()?;
    let refused = c.try_create(&[])?;
    check!(refused.code != 0, "a device that is not there was moved");
    check!(refused.stderr.contains("tare7"), "{}", refused.stderr);
    Ok(())
}

fn device_is_not_moved_into_the_network_namespace_of_the_host(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    network.device("tare0")?;
    let devices = json!({"tare0": {"name": "ceth0"}});
    let without = Bundle::new(&network.ctx)?
        .without_namespace("network")
        .set("/linux/netDevices", devices.clone());
    // Inside the wrapper it is the runtime's own.
    let own = Bundle::new(&network.ctx)?
        .namespace("network", Some(&network.namespace.path("network")))
        .set("/linux/netDevices", devices);
    for bundle in [without, own] {
        let refused = bundle.container()?.try_create(&[])?;
        let words = "unable to move network devices without a NET namespace";
        check!(refused.code != 0 && refused.stderr.contains(words), "{}", refused.stderr);
        check!(network.link("tare0")?.is_some(), "the device is gone");
    }
    Ok(())
}

fn device_is_there_for_hooks_and_parameters(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    network.device("tare0")?;
    let seen = ctx.dir.join("seen");
    let script = format!("cat /proc/net/dev >> {}", seen.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
    let line = Bundle::new(&network.ctx)?
        .set("/linux/netDevices", json!({"tare0": {"name": "ceth0"}}))
        .set("/linux/sysctl", json!({"net.ipv4.conf.ceth0.forwarding": "1"}))
        .set("/hooks/createContainer", hook)
        .report(&["cat", "/proc/sys/net/ipv4/conf/ceth0/forwarding"])?;
    check_eq!(line["text"], "1\n", "the parameter");
    let seen = std::fs::read_to_string(seen)?;
    check!(seen.contains("ceth0:"), "the hook saw {seen}");
    Ok(())
}

fn device_goes_into_a_user_namespace(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    network.device("tare0")?;
    network.ip("addr add 10.7.0.1/24 dev tare0")?.ok()?;
    let c = Bundle::new(&network.ctx)?
        .user_namespace()?
        .set("/linux/netDevices", json!({"tare0": {"name": "ceth0"}}))
        .container()?;
    c.create()?;
    let link = inside(ctx, &c, "ceth0")?;
    check!(is_up(&link), "it is down: {link}");
    check_eq!(addresses(&link), ["10.7.0.1/24"], "addresses");
    Ok(())
}

fn devices_are_as_they_were_when_creation_fails(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    for name in ["tare0", "tare1"] {
        network.device(name)?;
    }
    network.ip("addr add fd00:7::1/64 dev tare0 nodad")?.ok()?;
    network.ip("link set tare0 up")?.ok()?;
    let devices = json!({"tare0": {"name": "ceth0"}, "tare1": {"name": "ceth1"}});
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]);
    for user in [false, true] {
        let bundle = Bundle::new(&network.ctx)?;
        let bundle = if user { bundle.user_namespace()? } else { bundle };
        let c = bundle
            .set("/linux/netDevices", devices.clone())
            .set("/hooks/createRuntime", hook.clone())
            .container()?;
        check!(c.try_create(&[])?.code != 0, "a failing hook was overlooked");
        let gone = |name: &str| Stop::fail(format!("{name} is gone"));
        let first = network.link("tare0")?.ok_or_else(|| gone("tare0"))?;
        let second = network.link("tare1")?.ok_or_else(|| gone("tare1"))?;
        check_eq!((is_up(&first), is_up(&second)), (true, false), "up");
        check_eq!(addresses(&first), ["fd00:7::1/64"], "addresses");
    }
    Ok(())
}

fn device_stays_in_a_joined_namespace_after_delete(ctx: &Context) -> Outcome {
    let network = Network::new(ctx)?;
    let (joined, c) = crowded(&network, "ceth0")?;
    c.up()?;
    c.exit_code()?;
    c.verb("delete")?.ok()?;
    let path = joined.path("network");
    let link = link(ctx, &path, "ceth0")?.ok_or_else(|| Stop::fail("ceth0 is gone"))?;
    check!(is_up(&link), "it is down: {link}");
    check_eq!(network.link("tare0")?, None, "the device outside");
    Ok(())
}
