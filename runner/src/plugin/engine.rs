//! The one WebAssembly engine of a process.
//!
//! The main type is [`Engine`].

use std::hash::{Hash, Hasher};

use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config, OptLevel};

use super::cache::CacheDir;
use super::error::PluginError;
use super::notes::{Note, Notes};
use super::precompiled::Precompiled;
use crate::host::{self, StageHost};
use crate::types::Digest;

/// The engine with the linker that every stage is linked by.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<StageHost>,
    /// Where it is kept what plugins said of themselves.
    pub(super) notes: Option<Notes>,
    /// What the binary carries of components, compiled.
    precompiled: Option<&'static dyn Precompiled>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("configuration", &self.configuration_hash()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Make the engine. Compiled components are cached under `cache`, keyed by their content and the engine's
    /// configuration; none means that nothing is cached.
    pub fn new(cache: Option<&CacheDir>) -> Result<Self, PluginError> {
        let failed = |error: wasmtime::Error| PluginError::Engine(format!("{error:#}"));
        let mut config = Self::settings().map_err(failed)?;
        if let Some(directory) = cache {
            let mut cache = CacheConfig::new();
            cache.with_directory(directory.code());
            config.cache(Some(Cache::new(cache).map_err(failed)?));
        }
        let wasmtime = wasmtime::Engine::new(&config).map_err(failed)?;
        let mut linker = Linker::new(&wasmtime);
        host::link(&mut linker).map_err(failed)?;
        let mut engine = Self { wasmtime, linker, notes: None, precompiled: None };
        engine.notes = cache.and_then(|cache| Notes::new(cache, &engine.configuration_hash()));
        Ok(engine)
    }

    /// What every engine of kiln is set to: what it compiles depends on nothing else.
    ///
    /// # Errors
    /// Wasmtime does not know this machine.
    pub fn settings() -> wasmtime::Result<Config> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            // A guest is replayed against the record of its calls: what it computes must not depend on the machine.
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false)
            // Fuel both bounds a guest and, by yielding, lets a time-out end it; no timer thread is needed.
            .consume_fuel(true)
            .max_wasm_stack(512 << 10)
            .async_stack_size(1 << 20)
            .memory_reservation(64 << 20)
            .memory_guard_size(64 << 10)
            .memory_reservation_for_growth(0)
            // One mapping a memory instead of three: with them and its stack, ten thousand stages stay below what Linux
            // lets a process map.
            .memory_init_cow(false)
            // Only for backtraces that nobody is shown, and for debuggers: a fifth of what is compiled and kept.
            .generate_address_map(false)
            .native_unwind_info(false)
            .wasm_backtrace_max_frames(None)
            // No guest is asynchronous.
            .concurrency_support(false);
        if let Some(target) = portable_target() {
            config.target(&target)?;
        }
        Ok(config)
    }

    /// The same engine, with what the binary carries.
    pub fn with(mut self, precompiled: &'static dyn Precompiled) -> Self {
        self.precompiled = Some(precompiled);
        self
    }

    /// Wasmtime's own engine.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// What is known of a component without loading it: because the binary carries it, or because it was asked before.
    pub(super) fn note(&self, component: &Digest) -> Option<Note> {
        let carried = self.precompiled.and_then(|precompiled| precompiled.note(component.as_str()));
        let carried = carried.and_then(|note| serde_json::from_slice(note).ok());
        carried.or_else(|| self.notes.as_ref()?.read(component))
    }

    /// Whether the binary carries what a component says of itself.
    pub(super) fn carries(&self, component: &Digest) -> bool {
        self.precompiled.is_some_and(|precompiled| precompiled.note(component.as_str()).is_some())
    }

    /// The code that the binary carries of a component, where it fits this machine.
    pub(super) fn carried(&self, component: &Digest) -> Option<Component> {
        match self.precompiled?.code(component.as_str(), &self.wasmtime)? {
            Ok(code) => Some(code),
            Err(error) => {
                tracing::debug!(%component, "the code that this binary carries does not fit, and is compiled anew: {error:#}");
                None
            }
        }
    }

    /// Changes with whatever changes compiled code: the engine's version, its settings, the machine's architecture.
    pub fn configuration_hash(&self) -> String {
        let mut hasher = std::hash::DefaultHasher::new();
        self.wasmtime.precompile_compatibility_hash().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// Every machine of an architecture compiles the same code, without what only some of its processors have: so what was compiled
/// elsewhere fits here, and what a guest computes does not depend on where it does. Where it is not known what all processors have,
/// it is this machine's own.
fn portable_target() -> Option<String> {
    let linux = cfg!(target_os = "linux") && cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    // The C library plays no part in what is compiled, but wasmtime runs nothing that names another than its own.
    let library = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    linux.then(|| format!("{}-unknown-linux-{library}", std::env::consts::ARCH))
}
