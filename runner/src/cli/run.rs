//! `kiln run`: run a pipeline.

use clap::Args;

use super::aws::Aws;
use super::conduct::Conduct;
use super::dispatch::Global;
use super::exit::Exit;
use super::load::{self, PipelineFile};
use crate::run::{self, RunOptions, Sharing};
use crate::store::Table;

/// Run a pipeline.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pipeline: PipelineFile,
    #[command(flatten)]
    aws: Aws,
    #[command(flatten)]
    conduct: Conduct,
}

impl Run {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        let loaded = match self.pipeline.load(global, self.aws.endpoint.region()) {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        let (region, clock) = (loaded.pipeline.region.clone(), self.aws.clock());
        let kept = load::kept(global, &self.pipeline.path, &loaded.pipeline);
        let page = match self.conduct.page(&self.aws.endpoint, kept) {
            Ok(page) => page,
            Err(exit) => return exit,
        };
        let address = global.store.clone().or_else(|| loaded.pipeline.store.clone());
        let work = async |options: RunOptions| {
            let table = match &address {
                Some(address) => Some(Table::open(&options.connection, address, &loaded.pipeline.region).await),
                None => None,
            };
            let options = RunOptions { sharing: Sharing { table, ..options.sharing }, ..options };
            run::run(loaded.pipeline, loaded.plugins, loaded.source, options).await
        };
        self.conduct.carry_out(global, &self.aws.endpoint, &region, clock, page, work).await
    }
}
