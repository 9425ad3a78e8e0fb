//! The table of system calls → constants for `src/seccomp/names.rs`.

#[path = "../src/seccomp/hash.rs"]
mod hash;

use std::fmt::{Debug, Write};

/// The columns before those of the architectures: a name, and how it is carried.
const FIRST_COLUMNS: usize = 2;
/// No number.
const NONE: u16 = u16::MAX;

/// The source of the constants for `table`.
pub(crate) fn encode(table: &str) -> String {
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let columns = lines.next().unwrap_or_default().split_off(FIRST_COLUMNS);
    let rows: Vec<_> = lines.collect();
    let names: Vec<_> = rows.iter().map(|row| row[0]).collect();

    let mut source = String::new();
    constant(&mut source, "NAMES", "&str", &names.concat());
    constant(&mut source, "ENDS", &format!("[u16; {}]", names.len()), &ends(&names));
    constant(&mut source, "SLOTS", &format!("[u16; {}]", hash::SLOTS), &slots(&names));
    let carried: Vec<_> = rows.iter().map(|row| carried(row[1])).collect();
    constant(&mut source, "CARRIED", &format!("[u8; {}]", names.len()), &carried);
    let numbers: Vec<Vec<_>> = (0..columns.len())
        .map(|column| rows.iter().map(|row| number(row[FIRST_COLUMNS + column])).collect())
        .collect();
    let kind = format!("[[u16; {}]; {}]", names.len(), columns.len());
    constant(&mut source, "NUMBERS", &kind, &numbers);
    source.push_str("#[cfg(test)]\n");
    constant(&mut source, "COLUMNS", &format!("[&str; {}]", columns.len()), &columns);
    source
}

fn constant(source: &mut String, name: &str, kind: &str, value: &impl Debug) {
    writeln!(source, "static {name}: {kind} = {value:?};").expect("a string can be written to");
}

/// Where each name ends in the text of all.
fn ends(names: &[&str]) -> Vec<usize> {
    let end = |sum: &mut usize, name: &&str| {
        *sum += name.len();
        Some(*sum)
    };
    names.iter().scan(0, end).collect()
}

/// The hash table: the index of a name, plus one, in the first free slot from
/// that of its hash on.
fn slots(names: &[&str]) -> Vec<usize> {
    let mut slots = vec![0; hash::SLOTS];
    for (index, name) in names.iter().enumerate() {
        let free = hash::probe(name).find(|slot| slots[*slot] == 0).expect("more slots than names");
        slots[free] = index + 1;
    }
    slots
}

/// The selector; that of ipc(2) with the highest bit set; or 0.
fn carried(word: &str) -> u8 {
    let (carrier, selector) = match word.split_once(':') {
        None => return 0,
        Some(("socketcall", selector)) => (0, selector),
        Some(("ipc", selector)) => (0x80, selector),
        Some(_) => panic!("{word}: not a call that carries others"),
    };
    carrier | selector.parse::<u8>().expect("a selector")
}

/// A number in 16 bits: without the mark of x32, and those that ARM has for
/// itself, from 0xf0000, moved to 0xf000.
fn number(word: &str) -> u16 {
    match word.parse::<u32>() {
        Err(_) => NONE,
        Ok(number @ 0xf_0000..=0xf_0fff) => 0xf000 | (number & 0xfff) as u16,
        Ok(number) => u16::try_from(number & !(1 << 30)).expect("a number of a system call"),
    }
}
