//! What a pipeline must know of a plugin to be checked: its schemas.
//!
//! The main type is [`PluginContract`]; a [`Catalog`] finds it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

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
}

/// A contract, with its schemas ready to check values.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) config: Schema,
    pub(crate) outputs: Schema,
    pub(crate) elsewhere: bool,
}

impl Contract {
    fn new(contract: PluginContract) -> Result<Self, CatalogError> {
        let PluginContract { name, version, config_schema, output_schema, elsewhere, origin } = contract;
        let prepare = |what: &str, text: Value| {
            Schema::of(text, origin).map_err(|error| CatalogError {
                message: format!("the {what} schema of the plugin `{name}` {version} is not a JSON Schema: {error}"),
                help: Some("this is a defect of the plugin: tell its author".to_owned()),
            })
        };
        let (config, outputs) = (prepare("config", config_schema)?, prepare("output", output_schema)?);
        Ok(Self { name, version, config, outputs, elsewhere })
    }
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

    pub(crate) fn get(&mut self, source: &PluginSource) -> Result<Arc<Contract>, CatalogError> {
        if let Some(known) = self.seen.get(source) {
            return known.clone();
        }
        let contract = self.catalog.contract(source).and_then(Contract::new).map(Arc::new);
        self.seen.insert(source.clone(), contract.clone());
        contract
    }
}
