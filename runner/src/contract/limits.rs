//! What a guest may use of the machine.
//!
//! The main type is [`Limits`].

/// What one stage may use of the machine. A guest that wants more is ended, and the run goes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of linear memory, of all memories together.
    pub memory: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// WebAssembly instructions, roughly, from the stage's start to its end. Waiting costs none. A loop that never ends
    /// meets it within seconds; polling every ten seconds for a day does not.
    pub fuel: u64,
    /// Bytes that one host call may carry from the guest to the host.
    pub host_call_bytes: usize,
    /// Calls of the host, of whatever kind: most of them cost the guest next to nothing, but not the host.
    pub host_calls: u32,
    /// Bytes that an attempt may write to the journal.
    pub journal_bytes: u64,
    /// AWS calls.
    pub calls: u32,
    /// AWS calls that were refused, because the plugin did not declare them.
    pub refused_calls: u32,
    /// Statuses that are shown.
    pub statuses: u32,
    /// Log lines.
    pub log_lines: u32,
    /// Bytes of all log lines together.
    pub log_bytes: usize,
    /// Bytes of a stage's outputs.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            table_elements: 100_000,
            fuel: 10_000_000_000,
            host_call_bytes: 16 << 20,
            host_calls: 500_000,
            journal_bytes: 16 << 20,
            calls: 100_000,
            refused_calls: 1_000,
            statuses: 10_000,
            log_lines: 10_000,
            log_bytes: 8 << 20,
            output_bytes: 256 << 10,
        }
    }
}

impl Limits {
    /// After this much fuel a guest lets others run, so that a time-out can end it.
    pub(crate) const YIELD_EVERY: u64 = 10_000_000;
}
