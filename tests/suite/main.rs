//! The whole-program tests, one binary: the real `kiln`, the real plugins, the real AWS SDK, on the simulator.

mod altered;
mod bounds;
#[path = "../browser/mod.rs"]
mod browser;
mod commands;
mod crash;
mod emulators;
mod failures;
mod hostile;
mod html;
mod journals;
mod leaks;
mod pacing;
mod rehearsals;
mod resuming;
mod running;
mod scenarios;
mod schedules;
mod store;
mod storms;
mod walk;
mod web_service;
