//! Instants that are scattered over a time.

/// A small generator (xorshift); the instants need to be scattered, not unpredictable.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Another sequence in every run of the suite.
    pub fn new() -> Self {
        Self(u64::from(std::process::id()) | 1)
    }

    /// From 0 to 1.
    pub fn fraction(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 40).unwrap_or(0)) / f64::from(1 << 24)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
