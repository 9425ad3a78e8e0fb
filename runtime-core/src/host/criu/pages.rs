//! Whether the memory of a checkpoint is whole. criu does not look, and where it ends too
//! early reads on for ever.

use super::images::no_checkpoint;
use crate::error::{Error, Result};
use crate::plan::criu::rpc::{PagemapEntry, PagemapHead};
use prost::Message;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// What every pagemap begins with (criu's `include/magic.h`).
const MAGIC: [u8; 8] = [0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56];

/// No record of a pagemap is longer.
const LARGEST: u32 = 4096;

const PAGE: u64 = 4096;

/// Compares the size of each file of pages in `images` with what is to be in it. Where an earlier
/// checkpoint has left a pagemap, two name the same file, and either may be the one that counts.
pub(crate) fn check(images: &Path) -> Result<()> {
    for (id, wanted) in all_needs(images)? {
        let pages = format!("pages-{id}.img");
        let there = images.join(&pages).metadata().map_or(0, |found| found.len());
        if there < wanted {
            let why = format!("{pages} has {there} bytes of {wanted}");
            return Err(no_checkpoint(images, &why));
        }
    }
    Ok(())
}

/// How long each file of pages must be at least.
fn all_needs(images: &Path) -> Result<BTreeMap<u32, u64>> {
    let mut all = BTreeMap::new();
    let failed = |error: std::io::Error| Error::io("readdir", &error).path(images);
    for entry in std::fs::read_dir(images).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("pagemap-") || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // What cannot be read is criu's to tell of.
        let Some((id, wanted)) = File::open(entry.path()).ok().and_then(needs) else { continue };
        all.entry(id).and_modify(|least: &mut u64| *least = wanted.min(*least)).or_insert(wanted);
    }
    Ok(all)
}

/// Which file of pages belongs to a pagemap, and how long it must be.
fn needs(pagemap: impl Read) -> Option<(u32, u64)> {
    let mut reader = BufReader::new(pagemap);
    let mut magic = [0; MAGIC.len()];
    reader.read_exact(&mut magic).ok()?;
    if magic != MAGIC {
        return None;
    }
    let head = PagemapHead::decode(&record(&mut reader)?[..]).ok()?;
    let mut pages = 0_u64;
    while let Some(record) = record(&mut reader) {
        pages = pages.saturating_add(PagemapEntry::decode(&record[..]).ok()?.present());
    }
    Some((head.pages_id, pages.saturating_mul(PAGE)))
}

/// A length, and a message of that length.
fn record(reader: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).ok()?;
    let length = u32::from_le_bytes(length);
    if length > LARGEST {
        return None;
    }
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pagemap(pages_id: u32, pages: u32) -> Vec<u8> {
        let entry = PagemapEntry {
            compat_nr_pages: pages,
            in_parent: None,
            flags: Some(4),
            nr_pages: None,
        };
        let messages = [PagemapHead { pages_id }.encode_to_vec(), entry.encode_to_vec()];
        let records = messages.iter().flat_map(|message| {
            let length = u32::try_from(message.len()).unwrap().to_le_bytes();
            [&length[..], message].concat()
        });
        MAGIC.into_iter().chain(records).collect()
    }

    #[test]
    fn a_pagemap_that_an_earlier_checkpoint_has_left_does_not_count() {
        let dir = std::env::temp_dir().join(format!("tare-pages-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
        write("pagemap-11.img", &pagemap(2, 100));
        write("pagemap-20.img", &pagemap(2, 1));
        write("pages-2.img", &[0; PAGE as usize]);
        let whole = check(&dir);
        write("pages-2.img", &[0; 100]);
        let cut = check(&dir);
        std::fs::remove_dir_all(&dir).unwrap();
        whole.unwrap();
        assert!(cut.unwrap_err().to_string().contains("pages-2.img has 100 bytes of 4096"));
    }

    #[test]
    fn only_pages_that_are_present_count() {
        let mut image = MAGIC.to_vec();
        let mut push = |bytes: Vec<u8>| {
            image.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            image.extend(bytes);
        };
        push(PagemapHead { pages_id: 7 }.encode_to_vec());
        let entry = |pages, flags, in_parent| PagemapEntry {
            compat_nr_pages: pages,
            in_parent,
            flags,
            nr_pages: None,
        };
        // Present, in a parent, lazy, and as old ones say it.
        push(entry(3, Some(4), None).encode_to_vec());
        push(entry(5, Some(1), None).encode_to_vec());
        push(entry(6, Some(2), None).encode_to_vec());
        push(entry(2, None, None).encode_to_vec());
        push(entry(9, None, Some(true)).encode_to_vec());
        push(PagemapEntry { nr_pages: Some(4), ..entry(0, Some(4), None) }.encode_to_vec());
        assert_eq!(needs(&image[..]), Some((7, 9 * PAGE)));
        image[0] = 0;
        assert_eq!(needs(&image[..]), None);
        assert_eq!(needs(&b"short"[..]), None);
    }
}
