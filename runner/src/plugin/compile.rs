//! Compiles components, within bounds: some code takes a compiler hours and all memory that there is.
//!
//! The main function is [`compile`].

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

/// The largest function that is compiled. The main loops of large interpreters have 300 KiB.
const MAXIMUM_FUNCTION: usize = 512 << 10;
/// How much of the processor's time compiling may take, on all cores together. A machine that is busy with other things takes longer,
/// and refuses nothing for it.
const MAXIMUM_TIME: Duration = Duration::from_secs(240);
/// How much more memory the process may hold meanwhile.
const MAXIMUM_MEMORY: u64 = 1 << 30;

/// Why bytes were not compiled.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    /// They are no sound component.
    #[error("{0:#}")]
    Invalid(wasmtime::Error),
    /// A function is too large.
    #[error("a function of it has {} KiB; kiln compiles at most {}", .0 >> 10, MAXIMUM_FUNCTION >> 10)]
    Function(usize),
    /// It took too long.
    #[error("it takes more than {} seconds of the processor's time to compile", MAXIMUM_TIME.as_secs())]
    Time,
    /// It took too much memory.
    #[error("it takes more than {} MiB of memory to compile", MAXIMUM_MEMORY >> 20)]
    Memory,
}

impl CompileError {
    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "build it again; the file may be damaged",
            Self::Function(_) | Self::Time | Self::Memory => "build it for size, or divide its largest functions",
        }
    }
}

/// Compile a component. What takes too much is given up, not ended: the command is to end soon.
pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, CompileError> {
    compile_by(engine, bytes, processor_time)
}

/// The same, where `spent` says how much of the processor's time was taken so far.
fn compile_by(engine: &Engine, bytes: &[u8], spent: impl Fn() -> Duration) -> Result<Component, CompileError> {
    check_functions(bytes)?;
    let (began, before) = (spent(), held());
    let (sender, compiled) = sync_channel(1);
    let (engine, bytes) = (engine.clone(), bytes.to_vec());
    std::thread::spawn(move || {
        // Where nobody waits any more there is nobody to tell.
        let _ = sender.send(Component::from_binary(&engine, &bytes));
    });
    loop {
        match compiled.recv_timeout(Duration::from_millis(20)) {
            Ok(compiled) => return compiled.map_err(CompileError::Invalid),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(CompileError::Invalid(wasmtime::Error::msg("the compiler gave up on it")));
            }
            Err(RecvTimeoutError::Timeout) if spent().saturating_sub(began) > MAXIMUM_TIME => {
                return Err(CompileError::Time);
            }
            Err(RecvTimeoutError::Timeout) if held() > before.saturating_add(MAXIMUM_MEMORY) => {
                return Err(CompileError::Memory);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn check_functions(bytes: &[u8]) -> Result<(), CompileError> {
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| CompileError::Invalid(wasmtime::Error::msg(error.to_string())))?;
        if let wasmparser::Payload::CodeSectionEntry(body) = payload {
            let length = body.range().len();
            if length > MAXIMUM_FUNCTION {
                return Err(CompileError::Function(length));
            }
        }
    }
    Ok(())
}

/// How much of the processor's time this process has had: what compiles is nearly all that it does meanwhile.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// How much memory the process holds, where the system says so; time is the only bound elsewhere.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() << 10
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;
    use crate::contract::{standard_bytes, standard_names};

    #[test]
    fn what_counts_is_the_time_of_the_processor() {
        let engine = Engine::default();
        // Whoever built this without plugins has none to try it with.
        let Some(bytes) = standard_names().into_iter().filter_map(standard_bytes).max_by_key(|bytes| bytes.len())
        else {
            return;
        };
        // A machine that has no time for it: however long it takes, nothing is refused.
        assert!(compile_by(&engine, bytes, || Duration::ZERO).is_ok());
        // One that has spent far more than there is in no time at all.
        let (began, looks) = (Instant::now(), Cell::new(0_u32));
        let spent = || {
            looks.set(looks.get() + 1);
            MAXIMUM_TIME * looks.get() * 2
        };
        assert!(matches!(compile_by(&engine, bytes, spent), Err(CompileError::Time)));
        assert!(began.elapsed() < MAXIMUM_TIME, "it did not wait for it");
    }

    #[test]
    fn work_takes_the_time_of_the_processor() {
        let (began, mut sum) = (processor_time(), 0_u64);
        while processor_time() - began < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(1));
        }
    }
}
