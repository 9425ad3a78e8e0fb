//! The plan: a segment of this program, at a fixed place, as long as the host made it.

use core::ffi::CStr;
use core::ptr;

const PLAN: usize = 0x1000_0000;
const PLAN_LENGTH_AT: usize = 0;

/// Bytes of the plan, from the word that stands before it.
fn plan_length() -> usize {
    let word = (PLAN + PLAN_LENGTH_AT) as *const u64;
    // SAFETY: the segment is at least one page, so its first word is mapped.
    unsafe { ptr::read(word) as usize }
}

fn plan_at(at: usize, length: usize) -> Option<usize> {
    let end = at.checked_add(length)?;
    (end <= plan_length()).then_some(PLAN + 8 + at)
}

pub fn plan_word(at: usize) -> Option<u64> {
    let place = plan_at(at, 8)? as *const u64;
    // SAFETY: within the mapped plan.
    Some(unsafe { ptr::read_unaligned(place) })
}

pub fn plan_bytes(at: usize, length: usize) -> Option<&'static [u8]> {
    let place = plan_at(at, length)? as *const u8;
    // SAFETY: within the mapped plan, whose strings and blobs nobody writes.
    Some(unsafe { core::slice::from_raw_parts(place, length) })
}

/// Writes the address of `text` into the word at `at`.
pub fn plan_set_pointer(at: usize, text: &'static CStr) -> Option<()> {
    let place = plan_at(at, 8)? as *mut usize;
    // SAFETY: within the mapped plan, which is writable; the word belongs to a list's array, read only by `plan_list`.
    unsafe { ptr::write_unaligned(place, text.as_ptr() as usize) };
    Some(())
}

/// The list whose array of `count` pointers and a null stands at `at`.
pub fn plan_list(at: usize, count: usize) -> Option<List> {
    plan_at(at, (count + 1) * 8).map(|array| List { array, count })
}

/// An array of pointers to strings, ended by a null.
#[derive(Clone, Copy)]
pub struct List {
    pub(super) array: usize,
    count: usize,
}

impl List {
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn get(&self, index: usize) -> Option<&'static CStr> {
        if index >= self.count {
            return None;
        }
        let place = (self.array + index * 8) as *const *const core::ffi::c_char;
        // SAFETY: an element of the array that `plan_set_pointer` filled.
        let text = unsafe { ptr::read_unaligned(place) };
        // SAFETY: it points to a text of the plan, which ends with a NUL.
        Some(unsafe { CStr::from_ptr(text) })
    }

    /// Puts another string in the place of the last one.
    pub fn replace_last(&self, text: &CStr) {
        if let Some(last) = self.count.checked_sub(1) {
            let place = (self.array + last * 8) as *mut usize;
            // SAFETY: an element of the array; the caller's text lives until execve.
            unsafe { ptr::write_unaligned(place, text.as_ptr() as usize) };
        }
    }
}
