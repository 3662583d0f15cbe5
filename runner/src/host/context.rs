//! `kiln:stage/context`: what a stage may know of its run.

use serde_json::Value;

use super::state::{StageHost, stop};
use crate::call::context::RunContext;
use crate::call::stop::HostStop;
use crate::contract::bindings::kiln::stage::context::{Host, Info};

impl Host for StageHost {
    async fn get(&mut self) -> wasmtime::Result<Info> {
        Ok(self.enter("context.get").await?.info.clone())
    }

    async fn unknown(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.enter("context.unknown").await?.unknown.clone())
    }

    async fn images_of_this_run(&mut self) -> wasmtime::Result<Vec<String>> {
        let work = self.enter("context.images-of-this-run").await?;
        let read = |run: &RunContext| run.images().into_iter().map(Value::String).collect();
        let images = work.local_read("images-of-this-run", read).await.map_err(stop)?;
        serde_json::from_value(images)
            .map_err(|_| stop(HostStop::Defect("the journal holds images that are none".to_owned())))
    }
}
