//! `kiln schema`: the JSON Schema of pipeline files.

use clap::Args;

use super::document::write_json;
use super::exit::Exit;
use crate::pipeline;

/// Print the JSON Schema of pipeline files.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {}

impl SchemaArgs {
    pub(super) fn execute(&self) -> Exit {
        write_json(Exit::Done, &pipeline::json_schema())
    }
}
