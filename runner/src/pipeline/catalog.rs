//! What a pipeline must know of a plugin to be checked: its schemas.
//!
//! The main type is [`PluginContract`]; a [`Catalog`] finds it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::check::Files;
use super::pattern::SchemaOrigin;
use super::schema::Schema;
use crate::types::Digest;

/// What a plugin says of itself, as far as a pipeline cares.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginContract {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// JSON Schema of `with`.
    pub config_schema: Value,
    /// JSON Schema of the outputs.
    pub output_schema: Value,
    /// Whether it acts in the environments that its config names under `elsewhere`.
    pub elsewhere: bool,
    /// Whether it looks at configs before a run.
    pub checks: bool,
    /// Where its schemas come from.
    pub origin: SchemaOrigin,
}

impl PluginContract {
    /// Whether its schemas can be used.
    ///
    /// # Errors
    /// One of them is no JSON Schema, or a larger one than may be.
    pub fn check(&self) -> Result<(), CatalogError> {
        Contract::new(self.clone()).map(|_| ())
    }
}

/// Where a stage's plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PluginSource {
    /// One that kiln carries, by name.
    Standard(String),
    /// One of the pipeline's own.
    File {
        /// Its name under `[plugins]`.
        name: String,
        /// The component's file: the path in the pipeline file, seen from that file's directory.
        path: PathBuf,
        /// The digest that the file must have.
        digest: Option<Digest>,
    },
}

impl PluginSource {
    /// The name by which the pipeline calls it.
    pub fn name(&self) -> &str {
        match self {
            Self::Standard(name) | Self::File { name, .. } => name,
        }
    }
}

/// Why a plugin's contract could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CatalogError {
    /// What happened: one sentence.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Finds plugins.
pub trait Catalog {
    /// What a plugin says of itself.
    fn contract(&self, source: &PluginSource) -> Result<PluginContract, CatalogError>;
    /// The names of the plugins that kiln carries.
    fn standard_names(&self) -> Vec<String>;

    /// The content of a file beside the pipeline, which is in `directory`.
    ///
    /// # Errors
    /// It is not there, or not within the directory.
    fn file(&self, directory: &Path, path: &str) -> Result<Arc<[u8]>, CatalogError>;

    /// What a plugin thinks of a config that names `files`. Its values at the JSON pointers `unknown` are not known yet.
    ///
    /// # Errors
    /// The plugin cannot be asked.
    fn check_config(
        &self,
        source: &PluginSource,
        config: &Value,
        unknown: &[String],
        files: &Files,
    ) -> Result<Checked, CatalogError>;
}

/// What a plugin says of a config.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checked {
    /// What cannot work.
    pub problems: Vec<ConfigProblem>,
    /// JSON Schema of the outputs that a stage with this config has, where that is more than its description says.
    pub outputs: Option<Value>,
}

/// Something in a config that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// A JSON pointer to the part of the config that it is about.
    pub pointer: String,
    /// Where in a file that the config names.
    pub place: Option<FilePlace>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// A place in a file that a config names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    /// The file's path.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

/// A contract, with its schemas ready to check values.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) config: Schema,
    pub(crate) outputs: Schema,
    pub(crate) elsewhere: bool,
    pub(crate) checks: bool,
    origin: SchemaOrigin,
}

impl Contract {
    fn new(contract: PluginContract) -> Result<Self, CatalogError> {
        let PluginContract { name, version, config_schema, output_schema, elsewhere, checks, origin } = contract;
        let prepare = |what: &str, text: Value| prepare(what, text, &name, &version, origin);
        let (config, outputs) = (prepare("config", config_schema)?, prepare("output", output_schema)?);
        Ok(Self { name, version, config, outputs, elsewhere, checks, origin })
    }

    /// The same with another schema of the outputs.
    pub(crate) fn with_outputs(&self, outputs: Value) -> Result<Self, CatalogError> {
        let outputs = prepare("output", outputs, &self.name, &self.version, self.origin)?;
        Ok(Self {
            name: self.name.clone(),
            version: self.version.clone(),
            config: self.config.clone(),
            outputs,
            elsewhere: self.elsewhere,
            checks: self.checks,
            origin: self.origin,
        })
    }
}

fn prepare(what: &str, text: Value, name: &str, version: &str, origin: SchemaOrigin) -> Result<Schema, CatalogError> {
    Schema::of(text, origin).map_err(|error| CatalogError {
        message: format!("the {what} schema of the plugin `{name}` {version} is not a JSON Schema: {error}"),
        help: Some("this is a defect of the plugin: tell its author".to_owned()),
    })
}

/// The contracts that a pipeline has asked for: each plugin is looked up once, however many stages use it.
pub(crate) struct Contracts<'a> {
    catalog: &'a dyn Catalog,
    seen: BTreeMap<PluginSource, Result<Arc<Contract>, CatalogError>>,
}

impl<'a> Contracts<'a> {
    pub(crate) fn new(catalog: &'a dyn Catalog) -> Self {
        Self { catalog, seen: BTreeMap::new() }
    }

    /// Where they come from.
    pub(crate) fn catalog(&self) -> &'a dyn Catalog {
        self.catalog
    }

    pub(crate) fn get(&mut self, source: &PluginSource) -> Result<Arc<Contract>, CatalogError> {
        if let Some(known) = self.seen.get(source) {
            return known.clone();
        }
        let contract = self.catalog.contract(source).and_then(Contract::new).map(Arc::new);
        self.seen.insert(source.clone(), contract.clone());
        contract
    }
}
