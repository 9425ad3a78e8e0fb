//! `resources.rdma`; v1 and v2 name the file alike.

use std::collections::HashMap;

use oci_spec::runtime::LinuxRdma;

use super::{Limits, Write, pointer};
use crate::error::{Error, Result};

pub(super) fn writes(
    devices: Option<&HashMap<String, LinuxRdma>>,
    limits: &mut Limits,
) -> Result<()> {
    let mut devices: Vec<_> = devices.into_iter().flatten().collect();
    devices.sort_unstable_by_key(|(name, _)| *name);
    for (name, limit) in devices {
        let field = format!("rdma/{}", name.replace('~', "~0").replace('/', "~1"));
        let mut value = name.clone();
        if let Some(handles) = limit.hca_handles() {
            value.push_str(&format!(" hca_handle={handles}"));
        }
        if let Some(objects) = limit.hca_objects() {
            value.push_str(&format!(" hca_object={objects}"));
        }
        if value == *name {
            let message = "needs at least one of hcaHandles and hcaObjects";
            return Err(Error::config(pointer(&field), message));
        }
        limits.add(Write::new("rdma", "rdma.max", value, &field));
    }
    Ok(())
}
