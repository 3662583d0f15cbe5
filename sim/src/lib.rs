//! An embedded AWS: typed state machines over one clock, behind AWS's own wire protocols.
//!
//! The main type is [`Simulator`]. A [`WorldFile`] says what there is at the start and how it behaves; a [`Clock`] says
//! what time it is. Before each request the world is advanced to now: everything that fell due meanwhile happens in the
//! order of time, so that nothing runs in the background and the same requests at the same instants give the same
//! answers, ids included. [`serve`] puts a simulator on loopback HTTP; [`Simulator::dispatch`] needs no server.
//!
//! # The way of a request
//! `wire::http` reads service, region and access key off the signature's scope, the operation and the input off the
//! protocol (JSON, REST, Query or CBOR) → `access` verifies signature and credentials → `throttle` and `faults` may answer in the
//! service's place → `access` asks the caller's policies → the operation's handler runs on the world, or on a recent past of
//! it (`consistency`) → the effect is written down → `wire::http` writes the answer in the caller's protocol. Services know
//! nothing of protocols.
//!
//! # What belongs in it
//! The simulator offers what the contract calls and what a test must set up, and what AWS's own clients need of those;
//! nothing for completeness. An operation that nobody calls is one more to keep true to AWS.
//!
//! # How to add an operation
//! Three places: a handler, a line in a table, and the drive.
//! 1. In the service's folder, beside its like: an input and an output struct with serde (`rename_all` as the service model
//!    spells its members; [`Timestamp`] for instants, `Blob` for bytes; absent options are left out by the wire layer), and a
//!    handler `fn name(ctx: &mut Ctx, input: Input) -> Result<Output, AwsError>`.
//! 2. In its `operations.rs`: `.read("DescribeThing", describe_thing)` or `.write("CreateThing", create_thing)`, for REST with
//!    `.at("GET", "/things/{Name}")`, followed by
//!    `.on("thing/{name}")`: what IAM checks it against (see `access::Target`; without it that is `*`).
//! 3. In `tests/python/services/<service>.py`: the coverage test fails until boto3 has driven it.
//!
//! - A missing required member answers the service's own validation error by itself: declare the field without `Option`.
//! - An operation that has no output in the service model answers `Empty`.
//! - Check everything before changing anything. A write that returns `Ok` counts as one effect, on the resources named by
//!   `ctx.touch(arn)`; say `ctx.unchanged()` where nothing changed (the same client token again).
//! - Client tokens: `ctx.made(token, mismatch)` before, and `ctx.remember(token, lifetime, id)` after. Pages: `ctx.page`.
//! - Tags: `tags::Tagged` says how the service spells and finds them; `.tags::<…>()` then offers the three operations.
//! - Ids and randomness: `ctx.world.ids`, by kind and name of the thing. Time: `ctx.now()`. Nothing else.
//! - What happens later: `ctx.schedule(after, event)` with a variant of the service's `Event`, and an arm in its `happen`,
//!   which must bear that the thing has gone meanwhile.
//!
//! # How to add a service
//! Two lines and two places with something to write:
//! 1. one row in `services/table.rs`, from which places, events, the world file and the list of services are made;
//! 2. `pub(crate) mod <name>;` in `services/mod.rs`;
//! 3. the folder `services/<name>`, which has `operations.rs` (the function `service`) and, as its row says, `state.rs` (`State`,
//!    what a place holds), `seeds.rs` (its part of the world file, and `plant`) and `events.rs` (`Event`, and `happen`);
//! 4. `tests/python/services/<name>.py`.
//!
//! Whatever of these is forgotten does not compile, or fails a test of the table.

mod access;
mod clock;
mod consistency;
mod ctx;
mod error;
mod faults;
mod ids;
mod inspect;
mod layer;
mod page;
mod partition;
mod server;
mod service;
mod services;
mod simulator;
mod tags;
mod throttle;
mod wire;
mod world;
mod worldfile;

pub use clock::{Clock, Timestamp};
pub use hyper::body::Bytes;
pub use partition::partition_of;
pub use server::{Server, serve, serve_from_afar};
pub use simulator::{OperationInfo, Simulator};
pub use wire::http::Disturbance;
pub use world::Effect;
pub use worldfile::{WorldError, WorldFile, WorldProblem};
