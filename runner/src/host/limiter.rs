//! Keeps a guest within its memory: all memories together, all tables together.
//!
//! The main type is [`Limiter`]. The limits of wasmtime's own are for each memory and each table by itself, and a component
//! can have many.

use wasmtime::ResourceLimiter;

use crate::call::HostStop;
use crate::contract::Limits;

/// How much a guest has, and how much it may have.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: usize,
    most_memory: usize,
    elements: usize,
    most_elements: usize,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory: 0, most_memory: limits.memory, elements: 0, most_elements: limits.table_elements }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.memory = self.memory.saturating_add(desired.saturating_sub(current));
        if self.memory > self.most_memory {
            let limit = self.most_memory >> 20;
            return Err(wasmtime::Error::new(HostStop::Limit(format!("it asked for more than {limit} MiB of memory"))));
        }
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.elements = self.elements.saturating_add(desired.saturating_sub(current));
        if self.elements > self.most_elements {
            let limit = self.most_elements;
            let message = format!("it asked for more than {limit} elements of tables");
            return Err(wasmtime::Error::new(HostStop::Limit(message)));
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        32
    }

    fn memories(&self) -> usize {
        8
    }

    fn tables(&self) -> usize {
        32
    }
}
