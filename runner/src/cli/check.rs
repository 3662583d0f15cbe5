//! `kiln check`: what is wrong with a pipeline file.

use std::io::Write;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::lint::lint;
use super::load::{PipelineFile, shown};
use crate::report::Output;
use crate::words::count;

/// Check a pipeline file.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// Also run the linters that plugins name for files beside the pipeline, such as cfn-lint, where they are installed
    #[arg(long)]
    lint: bool,
}

impl Check {
    pub(super) fn execute(&self, global: &Global) -> Exit {
        let pipeline = match self.pipeline.check(global) {
            Ok(pipeline) => pipeline,
            Err(exit) => return exit,
        };
        if self.lint {
            let directory = self.pipeline.path.parent().unwrap_or(Path::new(""));
            match lint(&pipeline, directory) {
                Exit::Done => {}
                exit => return exit,
            }
        }
        if global.output == Output::Json {
            let stages: Vec<_> = pipeline
                .stages
                .iter()
                .map(|stage| json!({ "name": stage.name, "needs": stage.needs, "environment": stage.environment }))
                .collect();
            let file = self.pipeline.path.display().to_string();
            return write_json(Exit::Done, &json!({ "file": file, "pipeline": pipeline.name, "stages": stages }));
        }
        let file = shown(&self.pipeline.path);
        write(Exit::Done, |out| {
            writeln!(
                out,
                "{file}: pipeline `{}`, {}, no problems",
                pipeline.name,
                count(pipeline.stages.len(), "stage")
            )
        })
    }
}
