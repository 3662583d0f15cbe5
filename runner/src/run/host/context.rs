//! `kiln:stage/context`: what a stage may know of its run.

use serde_json::Value;

use super::state::{StageHost, stop};
use crate::plugin::bindings::kiln::stage::context::{Host, Info};

impl Host for StageHost {
    async fn get(&mut self) -> wasmtime::Result<Info> {
        Ok(self.enter("context.get").await?.info.clone())
    }

    async fn unknown(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.enter("context.unknown").await?.unknown.clone())
    }

    async fn images_of_this_run(&mut self) -> wasmtime::Result<Vec<String>> {
        let work = self.enter("context.images-of-this-run").await?;
        let images = work.run.images();
        let value = images.iter().cloned().map(Value::String).collect();
        work.local_read("images-of-this-run", Value::Array(value)).map_err(stop)?;
        Ok(images)
    }
}
