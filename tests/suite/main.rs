//! The whole-program tests, one binary: the real `kiln`, the real plugins, the real AWS SDK, on the simulator.

mod altered;
mod bounds;
#[path = "../browser/mod.rs"]
mod browser;
mod commands;
mod configs;
mod contracts;
mod crash;
mod destinations;
mod emulators;
mod failures;
mod hostile;
mod house;
mod html;
mod inputs;
mod journals;
mod leaks;
mod losses;
mod pacing;
mod rebuilding;
mod rehearsals;
mod resuming;
mod running;
mod scanning;
mod scenarios;
mod schedules;
mod sealed;
mod simulating;
mod store;
mod storms;
mod streams;
mod verdicts;
mod waits;
mod walk;
mod web_service;
