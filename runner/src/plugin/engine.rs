//! The one WebAssembly engine of a process.
//!
//! The main type is [`Engine`].

use std::hash::{Hash, Hasher};

use wasmtime::component::Linker;
use wasmtime::{Cache, CacheConfig, Config, OptLevel};

use super::cache::CacheDir;
use super::error::PluginError;
use super::notes::Notes;
use crate::host::{self, StageHost};

/// The engine with the linker that every stage is linked by.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<StageHost>,
    /// Where it is kept what plugins said of themselves.
    pub(super) notes: Option<Notes>,
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
        if let Some(directory) = cache {
            let mut cache = CacheConfig::new();
            cache.with_directory(directory.code());
            config.cache(Some(Cache::new(cache).map_err(failed)?));
        }
        let wasmtime = wasmtime::Engine::new(&config).map_err(failed)?;
        let mut linker = Linker::new(&wasmtime);
        host::link(&mut linker).map_err(failed)?;
        let mut engine = Self { wasmtime, linker, notes: None };
        engine.notes = cache.and_then(|cache| Notes::new(cache, &engine.configuration_hash()));
        Ok(engine)
    }

    /// Changes with whatever changes compiled code: the engine's version, its settings, the machine's features.
    pub fn configuration_hash(&self) -> String {
        let mut hasher = std::hash::DefaultHasher::new();
        self.wasmtime.precompile_compatibility_hash().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}
