//! Reading the plan, which the kernel mapped with this program.

use crate::ops::{Header, MAGIC};
use crate::sys::{self, List as StringList};
use core::ffi::CStr;

/// A text of the plan.
pub type Text = &'static CStr;
/// Bytes of the plan.
pub type Blob = &'static [u8];
/// Strings of the plan, as the array of pointers that execve takes.
pub type List = StringList;

/// A place in the plan.
pub struct Reader<'a> {
    at: usize,
    plan: core::marker::PhantomData<&'a ()>,
}

impl Reader<'_> {
    /// At the first operation; also the count of operations, and whether to tell of each.
    /// `None`: not a plan of this version.
    pub fn new() -> Option<(Self, u64, bool)> {
        let mut reader = Self { at: 0, plan: core::marker::PhantomData };
        if reader.word()? != MAGIC {
            return None;
        }
        let descriptors = reader.word()?;
        let operations = reader.word()?;
        reader.at = (Header::WORDS + descriptors as usize) * 8;
        Some((reader, operations & !Header::TRACED, operations & Header::TRACED != 0))
    }

    /// The next word.
    pub fn word(&mut self) -> Option<u64> {
        let word = sys::plan_word(self.at)?;
        self.at += 8;
        Some(word)
    }

    fn take(&mut self, length: usize) -> Option<&'static [u8]> {
        let bytes = sys::plan_bytes(self.at, length)?;
        self.at += length.next_multiple_of(8);
        Some(bytes)
    }
}

/// The number of descriptors in the table.
pub fn descriptors() -> u64 {
    sys::plan_word(8).unwrap_or(0)
}

/// The descriptor in `slot`; `None` when there is none.
pub fn descriptor(slot: u64) -> Option<i32> {
    if slot >= descriptors() {
        return None;
    }
    let number = sys::plan_word((Header::WORDS + slot as usize) * 8)? as i32;
    (number >= 0).then_some(number)
}

/// Whether the descriptor in `slot` only holds its number.
pub fn is_placeholder(slot: u64) -> bool {
    let word = sys::plan_word((Header::WORDS + slot as usize) * 8).unwrap_or(0) as i64;
    word >= Header::PLACEHOLDER
}

/// A field that can be read.
pub trait Get: Sized {
    fn get(input: &mut Reader<'_>) -> Option<Self>;
}

impl Get for u64 {
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        input.word()
    }
}

impl Get for Text {
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        let length = input.word()? as usize;
        CStr::from_bytes_with_nul(input.take(length.checked_add(1)?)?).ok()
    }
}

impl Get for Blob {
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        let length = input.word()? as usize;
        input.take(length)
    }
}

impl Get for List {
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        let count = input.word()? as usize;
        let array = input.at;
        input.take(count.checked_add(1)?.checked_mul(8)?)?;
        for index in 0..count {
            let text = Text::get(input)?;
            sys::plan_set_pointer(array + index * 8, text)?;
        }
        sys::plan_list(array, count)
    }
}
