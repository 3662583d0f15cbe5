//! The state behind a guest's host calls.
//!
//! The main type is [`StageHost`]: a store's data. While a plugin describes itself there is no work behind it, and every
//! host call ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, Trap};

use super::limiter::Limiter;
use crate::aws::error::AwsError;
use crate::aws::operation::{Read, Write};
use crate::call::context::RunContext;
use crate::call::stop::HostStop;
use crate::call::{Caller, Standing, differs};
use crate::contract::Limits;
use crate::contract::bindings::kiln::stage::context::Info;
use crate::contract::bindings::kiln::stage::types;
use crate::event::LogLevel;
use crate::host::bind::{Call, bind};
use crate::journal::{self, LocalRead, Mismatch, Record, Step};
use crate::pipeline::Files;
use crate::secrets::redact::StreamRedactor;

/// A store's data.
pub struct StageHost {
    limiter: Limiter,
    pub(super) bounds: Limits,
    host_calls: u32,
    pub(super) table: ResourceTable,
    /// While it looks at a config: the files that this names.
    checked: Option<Arc<Files>>,
    work: Option<Box<Work>>,
}

/// What is behind a guest that works, in one attempt of one phase.
pub(crate) struct Work {
    pub(super) info: Info,
    pub(super) unknown: Vec<String>,
    /// The files beside the pipeline that the stage's config names.
    pub(super) files: Arc<Files>,
    pub(super) caller: Caller,
    pub(super) run: Arc<RunContext>,
    /// As what it acts where it has entered no other environment.
    pub(super) own: Arc<Standing>,
    pub(super) memory: BTreeMap<String, String>,
    pub(super) status: Option<crate::contract::bindings::kiln::stage::progress::Status>,
    pub(super) log: StreamRedactor<LogLevel>,
    pub(super) log_lines: u32,
    pub(super) log_bytes: usize,
    pub(super) log_dropped: u64,
    pub(super) statuses: u32,
    pub(super) statuses_dropped: u64,
}

impl StageHost {
    /// A host that answers nothing.
    pub(crate) fn describing(bounds: Limits) -> Self {
        Self { limiter: Limiter::new(&bounds), bounds, host_calls: 0, table: table(), checked: None, work: None }
    }

    /// A host for a plugin that looks at a config, which names these files.
    pub(crate) fn checking(bounds: Limits, files: Arc<Files>) -> Self {
        Self { checked: Some(files), ..Self::describing(bounds) }
    }

    /// The files of the config that the plugin looks at, where it does.
    pub(super) fn checked_files(&self) -> Option<Arc<Files>> {
        self.checked.clone()
    }

    /// A host that does a stage's work: what the guest may know (`info`, and which of its config is `unknown`), who calls AWS for it,
    /// and what earlier attempts remembered.
    pub(crate) fn working(
        bounds: Limits,
        info: Info,
        unknown: Vec<String>,
        caller: Caller,
        memory: BTreeMap<String, String>,
        files: Arc<Files>,
    ) -> Self {
        let run = Arc::clone(caller.run());
        let log = run.redactor.stream();
        let own = Arc::clone(&caller.actor().standing);
        let work = Work {
            own,
            info,
            unknown,
            files,
            caller,
            run,
            memory,
            status: None,
            log,
            log_lines: 0,
            log_bytes: 0,
            log_dropped: 0,
            statuses: 0,
            statuses_dropped: 0,
        };
        Self {
            limiter: Limiter::new(&bounds),
            bounds,
            host_calls: 0,
            table: table(),
            checked: None,
            work: Some(Box::new(work)),
        }
    }

    /// Put a store of this host under its limits.
    pub(crate) fn limit(store: &mut Store<Self>, bounds: &Limits) -> wasmtime::Result<()> {
        store.limiter(|host| &mut host.limiter);
        store.set_fuel(bounds.fuel)?;
        store.fuel_async_yield_interval(Some(Limits::YIELD_EVERY))?;
        store.set_hostcall_fuel(bounds.host_call_bytes);
        Ok(())
    }

