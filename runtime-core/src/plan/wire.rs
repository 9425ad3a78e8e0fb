//! Writing the plan for init, and reading it back in tests and fuzzing.

use serde::{Serialize, Serializer};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A string for the kernel: bytes without a NUL.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Vec<u8>);

impl Text {
    /// The bytes, without the NUL that the wire adds.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a path.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What follows a NUL could never reach the kernel; validation refuses such strings before.
fn without_nul(bytes: &[u8]) -> Vec<u8> {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(without_nul(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Path> for Text {
    fn from(path: &Path) -> Self {
        Self(without_nul(path.as_os_str().as_bytes()))
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Bytes for the kernel: a filter, a CPU mask, group ids.
pub type Blob = Vec<u8>;
/// Strings in order: arguments, environment.
pub type List = Vec<Text>;

/// The bytes of an encoded plan.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Nothing written yet; room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// Appends a word.
    pub fn word(&mut self, word: u64) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    fn padded(&mut self, bytes: &[u8], ending: &[u8]) {
        self.word(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(ending);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A field that can be written.
pub trait Put {
    /// Appends the field.
    fn put(&self, out: &mut Writer);
}

impl Put for u64 {
    fn put(&self, out: &mut Writer) {
        out.word(*self);
    }
}

impl Put for Text {
    fn put(&self, out: &mut Writer) {
        out.padded(&self.0, &[0]);
    }
}

impl Put for Blob {
    fn put(&self, out: &mut Writer) {
        out.padded(self, &[]);
    }
}

impl Put for List {
    fn put(&self, out: &mut Writer) {
        out.word(self.len() as u64);
        for _ in 0..=self.len() {
            out.word(0);
        }
        for text in self {
            text.put(out);
        }
    }
}

/// A place in an encoded plan.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next word.
    pub fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*word))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let padded = length.checked_next_multiple_of(8)?;
        let taken = self.rest.get(..length)?;
        self.rest = self.rest.get(padded..)?;
        Some(taken)
    }
}

/// A field that can be read.
pub trait Get: Sized {
    /// The next field of this type; `None` when the bytes are none.
    fn get(input: &mut Reader<'_>) -> Option<Self>;
}

impl Get for u64 {
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        input.word()
    }
}

impl Get for Text {
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        let length = usize::try_from(input.word()?).ok()?;
        let (nul, bytes) = input.take(length.checked_add(1)?)?.split_last()?;
        (*nul == 0 && !bytes.contains(&0)).then(|| Self(bytes.to_vec()))
    }
}

impl Get for Blob {
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        let length = usize::try_from(input.word()?).ok()?;
        input.take(length).map(<[u8]>::to_vec)
    }
}

impl Get for List {
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        let count = usize::try_from(input.word()?).ok()?;
        input.take(count.checked_add(1)?.checked_mul(8)?)?;
        (0..count).map(|_| Text::get(input)).collect()
    }
}
