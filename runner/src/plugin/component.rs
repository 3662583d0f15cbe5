//! A component that was checked against the contract and asked what it is.
//!
//! The main type is [`Plugin`].

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmtime::Store;

use super::compile::compile;
use super::engine::Engine;
use super::error::PluginError;
use super::notes::Note;
use super::quote::quoted;
use super::{checks, imports, permissions, schema};
use crate::contract::Limits;
use crate::contract::bindings::StagePre;
use crate::contract::bindings::exports::kiln::stage::lifecycle;
use crate::harmless::is_unseen;
use crate::host::{StageHost, trap_reason};
use crate::policy::Declared;
use crate::types::{Digest, StageName};

/// The largest component that is compiled at all.
pub(super) const MAXIMUM_BYTES: usize = 32 << 20;

/// What a plugin says of itself, checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// JSON Schema of `with`.
    pub config_schema: Value,
    /// JSON Schema of its outputs.
    pub output_schema: Value,
    /// The access that it asks for.
    pub permissions: Vec<Declared>,
    /// Whether `undo` does anything.
    pub undoable: bool,
    /// Whether it looks at configs before a run: it exports `kiln:checks/checks`.
    #[serde(default)]
    pub checks: bool,
}

/// A component that stages can be made of.
#[derive(Clone)]
pub struct Plugin {
    /// The digest of its bytes: what it is known by.
    pub digest: Digest,
    /// What it says of itself.
    pub description: Description,
    /// The AWS interfaces and the others that it imports.
    pub imports: Vec<String>,
    /// Its bytes, which a resumed run uses again.
    pub bytes: Arc<[u8]>,
    /// Its compiled code, loaded when it is needed first.
    code: Arc<OnceLock<StagePre<StageHost>>>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("digest", &self.digest)
            .field("name", &self.description.name)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    /// Check `bytes` against the contract, and ask them what they are, unless this engine knows it. `name` is for messages.
    ///
    /// Compiling is work for the processor: call it where blocking is allowed.
    pub fn open(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Self, PluginError> {
        check_form(name, bytes)?;
        Self::open_known(engine, name, bytes, Digest::of(bytes))
    }

    /// The same of bytes whose digest is known.
    pub(super) fn open_known(engine: &Engine, name: &str, bytes: &[u8], digest: Digest) -> Result<Self, PluginError> {
        let code = OnceLock::new();
        let Note { description, imports } = match engine.note(&digest) {
            Some(note) => note,
            None => {
                let (pre, imports) = load(engine, name, bytes, &digest)?;
                let description = Description { checks: checks::exported(&pre), ..describe(engine, name, &pre)? };
                let note = Note { description, imports };
                // It is new: nobody else has it.
                let _ = code.set(pre);
                if let Some(notes) = &engine.notes {
                    notes.write(&digest, &note);
                }
                note
            }
        };
        Ok(Self { digest, description, imports, bytes: bytes.into(), code: Arc::new(code) })
    }

    /// Its code, ready to be instantiated: loaded now, if it was not before.
    pub(crate) fn ready(&self, engine: &Engine) -> Result<&StagePre<StageHost>, PluginError> {
        if let Some(pre) = self.code.get() {
            return Ok(pre);
        }
        // Whoever comes second takes what the first has loaded; a run loads all before its stages begin.
        let (pre, _) = load(engine, &self.description.name, &self.bytes, &self.digest)?;
        Ok(self.code.get_or_init(|| pre))
    }
}

/// Take the code of a component from the binary or from the cache, or compile it, and link it. Also answers what it imports.
fn load(
    engine: &Engine,
    name: &str,
    bytes: &[u8],
    digest: &Digest,
) -> Result<(StagePre<StageHost>, Vec<String>), PluginError> {
    let not_a_plugin = |reason: String, help: Option<&str>| PluginError::NotAPlugin {
        name: name.to_owned(),
        reason: quoted(&reason),
        help: help.map(str::to_owned),
    };
    let imports = imports::check(name, bytes)?;
    let component = match engine.carried(digest) {
        Some(component) => component,
        None => {
            compile(&engine.wasmtime, bytes).map_err(|error| not_a_plugin(error.to_string(), Some(error.help())))?
        }
    };
    let pre = engine.linker.instantiate_pre(&component).and_then(StagePre::new).map_err(|error| {
        not_a_plugin(format!("{error:#}"), Some("build it against kiln's WIT packages, version 0.1"))
    })?;
    Ok((pre, imports))
}

/// What can be seen without compiling. Compiled code in particular is never loaded: only the engine's own cache may hold it.
fn check_form(name: &str, bytes: &[u8]) -> Result<(), PluginError> {
    let refuse = |reason: String, help: &str| {
        Err(PluginError::NotAPlugin { name: name.to_owned(), reason, help: Some(help.to_owned()) })
    };
    if bytes.len() > MAXIMUM_BYTES {
        return refuse(
            format!("it has more than {} MiB, which is the most that kiln compiles", MAXIMUM_BYTES >> 20),
            "strip debug information, or build it for size",
        );
    }
    match (bytes.get(..4), bytes.get(4..8)) {
        (Some(b"\0asm"), Some([0x0d, 0, 1, 0])) => Ok(()),
        (Some(b"\0asm"), Some([1, 0, 0, 0])) => refuse(
            "it is a core WebAssembly module, not a component".to_owned(),
            "make a component of it, for instance with `wasm-tools component new`",
        ),
        (Some(b"\x7fELF"), _) => refuse(
            "it is machine code, perhaps a precompiled component".to_owned(),
            "give the `.wasm` component; kiln compiles it itself and keeps the result in a cache of its own",
        ),
        _ => refuse("it is not WebAssembly".to_owned(), "give a `.wasm` component"),
    }
}

/// Run `describe` with small limits and a host that answers nothing.
fn describe(engine: &Engine, name: &str, pre: &StagePre<StageHost>) -> Result<Description, PluginError> {
    let failed = |reason: String| PluginError::Describe { name: name.to_owned(), reason: quoted(&reason) };
    let limits = Limits { fuel: 1_000_000_000, ..Limits::default() };
    let mut store = Store::new(&engine.wasmtime, StageHost::describing(limits));
    StageHost::limit(&mut store, &limits).map_err(|error| failed(format!("{error:#}")))?;
    let answer = block_on(async {
        let stage = pre.instantiate_async(&mut store).await?;
        stage.kiln_stage_lifecycle().call_describe(&mut store).await
    });
    let description = answer.map_err(|error| failed(trap_reason(&error)))?;
    let description = check_description(description).map_err(failed)?;
    permissions::check(&description.permissions, &description.config_schema)
        .map_err(|problem| PluginError::Permission { name: name.to_owned(), problem })?;
    Ok(description)
}

/// `describe` calls no host function that waits, and its fuel is small: the future is driven here, on this thread.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// How many permissions a plugin may ask for, and on how many resources each.
const MAXIMUM_PERMISSIONS: usize = 100;

fn check_description(said: lifecycle::Description) -> Result<Description, String> {
    let schema = |what: &str, text: &str| schema::read(text).map_err(|reason| format!("its {what} schema {reason}"));
    let plausible = |text: &str| (1..=600).contains(&text.len()) && !text.chars().any(is_unseen);
    if said.name.parse::<StageName>().is_err() {
        let name = said.name.chars().take(100).collect::<String>();
        return Err(format!("its name {name:?} is not made of lower-case letters, digits and hyphens"));
    }
    if !plausible(&said.version) || !plausible(&said.summary) {
        return Err("its version or summary is empty, too long, or holds control characters".to_owned());
    }
    if said.permissions.len() > MAXIMUM_PERMISSIONS
        || said.permissions.iter().any(|asked| asked.resources.len() > MAXIMUM_PERMISSIONS)
    {
        return Err(format!(
            "it asks for more than {MAXIMUM_PERMISSIONS} permissions, or for one on as many resources"
        ));
    }
    for asked in &said.permissions {
        let mut texts = [&asked.action, &asked.reason].into_iter().chain(&asked.resources);
        if !texts.all(|text| plausible(text)) {
            return Err("a permission that it asks for is empty, too long, or holds control characters".to_owned());
        }
    }
    let permissions: Vec<Declared> = said
        .permissions
        .into_iter()
        .map(|asked| Declared { action: asked.action, resources: asked.resources, reason: asked.reason })
        .collect();
    Ok(Description {
        config_schema: schema("config", &said.config_schema)?,
        output_schema: schema("output", &said.output_schema)?,
        name: said.name,
        version: said.version,
        summary: said.summary,
        permissions,
        undoable: said.undoable,
        checks: false,
    })
}
