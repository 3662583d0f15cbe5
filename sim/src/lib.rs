//! An embedded AWS: typed state machines over one clock, behind AWS's own wire protocols.
//!
//! The main type is [`Simulator`]. A [`WorldFile`] says what there is at the start and how it behaves; a [`Clock`] says
//! what time it is. Before each request the world is advanced to now: everything that fell due meanwhile happens in the
//! order of time, so that nothing runs in the background and the same requests at the same instants give the same
//! answers, ids included. [`serve`] puts a simulator on loopback HTTP; [`Simulator::dispatch`] needs no server.
//!
//! # The way of a request
//! `wire::http` reads service, region and access key off the signature's scope, the operation and the input off the
//! protocol (JSON, Query or CBOR) → `access` verifies signature and credentials → `throttle` and `faults` may answer in the
//! service's place → `access` asks the caller's policies → the operation's handler runs on the world, or on a recent past of
//! it (`consistency`) → the effect is written down → `wire::http` writes the answer in the caller's protocol. Services know
//! nothing of protocols.
//!
//! # How to add an operation
//! In the service's file: an input and an output struct with serde (`rename_all` as the service model spells its members;
//! [`Timestamp`] for instants, `Blob` for bytes; absent options are left out by the wire layer), a handler
//! `fn name(ctx: &mut Ctx, input: Input) -> Result<Output, AwsError>`, and one line in the service's `service()` table:
//! `.read("DescribeThing", describe_thing)` or `.write("CreateThing", create_thing)`, followed by `.on("thing/{name}")`: what
//! IAM checks it against (see `access::Target`; without it that is `*`). Then drive it in
//! `tests/python/services/<service>.py`: the coverage test fails until it is driven.
//!
//! - A missing required member answers the service's own validation error by itself: declare the field without `Option`.
//! - An operation that has no output in the service model answers `Empty`.
//! - Check everything before changing anything. A write that returns `Ok` counts as one effect, on the resources named by
//!   `ctx.touch(arn)`; say `ctx.unchanged()` where nothing changed (the same client token again).
//! - Client tokens: `ctx.earlier(token)` and `ctx.remember(token, lifetime, id)`. Pages: `page::cut`, of at most
//!   `ctx.world.page_size` items.
//! - Ids and randomness: `ctx.world.ids`, by kind and name of the thing. Time: `ctx.now()`. Nothing else.
//! - What happens later: `ctx.schedule(after, event)` with a variant of the service's `Event`, and an arm in its `happen`,
//!   which must bear that the thing has gone meanwhile.
//!
//! # How to add a service
//! A folder `services/<name>`, declared in `services/mod.rs`, with `service()` (the table of its operations) and, where it
//! has them, `State` (what a place holds), its part of the world file (seeds with a `plant` function), and `Event` with
//! `happen`; one row in `services/table.rs`, from which places, events, the world file and the list of services are made; and
//! a file in `tests/python/services`.

mod access;
mod clock;
mod consistency;
mod ctx;
mod error;
mod faults;
mod ids;
mod inspect;
mod page;
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
pub use server::{Server, serve, serve_from_afar};
pub use simulator::{OperationInfo, Simulator};
pub use wire::http::Disturbance;
pub use world::Effect;
pub use worldfile::{WorldError, WorldFile};
