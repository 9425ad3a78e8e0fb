//! Whether the memory of a checkpoint is whole. criu does not look, and where it ends too
//! early reads on for ever.

use super::images::no_checkpoint;
use crate::error::{Error, Result};
use crate::plan::criu::rpc::{PagemapEntry, PagemapHead};
use prost::Message;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// What every pagemap begins with (criu's `include/magic.h`).
const MAGIC: [u8; 8] = [0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56];

/// No record of a pagemap is longer.
const LARGEST: u32 = 4096;

const PAGE: u64 = 4096;

/// Compares the size of each file of pages in `images` with what is to be in it.
pub(crate) fn check(images: &Path) -> Result<()> {
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
        let pages = format!("pages-{id}.img");
        let there = images.join(&pages).metadata().map_or(0, |found| found.len());
        if there < wanted {
            let why = format!("{pages} has {there} bytes of {wanted}");
            return Err(no_checkpoint(images, &why));
        }
    }
    Ok(())
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
