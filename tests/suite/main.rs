//! The whole-program tests, one binary: the real `kiln`, the real plugins, the real AWS SDK, on the simulator.

mod altered;
mod bounds;
#[path = "../browser/mod.rs"]
mod browser;
mod builds;
mod commands;
mod contracts;
mod crash;
mod credentials;
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
mod networks;
mod pacing;
mod partitions;
mod refusals;
mod rehearsals;
mod resuming;
mod running;
mod scenarios;
mod schedules;
mod sealed;
mod simulating;
mod store;
mod storms;
mod streams;
mod waits;
mod walk;
mod web_service;
