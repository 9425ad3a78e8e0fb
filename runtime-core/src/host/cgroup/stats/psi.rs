//! Pressure stall information: how much of the time tasks waited
//! (Documentation/accounting/psi.rst; Linux 4.20, and v2 only).

use serde::{Serialize, Serializer};

use super::{LiveCgroup, is_default};
use crate::error::Result;

/// How much of the time tasks waited for a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PsiStats {
    /// At least one waited.
    #[serde(skip_serializing_if = "is_default")]
    pub some: PsiData,
    /// All waited at once.
    #[serde(skip_serializing_if = "is_default")]
    pub full: PsiData,
}

/// Per cent of the last seconds, and microseconds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PsiData {
    /// Of the last 10 seconds.
    #[serde(serialize_with = "shortest")]
    pub avg10: f64,
    /// Of the last minute.
    #[serde(serialize_with = "shortest")]
    pub avg60: f64,
    /// Of the last five minutes.
    #[serde(serialize_with = "shortest")]
    pub avg300: f64,
    /// In all, in microseconds.
    pub total: u64,
}

/// Go writes whole numbers without a fraction.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn shortest<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value.fract() == 0.0 && (0.0..=100.0).contains(value) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        true => serializer.serialize_u8(*value as u8),
        false => serializer.serialize_f64(*value),
    }
}

impl LiveCgroup {
    /// The pressure in a file of the v2 hierarchy, which a hybrid host has, too.
    pub(super) fn psi(&self, name: &str) -> Result<Option<PsiStats>> {
        let Some(directory) = self.v2_directory() else { return Ok(None) };
        Ok(self.text(directory, name)?.map(|text| parse(&text)))
    }
}

fn parse(text: &str) -> PsiStats {
    let mut stats = PsiStats::default();
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let data = match fields.next() {
            Some("some") => &mut stats.some,
            Some("full") => &mut stats.full,
            _ => continue,
        };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let average = || value.parse().unwrap_or(0.0);
            match key {
                "avg10" => data.avg10 = average(),
                "avg60" => data.avg60 = average(),
                "avg300" => data.avg300 = average(),
                "total" => data.total = value.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_read_and_written_as_go_would() {
        let text = "some avg10=1.50 avg60=0.00 avg300=12.00 total=17\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0";
        let json = serde_json::to_string(&parse(text)).unwrap();
        assert_eq!(json, r#"{"some":{"avg10":1.5,"avg60":0,"avg300":12,"total":17}}"#);
    }
}
