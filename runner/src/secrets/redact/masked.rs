//! Masks typed values: events and records of the journal.
//!
//! The main function is [`Redactor::masked`].

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Redactor;

impl Redactor {
    /// `value` with every secret masked in all of its strings.
    ///
    /// # Errors
    /// What is masked is not of the type any more: a secret stands where a name or a digest must. Nothing of it may be
    /// written then.
    pub fn masked<T: Serialize + DeserializeOwned + Clone>(&self, value: &T) -> Result<T, serde_json::Error> {
        if self.matcher().is_empty() {
            return Ok(value.clone());
        }
        let mut json = serde_json::to_value(value)?;
        self.json(&mut json);
        serde_json::from_value(json)
    }
}
