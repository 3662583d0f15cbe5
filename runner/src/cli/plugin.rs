//! `kiln plugin`: which plugins there are, and what one is.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::load::open_plugins;
use super::say::complain;
use crate::harmless::line;
use crate::pipeline::PluginSource;
use crate::plugin::{Plugin, standard_names};
use crate::report::{Output, fields_of};

/// List and inspect plugins.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// List the standard plugins, which this binary carries
    List,
    /// Say what a plugin is: its config, outputs, permissions, imports and digest
    Inspect {
        /// A standard plugin's name, or the path of a component
        plugin: String,
    },
}

impl PluginCommand {
    pub(super) fn execute(&self, global: &Global) -> Exit {
        let result = match self {
            Self::List => list(global),
            Self::Inspect { plugin } => inspect(plugin, global),
        };
        result.unwrap_or_else(|exit| exit)
    }
}

fn load(source: &PluginSource, global: &Global) -> Result<Arc<Plugin>, Exit> {
    open_plugins(global)?
        .load(source)
        .map_err(|error| complain(&error.to_string(), error.help().as_deref(), Exit::Input))
}

fn list(global: &Global) -> Result<Exit, Exit> {
    let mut plugins = Vec::new();
    for name in standard_names() {
        plugins.push(load(&PluginSource::Standard(name.to_owned()), global)?);
    }
    if global.output == Output::Json {
        let plugins: Vec<_> = plugins
            .iter()
            .map(|plugin| {
                let said = &plugin.description;
                json!({ "name": said.name, "version": said.version, "summary": said.summary, "digest": plugin.digest })
            })
            .collect();
        return Ok(write_json(Exit::Done, &plugins));
    }
    Ok(write(Exit::Done, |out| {
        if plugins.is_empty() {
            writeln!(out, "this binary carries no plugins; build it with `cargo xtask plugins` first")?;
        }
        for plugin in &plugins {
            let said = &plugin.description;
            writeln!(out, "{:<16} {:<8} {}", line(&said.name), line(&said.version), line(&said.summary))?;
        }
        Ok(())
    }))
}

fn inspect(named: &str, global: &Global) -> Result<Exit, Exit> {
    let source = if standard_names().contains(&named) {
        PluginSource::Standard(named.to_owned())
    } else if named.contains('/') || named.ends_with(".wasm") {
        PluginSource::File { name: named.to_owned(), path: PathBuf::from(named), digest: None }
    } else {
        // The error that comes of it knows which name is meant.
        PluginSource::Standard(named.to_owned())
    };
    let plugin = load(&source, global)?;
    let said = &plugin.description;
    if global.output == Output::Json {
        let permissions: Vec<_> = said
            .permissions
            .iter()
            .map(|asked| json!({ "action": asked.action, "resources": asked.resources, "reason": asked.reason }))
            .collect();
        return Ok(write_json(
            Exit::Done,
            &json!({
                "name": said.name, "version": said.version, "summary": said.summary, "digest": plugin.digest,
                "undoable": said.undoable, "imports": plugin.imports, "permissions": permissions,
                "config": said.config_schema, "outputs": said.output_schema,
            }),
        ));
    }
    Ok(write(Exit::Done, |out| {
        writeln!(out, "{} {}\n{}\n", line(&said.name), line(&said.version), line(&said.summary))?;
        writeln!(out, "digest    {}", plugin.digest)?;
        writeln!(out, "undo      {}", if said.undoable { "yes" } else { "there is nothing to undo" })?;
        let imports: Vec<_> = plugin.imports.iter().map(|import| line(import)).collect();
        writeln!(out, "imports   {}", imports.join("\n          "))?;
        writeln!(out, "\nwith\n{}", fields_of(&said.config_schema, "required"))?;
        writeln!(out, "outputs\n{}", fields_of(&said.output_schema, "always there"))?;
        writeln!(out, "permissions")?;
        for asked in &said.permissions {
            writeln!(out, "  {:<44} {}", asked.action, line(&asked.reason))?;
            for resource in &asked.resources {
                writeln!(out, "    on {}", line(&resource.to_string()))?;
            }
        }
        Ok(())
    }))
}
