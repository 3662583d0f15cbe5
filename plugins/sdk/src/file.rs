//! Files beside the pipeline that a config names.
//! The main type is [`FilePath`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::bindings::kiln::files::files;

/// The path of a file beside the pipeline, as the config has it. Its bytes are kept with the run: a run that is resumed sees the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilePath(pub String);

impl FilePath {
    /// The file's bytes.
    pub fn bytes(&self) -> Result<Vec<u8>, Failure> {
        files::read(&self.0).map_err(Failure::internal)
    }

    /// The file's text.
    pub fn text(&self) -> Result<String, Failure> {
        String::from_utf8(self.bytes()?).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::config(format!("byte {at} of {} is not UTF-8", self.0)).help("Save the file as UTF-8.")
        })
    }
}

impl JsonSchema for FilePath {
    fn schema_name() -> Cow<'static, str> {
        "FilePath".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 1000, "x-kiln-file": true })
    }
}
