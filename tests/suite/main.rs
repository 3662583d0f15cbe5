//! The whole-program tests, one binary: the real `kiln`, the real plugins, the real AWS SDK, on the simulator.

mod commands;
mod emulators;
mod failures;
mod hostile;
mod walk;
mod web_service;
