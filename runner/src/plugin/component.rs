//! A component that was compiled, checked against the contract, and asked what it is.
//!
//! The main type is [`Plugin`].

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::bindings::StagePre;
use super::bindings::exports::kiln::stage::lifecycle;
use super::engine::{Engine, Limits};
use super::error::PluginError;
use crate::policy::Declared;
use crate::run::{StageHost, trap_reason};
use crate::types::Digest;

/// The largest component that is compiled at all.
const MAXIMUM_BYTES: usize = 32 << 20;

/// What a plugin says of itself, checked.
#[derive(Debug, Clone)]
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
}

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub struct Plugin {
    /// The digest of its bytes: what it is known by.
    pub digest: Digest,
    /// What it says of itself.
    pub description: Description,
    /// The AWS interfaces and the others that it imports.
    pub imports: Vec<String>,
    pub(crate) pre: StagePre<StageHost>,
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
    /// Compile `bytes`, check them against the contract, and ask what they are. `name` is for messages.
    ///
    /// Compiling is work for the processor: call it where blocking is allowed.
    pub fn compile(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Self, PluginError> {
        check_form(name, bytes)?;
        let not_a_plugin = |reason: String, help: Option<&str>| PluginError::NotAPlugin {
            name: name.to_owned(),
            reason,
            help: help.map(str::to_owned),
        };
        let component = Component::from_binary(&engine.wasmtime, bytes)
            .map_err(|error| not_a_plugin(format!("{error:#}"), Some("build it again; the file may be damaged")))?;
        let imports = check_imports(name, engine, &component)?;
        let pre = engine.linker.instantiate_pre(&component).and_then(StagePre::new).map_err(|error| {
            not_a_plugin(format!("{error:#}"), Some("build it against kiln's WIT packages, version 0.1"))
        })?;
        let description = describe(engine, name, &pre)?;
        Ok(Self { digest: Digest::of(bytes), description, imports, pre })
    }
}

/// What can be seen without compiling. Compiled code in particular is never loaded: only the engine's own cache may hold it.
fn check_form(name: &str, bytes: &[u8]) -> Result<(), PluginError> {
    let refuse = |reason: String, help: &str| {
        Err(PluginError::NotAPlugin { name: name.to_owned(), reason, help: Some(help.to_owned()) })
    };
    if bytes.len() > MAXIMUM_BYTES {
        return refuse(
            format!("it has {} MiB; kiln compiles at most {}", bytes.len() >> 20, MAXIMUM_BYTES >> 20),
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

/// Every import must be one that the linker offers; the message names all that are not.
fn check_imports(name: &str, engine: &Engine, component: &Component) -> Result<Vec<String>, PluginError> {
    let mut imports = Vec::new();
    let mut unknown = Vec::new();
    for (import, item) in component.component_type().imports(&engine.wasmtime) {
        let offered = import.starts_with("kiln:stage/") || import.starts_with("kiln:aws/");
        match item.ty {
            ComponentItem::ComponentInstance(_) if offered => imports.push(import.to_owned()),
            _ => unknown.push(format!("`{import}`")),
        }
    }
    if unknown.is_empty() {
        imports.sort();
        return Ok(imports);
    }
    let help = if unknown.iter().any(|import| import.starts_with("`wasi:")) {
        "plugins are built without WASI: a stage has no files, network, clock, environment or random numbers but through kiln"
    } else {
        "a stage can import only kiln:stage and kiln:aws, version 0.1"
    };
    Err(PluginError::NotAPlugin {
        name: name.to_owned(),
        reason: format!("it imports {}, which kiln does not offer", unknown.join(", ")),
        help: Some(help.to_owned()),
    })
}

/// Run `describe` with small limits and a host that answers nothing.
fn describe(engine: &Engine, name: &str, pre: &StagePre<StageHost>) -> Result<Description, PluginError> {
    let failed = |reason: String| PluginError::Describe { name: name.to_owned(), reason };
    let limits = Limits { fuel: 1_000_000_000, ..Limits::default() };
    let mut store = Store::new(&engine.wasmtime, StageHost::describing(limits));
    StageHost::limit(&mut store, &limits).map_err(|error| failed(format!("{error:#}")))?;
    let answer = block_on(async {
        let stage = pre.instantiate_async(&mut store).await?;
        stage.kiln_stage_lifecycle().call_describe(&mut store).await
    });
    let description = answer.map_err(|error| failed(trap_reason(&error)))?;
    check_description(description).map_err(failed)
}

/// `describe` calls no host function that waits, and its fuel is small: the future is driven here, on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

fn check_description(said: lifecycle::Description) -> Result<Description, String> {
    let schema = |what: &str, text: &str| -> Result<Value, String> {
        let schema: Value =
            serde_json::from_str(text).map_err(|error| format!("its {what} schema is not JSON: {error}"))?;
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(format!("the root of its {what} schema is not an object"));
        }
        jsonschema::meta::validate(&schema)
            .map_err(|error| format!("its {what} schema is not a JSON Schema: {error}"))?;
        Ok(schema)
    };
    let plausible = |text: &str| text.len() <= 200 && !text.is_empty() && !text.chars().any(char::is_control);
    if said.name.parse::<crate::types::StageName>().is_err() {
        return Err(format!("its name {:?} is not made of lower-case letters, digits and hyphens", said.name));
    }
    if !plausible(&said.version) || !plausible(&said.summary) {
        return Err("its version or summary is empty, too long, or holds control characters".to_owned());
    }
    Ok(Description {
        config_schema: schema("config", &said.config_schema)?,
        output_schema: schema("output", &said.output_schema)?,
        name: said.name,
        version: said.version,
        summary: said.summary,
        permissions: said
            .permissions
            .into_iter()
            .map(|asked| Declared { action: asked.action, resources: asked.resources, reason: asked.reason })
            .collect(),
        undoable: said.undoable,
    })
}
