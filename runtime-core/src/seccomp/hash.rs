//! Where the name of a system call stands in the hash table that `build.rs`
//! makes: this file is part of both.

/// A power of two, about twice the number of names.
pub(crate) const SLOTS: usize = 1024;

/// The slots in which `name` may be, nearest first.
pub(crate) fn probe(name: &str) -> impl Iterator<Item = usize> {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let first = (hash ^ hash >> 16) as usize;
    (0..SLOTS).map(move |step| (first + step) % SLOTS)
}
