//! Code that the build of a binary compiled, for that binary to carry: nothing is compiled, and nothing is read, at a run of it.
//!
//! [`Precompiler`] makes it; a binary hands it to the engine as [`Precompiled`]. This crate takes no machine code itself: that wants
//! `unsafe`, and somebody who knows where the bytes come from.

use std::fmt::Debug;

use wasmtime::component::Component;

use super::cache::CacheDir;
use super::component::Plugin;
use super::engine::Engine;
use super::error::PluginError;
use super::notes::Note;
use super::registry::contract_of;
use crate::pipeline::SchemaOrigin;
use crate::types::Digest;

/// What a binary carries of components, each found by the digest of the component.
pub trait Precompiled: Debug + Sync {
    /// What the component said of itself when it was compiled, as [`Precompiler`] wrote it.
    fn note(&self, component: &str) -> Option<&'static [u8]>;
    /// Its code for `engine`. An error where the engine cannot use it: other settings, another version, a processor that lacks what the
    /// code needs.
    fn code(&self, component: &str, engine: &wasmtime::Engine) -> Option<wasmtime::Result<Component>>;
}

/// Compiles components for any machine of this one's architecture and operating system.
#[derive(Debug)]
pub struct Precompiler(Engine);

/// What there is of a compiled component.
#[derive(Debug)]
pub struct PrecompiledComponent {
    /// The digest of the component.
    pub digest: Digest,
    /// What it says of itself.
    pub note: Vec<u8>,
    /// Its code.
    pub code: Vec<u8>,
}

impl Precompiler {
    /// Of the settings that every engine has.
    ///
    /// # Errors
    /// The engine cannot be made.
    pub fn new(cache: Option<&CacheDir>) -> Result<Self, PluginError> {
        Engine::new(cache).map(Self)
    }

    /// Compile a component, check it against the contract, and ask it what it is.
    ///
    /// # Errors
    /// It is no plugin.
    pub fn precompile(&self, name: &str, bytes: &[u8]) -> Result<PrecompiledComponent, PluginError> {
        let failed = |reason: String| PluginError::Engine(format!("{name} cannot be compiled ahead: {reason}"));
        let plugin = Plugin::open(&self.0, name, bytes)?;
        // Who carries it does not try them again.
        contract_of(&plugin.description, SchemaOrigin::Foreign).check().map_err(|error| failed(error.to_string()))?;
        let code = plugin.ready(&self.0)?.instance_pre().component().serialize();
        let code = code.map_err(|error| failed(format!("{error:#}")))?;
        let note = Note { description: plugin.description, imports: plugin.imports };
        let note = serde_json::to_vec(&note).map_err(|error| failed(error.to_string()))?;
        Ok(PrecompiledComponent { digest: plugin.digest, note, code })
    }
}
