//! Buckets: what a stack makes holds objects.
//!
//! The main item is [`BUCKET`]. What of its properties the simulator's S3 does not have is kept.

use serde_json::{Value, json};

use super::kept;
use super::plain::put;
use super::{Provider, Settling};
use crate::services::s3;

fn is_versioned(properties: &Value) -> bool {
    properties.pointer("/VersioningConfiguration/Status").is_some_and(|status| status == "Enabled")
}

pub(super) const BUCKET: Provider = Provider {
    create: |scope, order| {
        let made = kept::create(scope, order)?;
        s3::make(scope, &made.physical, is_versioned(order.properties))?;
        Ok(made)
    },
    update: |scope, order, old| {
        let made = kept::update(scope, order, old)?;
        s3::set_versioned(scope, &made.physical, is_versioned(order.properties));
        Ok(made)
    },
    delete: |scope, resource| {
        s3::remove(scope, resource.physical.as_deref().unwrap_or_default())?;
        kept::delete(scope, resource)
    },
    live: |scope, resource| {
        let versioned = s3::is_versioned(scope, resource.physical.as_deref()?)?;
        let mut seen = kept::live(scope, resource)?;
        if is_versioned(&seen) != versioned {
            let status = if versioned { "Enabled" } else { "Suspended" };
            put(&mut seen, "VersioningConfiguration", json!({ "Status": status }));
        }
        Some(seen)
    },
    settling: |_, _| Settling::Done,
    going: |_, _| Settling::Done,
};
