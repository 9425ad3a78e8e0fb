//! `resources.hugepageLimits`: the limit at page fault, and at reservation
//! where the kernel counts reservations (Linux 5.7).

use oci_spec::runtime::LinuxHugepageLimit;

use super::{Limits, Write, pointer};
use crate::error::{Error, Result};

pub(super) fn v1(list: Option<&[LinuxHugepageLimit]>, limits: &mut Limits) -> Result<()> {
    writes(list, "limit_in_bytes", "-1", limits)
}

pub(super) fn v2(list: Option<&[LinuxHugepageLimit]>, limits: &mut Limits) -> Result<()> {
    writes(list, "max", "max", limits)
}

fn writes(
    list: Option<&[LinuxHugepageLimit]>,
    suffix: &str,
    unlimited: &str,
    limits: &mut Limits,
) -> Result<()> {
    for (index, entry) in list.unwrap_or_default().iter().enumerate() {
        let field = format!("hugepageLimits/{index}");
        let size = entry.page_size();
        check_page_size(size, &field)?;
        let value = match entry.limit() {
            limit if limit < 0 => unlimited.to_owned(),
            limit => limit.to_string(),
        };
        let fault = format!("hugetlb.{size}.{suffix}");
        limits.add(Write::new("hugetlb", fault, value.clone(), &field));
        let reservation = format!("hugetlb.{size}.rsvd.{suffix}");
        limits.add(Write::new("hugetlb", reservation, value, &field).or_skip());
    }
    Ok(())
}

/// `<size><unit-prefix>B`: it becomes part of a file name.
fn check_page_size(size: &str, field: &str) -> Result<()> {
    let digits = size.trim_end_matches("B").trim_end_matches(['K', 'M', 'G']);
    let unit = &size[digits.len()..];
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if number && matches!(unit, "KB" | "MB" | "GB") {
        return Ok(());
    }
    let message = format!("invalid hugepage size {size:?}");
    Err(Error::config(pointer(&format!("{field}/pageSize")), message)
        .hint("give a number and KB, MB or GB, as in 2MB"))
}
