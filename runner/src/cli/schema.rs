//! `kiln schema`: the JSON Schemas of pipeline, world and scenario files, for editors.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::dispatch::Global;
use super::document::write_json;
use super::exit::Exit;
use super::load::{PipelineFile, open_plugins};
use super::say::complain;
use crate::pipeline::{self, EditedPlugin, PluginSource};
use crate::plugin::standard_names;
use crate::scenario;

const AFTER_HELP: &str = "\
Editors find the schema by the first line of a file: `#:schema kiln.schema.json`, a path seen from the file, after
`kiln schema > kiln.schema.json`. It has the config of each plugin that kiln carries, and with PIPELINE of those that its
stages use besides.";

/// Print the JSON Schema of pipeline files, or of another sort of file.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SchemaArgs {
    /// A pipeline file: the plugins that it declares and uses are in the schema, too
    #[arg(value_name = "PIPELINE", conflicts_with_all = ["world", "scenario"])]
    pipeline: Option<PathBuf>,
    /// Of world files: what a simulated account holds at the start, and how it behaves
    #[arg(long)]
    world: bool,
    /// Of scenario files: what happens to a pipeline, and what is expected of it
    #[arg(long, conflicts_with = "world")]
    scenario: bool,
}

impl SchemaArgs {
    pub(super) fn execute(&self, global: &Global) -> Exit {
        if self.world {
            return write_json(Exit::Done, &scenario::world_schema());
        }
        if self.scenario {
            return write_json(Exit::Done, &scenario::editor_schema());
        }
        match self.plugins(global) {
            Ok(plugins) => write_json(Exit::Done, &pipeline::editor_schema(&plugins)),
            Err(exit) => exit,
        }
    }

    /// The plugins that this binary carries, and those of the pipeline.
    fn plugins(&self, global: &Global) -> Result<Vec<EditedPlugin>, Exit> {
        let standard = standard_names().into_iter().map(|name| PluginSource::Standard(name.to_owned()));
        let mut sources: BTreeSet<PluginSource> = standard.collect();
        let plugins = match &self.pipeline {
            Some(path) => {
                let (pipeline, plugins) = PipelineFile::at(path.clone()).check_with_plugins(global)?;
                sources.extend(pipeline.stages.into_iter().map(|stage| stage.plugin));
                plugins
            }
            None => open_plugins(global)?,
        };
        let described = sources.into_iter().map(|source| {
            let plugin = plugins
                .load(&source)
                .map_err(|error| complain(&error.to_string(), error.help().as_deref(), Exit::Input))?;
            let said = &plugin.description;
            let name = source.name().to_owned();
            Ok(EditedPlugin { name, summary: said.summary.clone(), config: said.config_schema.clone() })
        });
        described.collect()
    }
}
