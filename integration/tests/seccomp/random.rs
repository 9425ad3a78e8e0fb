//! Random profiles, the same at every run.

use oci_spec::runtime::Arch;
use serde_json::{Value, json};

const ACTIONS: [&str; 9] =
    ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY"];
const OPERATORS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const DATA: [u64; 10] =
    [0, 1, 5, 6, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0005, 0x7e02_0000, 1 << 63, u64::MAX];

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 32) as usize % limit
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

/// Whether the conditional rules of a call may have different actions.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Actions {
    OnePerCall,
    Any,
}

/// A profile over some of `names`, and some of the architectures `foreign`.
pub(crate) fn profile(
    random: &mut Random,
    names: &[String],
    foreign: &[Arch],
    actions: Actions,
) -> Value {
    let default = loop {
        match *random.pick(&ACTIONS) {
            "NOTIFY" => {}
            action => break action,
        }
    };
    let mut pool: Vec<_> = (0..1 + random.below(30)).map(|_| random.pick(names).clone()).collect();
    pool.sort_unstable();
    pool.dedup();
    let own: Vec<_> = pool.iter().map(|_| action(random)).collect();
    let rules = (0..random.below(60)).map(|_| {
        let name = random.below(pool.len());
        let action = if actions == Actions::Any { action(random) } else { own[name].clone() };
        let mut rule = json!({ "names": [pool[name]], "args": conditions(random) });
        rule.as_object_mut()
            .expect("an object")
            .extend(action.as_object().expect("an object").clone());
        if pool[name] == "write" && rule["action"] == "SCMP_ACT_NOTIFY" {
            rule["action"] = "SCMP_ACT_LOG".into();
        }
        rule
    });
    let rules: Vec<_> = rules.collect();
    let arches: Vec<_> = foreign.iter().filter(|_| random.chance(2)).collect();
    json!({
        "defaultAction": format!("SCMP_ACT_{default}"),
        "defaultErrnoRet": if random.chance(2) { None } else { Some(38) },
        "architectures": arches,
        "syscalls": rules,
    })
}

fn action(random: &mut Random) -> Value {
    // libseccomp refuses 4095, the largest errno, by mistake.
    let errno = [None, Some(1), Some(22), Some(38), Some(4094)];
    json!({ "action": format!("SCMP_ACT_{}", random.pick(&ACTIONS)), "errnoRet": random.pick(&errno) })
}

fn conditions(random: &mut Random) -> Vec<Value> {
    let count = [0, 0, 1, 1, 1, 2, 3][random.below(7)];
    let condition = |_| {
        json!({
            "index": random.below(3),
            "op": format!("SCMP_CMP_{}", random.pick(&OPERATORS)),
            "value": random.pick(&DATA),
            "valueTwo": random.pick(&DATA),
        })
    };
    (0..count).map(condition).collect()
}
