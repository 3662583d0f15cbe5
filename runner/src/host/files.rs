//! `kiln:files`: files beside the pipeline that a stage's config names, as the run has kept them.

use std::sync::Arc;

use super::state::StageHost;
use crate::contract::bindings::kiln::files::files::Host;
use crate::pipeline::Files;

impl Host for StageHost {
    async fn read(&mut self, path: String) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let files = match self.checked_files() {
            Some(files) => files,
            None => Arc::clone(&self.enter("files.read").await?.files),
        };
        Ok(content(&files, &path))
    }
}

/// Answered the same each time: nothing is written down.
fn content(files: &Files, path: &str) -> Result<Vec<u8>, String> {
    match files.get(path) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Err(format!("the stage's config names no file {path:?}")),
    }
}
