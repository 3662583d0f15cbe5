//! The plugins that a pipeline names: each loaded once.
//!
//! The main type is [`Plugins`], which is the pipeline's catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::checks::check;
use super::component::{Description, MAXIMUM_BYTES, Plugin};
use super::engine::Engine;
use super::error::PluginError;
use crate::contract::{Standard, standard, standard_names};
use crate::files;
use crate::pipeline::{
    Catalog, CatalogError, Checked, Files, LARGEST_FILE, PluginContract, PluginSource, SchemaOrigin,
};
use crate::policy::reaches_elsewhere;
use crate::types::Digest;

/// Loads plugins and keeps them.
#[derive(Debug)]
pub struct Plugins {
    engine: Engine,
    /// Components that are used whatever the pipeline's sources hold now, by the plugins' names.
    pinned: BTreeMap<String, Vec<u8>>,
    /// Files beside the pipeline that are used whatever lies there now, by their paths.
    pinned_files: Option<Files>,
    loaded: Mutex<BTreeMap<PluginSource, Arc<Plugin>>>,
}

impl Plugins {
    /// Plugins of `engine`.
    pub fn new(engine: Engine) -> Self {
        Self::pinned(engine, BTreeMap::new())
    }

    /// Plugins of `engine`, where those that `components` names are of these bytes.
    pub fn pinned(engine: Engine, components: BTreeMap<String, Vec<u8>>) -> Self {
        Self { engine, pinned: components, pinned_files: None, loaded: Mutex::default() }
    }

    /// The same, where the files beside the pipeline are these and no others.
    #[must_use]
    pub fn with_files(self, files: Files) -> Self {
        Self { pinned_files: Some(files), ..self }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The plugin that `source` names, loaded now or before.
    pub fn load(&self, source: &PluginSource) -> Result<Arc<Plugin>, PluginError> {
        if let Some(plugin) = self.loaded().get(source) {
            return Ok(Arc::clone(plugin));
        }
        // Without the lock: it may take long. Who comes second takes what the first has loaded.
        let plugin = Arc::new(self.open(source)?);
        Ok(Arc::clone(self.loaded().entry(source.clone()).or_insert(plugin)))
    }

    fn loaded(&self) -> MutexGuard<'_, BTreeMap<PluginSource, Arc<Plugin>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, source: &PluginSource) -> Result<Plugin, PluginError> {
        match source {
            pinned if self.pinned.contains_key(pinned.name()) => self.load_pinned(pinned.name()),
            PluginSource::Standard(name) => self.load_standard(name),
            PluginSource::File { name, path, digest } => {
                // One byte beyond the limit is enough for the check that refuses it to see it.
                let bytes = files::read_at_most(path, MAXIMUM_BYTES as u64 + 1)
                    .map_err(|source| PluginError::Read { path: path.clone(), source })?;
                check_digest(name, digest.as_ref(), &bytes)?;
                Plugin::open(&self.engine, name, &bytes)
            }
        }
    }

    /// Load the code of these in the background, one after the other: until a stage needs its plugin there are answers of AWS
    /// to wait for. Before anything is begun it must be known that all of them can be loaded.
    pub(crate) fn warm_up(
        self: &Arc<Self>,
        sources: impl Iterator<Item = PluginSource>,
    ) -> JoinHandle<Result<(), PluginError>> {
        let mut seen = BTreeSet::new();
        let each_once: Vec<PluginSource> = sources.filter(|source| seen.insert(source.clone())).collect();
        let plugins = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            each_once.iter().try_for_each(|source| plugins.load(source)?.ready(&plugins.engine).map(|_| ()))
        })
    }

    fn load_pinned(&self, name: &str) -> Result<Plugin, PluginError> {
        let bytes = self.pinned.get(name).map(Vec::as_slice).unwrap_or_default();
        Plugin::open(&self.engine, name, bytes)
    }

    fn load_standard(&self, name: &str) -> Result<Plugin, PluginError> {
        match standard(name) {
            Some(Standard { digest, bytes, .. }) => {
                let digest = digest.parse().unwrap_or_else(|_| Digest::of(bytes));
                Plugin::open_known(&self.engine, name, bytes, digest)
            }
            None => {
                let closest = standard_names()
                    .into_iter()
                    .map(|known| (strsim::damerau_levenshtein(known, name), known))
                    .filter(|(distance, known)| *distance <= known.len() / 3)
                    .min();
                Err(PluginError::Unknown {
                    name: name.to_owned(),
                    suggestion: closest.map(|(_, known)| known.to_owned()),
                })
            }
        }
    }
}

/// What a pipeline must know of a plugin that describes itself so.
pub(super) fn contract_of(description: &Description, origin: SchemaOrigin) -> PluginContract {
    PluginContract {
        name: description.name.clone(),
        version: description.version.clone(),
        config_schema: description.config_schema.clone(),
        output_schema: description.output_schema.clone(),
        elsewhere: reaches_elsewhere(&description.permissions),
        checks: description.checks,
        origin,
    }
}

fn check_digest(name: &str, expected: Option<&Digest>, bytes: &[u8]) -> Result<(), PluginError> {
    let Some(expected) = expected else { return Ok(()) };
    let found = Digest::of(bytes);
    if found == *expected {
        return Ok(());
    }
    Err(PluginError::Digest { name: name.to_owned(), expected: expected.clone(), found })
}

impl Catalog for Plugins {
    fn contract(&self, source: &PluginSource) -> Result<PluginContract, CatalogError> {
        let plugin =
            self.load(source).map_err(|error| CatalogError { message: error.to_string(), help: error.help() })?;
        let origin = if self.engine.carries(&plugin.digest) { SchemaOrigin::Carried } else { SchemaOrigin::Foreign };
        Ok(contract_of(&plugin.description, origin))
    }

    fn standard_names(&self) -> Vec<String> {
        standard_names().into_iter().map(str::to_owned).collect()
    }

    fn file(&self, directory: &Path, path: &str) -> Result<Arc<[u8]>, CatalogError> {
        match &self.pinned_files {
            Some(files) => files.get(path).map(Arc::clone).ok_or_else(|| CatalogError {
                message: "it is not among the files that the run began with".to_owned(),
                help: None,
            }),
            None => match files::read_beside(directory, path, LARGEST_FILE) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(CatalogError { message: error.to_string(), help: error.help().map(str::to_owned) }),
            },
        }
    }

    fn check_config(
        &self,
        source: &PluginSource,
        config: &Value,
        unknown: &[String],
        files: &Files,
    ) -> Result<Checked, CatalogError> {
        let checked = self.load(source).and_then(|plugin| check(&self.engine, &plugin, config, unknown, files));
        checked.map_err(|error| CatalogError { message: error.to_string(), help: error.help() })
    }
}