    /// What is behind the guest, which has just called `function`. Every host function begins with this.
    pub(super) async fn enter(&mut self, function: &str) -> wasmtime::Result<&mut Work> {
        let Some(work) = &mut self.work else {
            let told = match self.checked {
                None => format!("`describe` called {function}; it must not ask the host for anything"),
                Some(_) => format!("`check` called {function}; it must not ask the host for anything but files"),
            };
            return Err(stop(HostStop::Misuse(told)));
        };
        self.host_calls = self.host_calls.saturating_add(1);
        if self.host_calls > self.bounds.host_calls {
            let limit = self.bounds.host_calls;
            return Err(stop(HostStop::Limit(format!("it called the host more than {limit} times"))));
        }
        // Most host functions wait for nothing, and what they do costs no fuel: a guest that does nothing but call them
        // would keep its time-out, and all others on its thread, from being heard.
        // Counted, not timed: a rehearsal must let the same go first each time.
        if self.host_calls.is_multiple_of(YIELD_AFTER) {
            tokio::task::yield_now().await;
        }
        Ok(work)
    }

    /// The work, when the guest has ended.
    pub(crate) fn into_work(self) -> Option<Box<Work>> {
        self.work
    }
}

impl Work {
    /// A value that the guest reads from the host, journaled so that a resumed run reads the same.
    pub(super) async fn local_read(
        &mut self,
        what: &str,
        read: impl FnOnce(&RunContext) -> Value,
    ) -> Result<Value, HostStop> {
        match self.caller.step().await? {
            (_, Some(Step::Local(recorded))) if recorded.what == what => self.run.open(&recorded.value),
            (call, Some(other)) => Err(differs(&call, &other, &journal::asked_host(what))),
            (call, None) => {
                let value = read(&self.run);
                let read = LocalRead { call, what: what.to_owned(), value: self.run.seal(&value)? };
                self.caller.note(&Record::LocalRead(read))?;
                Ok(value)
            }
        }
    }

    /// That the guest ended before it had done all that it did before.
    pub(crate) fn left_over(&self) -> Option<Mismatch> {
        self.caller.left_over()
    }

    /// End what the guest left open, and answer how many AWS calls it made and what is remembered.
    pub(crate) fn finish(mut self) -> (u32, BTreeMap<String, String>) {
        self.flush_log();
        (self.caller.calls(), self.memory)
    }
}

impl Call for StageHost {
    async fn read<R: Read>(&mut self, request: R) -> wasmtime::Result<Result<R::Output, AwsError>> {
        self.enter(R::ACTION).await?.caller.read(request).await.map_err(stop)
    }

    async fn write<W: Write>(&mut self, request: W) -> wasmtime::Result<Result<W::Output, AwsError>> {
        self.enter(W::ACTION).await?.caller.write(request).await.map_err(stop)
    }
}

crate::aws::services!(bind[StageHost]);

impl types::Host for StageHost {}

/// After this many host calls a guest lets others run.
const YIELD_AFTER: u32 = 64;

/// A guest may hold this many handles at once.
const HANDLES: usize = 1_000;

fn table() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES);
    table
}

/// A stop as the trap that carries it through the guest.
pub(super) fn stop(stop: HostStop) -> wasmtime::Error {
    wasmtime::Error::new(stop)
}

/// What a person should read of a guest that was ended.
pub fn trap_reason(error: &wasmtime::Error) -> String {
    if let Some(stop) = error.downcast_ref::<HostStop>() {
        return stop.to_string();
    }
    // The engine's own type for this is private.
    if error.root_cause().to_string().starts_with("too much data is being copied") {
        return "it handed the host too much in one call".to_owned();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => "it computed for too long without coming to an end (an endless loop?)".to_owned(),
        // A guest's own stack lies in its linear memory: overflowing it shows as an access out of bounds.
        Some(Trap::StackOverflow) => "stack overflow (endless recursion?)".to_owned(),
        Some(Trap::MemoryOutOfBounds) => {
            "it accessed memory out of bounds (a stack overflow shows like this, too)".to_owned()
        }
        Some(Trap::UnreachableCodeReached) => "it panicked or aborted; its log says more".to_owned(),
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}
