//! What a call is asked with, and what of requests and answers is written down.
//!
//! The main type is [`Asked`].

use serde_json::Value;
use zeroize::Zeroizing;

use super::stop::HostStop;
use crate::aws::operation::{Operation, Read};
use crate::journal::CallKey;
use crate::secrets::redact::Sealed;
use crate::types::Digest;

/// A call that is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) call: CallKey,
    pub(super) request: Value,
    /// The request as it is written down, and the hash of that.
    pub(super) sealed: Sealed,
    pub(super) request_hash: Digest,
    /// What no other call has: a write's client token, and what decides the jitter between two tries.
    pub(super) token: String,
    /// When it was asked for, by the run's clock.
    pub(super) began: u64,
}

/// The largest request, as JSON: a record of the journal holds it, and what it repeats of it.
const MAXIMUM_REQUEST: u64 = 256 << 10;

/// That a request is not too large to be written down.
pub(super) fn check_size<O: Operation>(request: &Value) -> Result<(), HostStop> {
    let mut size = ByteCounter(0);
    serde_json::to_writer(&mut size, request).map_err(defect)?;
    if size.0 <= MAXIMUM_REQUEST {
        return Ok(());
    }
    Err(HostStop::Limit(format!(
        "a request of {} with {} KiB is too large for the journal; it takes {}",
        O::ACTION,
        size.0 >> 10,
        MAXIMUM_REQUEST >> 10
    )))
}

/// An answer without what is secret by itself.
pub(super) fn open_part<R: Read>(output: &R::Output) -> Result<Value, HostStop> {
    let mut answer = serde_json::to_value(output).map_err(defect)?;
    if let Some(members) = answer.as_object_mut() {
        members.retain(|name, _| !R::SENSITIVE.contains(&name.as_str()));
    }
    Ok(answer)
}

/// A secret member of an answer, as bytes.
pub(super) fn bytes_of(value: Value) -> Option<Zeroizing<Vec<u8>>> {
    match value {
        Value::String(text) => Some(Zeroizing::new(text.into_bytes())),
        Value::Array(items) => {
            let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
            items.iter().map(byte).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// That something of AWS cannot be written as JSON, or read from it.
pub(super) fn defect(error: serde_json::Error) -> HostStop {
    HostStop::Defect(format!("a record of AWS cannot be written as JSON: {error}"))
}

/// Counts what is written to it.
struct ByteCounter(u64);

impl std::io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
