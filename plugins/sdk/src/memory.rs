//! What a stage must remember for its own undo and for its next attempt: typed values in the run's journal.
//! Remember *before* the change that a value describes; an undo after a crash sees it then.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::bindings::kiln::stage::memory as host;

/// Remember a value under a name, replacing an earlier one. Durable when it returns.
pub fn remember(name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(value)
        .map_err(|error| Failure::internal(format!("what should be remembered as {name} is not JSON: {error}")))?;
    host::remember(name, &json);
    Ok(())
}

/// What was remembered under a name by this stage in this run, in this attempt or an earlier one.
pub fn recall<T: DeserializeOwned>(name: &str) -> Result<Option<T>, Failure> {
    host::recall(name)
        .map(|json| {
            serde_json::from_str(&json)
                .map_err(|error| Failure::internal(format!("what was remembered as {name} cannot be read: {error}")))
        })
        .transpose()
}
