//! The simulator: requests in, responses out.
//!
//! The main type is [`Simulator`]; [`Simulator::dispatch`] is its one entrance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::{Refused, authenticate, authorize, late};
use crate::clock::{Clock, Timestamp};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::faults::Strike;
use crate::service::{Access, Operation, Service};
use crate::services::{self, ecr};
use crate::throttle::throttled;
use crate::wire::http::{Call, Disturbance, Protocol, read, write};
use crate::world::{Caller, Effect, PlaceKey, World};
use crate::worldfile::WorldFile;
use crate::{ids, inspect, layer};

/// A simulated AWS. Clones are the same one.
#[derive(Clone)]
pub struct Simulator(Arc<Inner>);

struct Inner {
    services: Vec<Service>,
    clock: Clock,
    world: Mutex<World>,
}

/// An operation that the simulator offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OperationInfo {
    /// The service, by its IAM prefix, which is botocore's name for it too.
    pub service: String,
    /// The API's name.
    pub operation: String,
    /// The IAM action.
    pub action: String,
    /// Whether it changes the world.
    pub write: bool,
}

/// How late the clock is of a caller who is struck by that.
const BEHIND: Duration = Duration::from_secs(600);

impl Simulator {
    /// The world of a file, at the clock's instant.
    pub fn new(file: WorldFile, clock: Clock) -> Self {
        let world = Mutex::new(file.world(clock.now()));
        Self(Arc::new(Inner { services: services::all(), clock, world }))
    }

    /// Serve a request. Extensions of the response may hold a [`Disturbance`], which whoever sends it must obey.
    pub async fn dispatch(&self, request: Request<Bytes>) -> Response<Bytes> {
        if let Some(path) = request.uri().path().strip_prefix(ecr::LAYERS) {
            let found = ecr::download(&self.world(), path, request.uri().query().unwrap_or_default());
            return layer::answer(request.headers(), found);
        }
        if let Some(page) = request.uri().path().strip_prefix("/_kiln/") {
            return inspect::answer(self, page);
        }
        let call = match read(&self.0.services, &request) {
            Ok(call) => call,
            Err(refusal) => {
                tracing::warn!(code = %refusal.error.code, message = %refusal.error.message, "refused a request");
                let id = self.world().ids.uuid("request");
                return write(&refusal.protocol, "", "", &id, Err(refusal.error));
            }
        };
        let Some(operation) = call.service.operation(&call.operation) else {
            return self.unknown(&call);
        };
        let admitted = authenticate(&self.world(), &call.signature, &request);
        let caller = match admitted {
            Ok(caller) => caller,
            Err(refused) => {
                let id = self.request_id(operation);
                return respond(&call, &id, Err(refused.error(call.service)));
            }
        };
        let at = PlaceKey { account: caller.account.clone(), region: call.signature.region.clone() };
        let strike = {
            let World { faults, throttle, ids, now, .. } = &mut *self.world();
            let admitted = throttle.admit(&at, &operation.action, *now);
            let refused = (!admitted).then(|| Strike::Refuse(throttled(&operation.action)));
            refused.or_else(|| faults.strike(&operation.action, *now, ids))
        };
        let refuse = |error| {
            let id = self.request_id(operation);
            respond(&call, &id, Err(error))
        };
        match strike {
            None => self.serve(&call, operation, caller, false),
            Some(Strike::Refuse(error)) => refuse(error),
            Some(Strike::Expire) => refuse(Refused::Expired.error(call.service)),
            Some(Strike::Skew) => refuse(late(self.0.clock.now(), BEHIND).error(call.service)),
            Some(Strike::Partial) => self.serve(&call, operation, caller, true),
            Some(Strike::Delay(delay)) => {
                self.0.clock.sleep(delay).await;
                self.serve(&call, operation, caller, false)
            }
            Some(Strike::DelayAfter(delay)) => {
                let response = self.serve(&call, operation, caller, false);
                self.0.clock.sleep(delay).await;
                response
            }
            Some(Strike::Reset) => disturbed(Response::new(Bytes::new()), Disturbance::Reset),
            Some(Strike::ResetAfter) => disturbed(self.serve(&call, operation, caller, false), Disturbance::Reset),
            Some(Strike::Truncate) => {
                let response = self.serve(&call, operation, caller, false);
                // An answer without a body has no half: the connection ends in its place.
                let empty = response.body().is_empty();
                disturbed(response, if empty { Disturbance::Reset } else { Disturbance::Truncated })
            }
        }
    }

    /// Every write that happened so far.
    pub fn effects(&self) -> Vec<Effect> {
        self.world().effects.clone()
    }

    /// Every operation that is offered.
    pub fn operations(&self) -> Vec<OperationInfo> {
        let of = |service: &Service, operation: &Operation| OperationInfo {
            service: service.name.to_owned(),
            operation: operation.name.to_owned(),
            action: operation.action.clone(),
            write: operation.access == Access::Write,
        };
        let services = self.0.services.iter();
        services.flat_map(|service| service.operations.iter().map(move |operation| of(service, operation))).collect()
    }

    /// What each operation reads of its input, and whether with all that is below it: by IAM's name of the operation.
    pub(crate) fn inputs(&self) -> Value {
        let operations = self.0.services.iter().flat_map(|service| &service.operations);
        Value::Object(operations.map(|each| (each.action.clone(), json!(each.members().paths()))).collect())
    }

    /// The world as JSON, without the values of secrets and keys.
    pub fn state(&self) -> Value {
        match serde_json::to_value(&*self.world()) {
            Ok(state) => crate::wire::json::plain(&state),
            Err(error) => Value::from(format!("the state cannot be written: {error}")),
        }
    }

    /// The simulator's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Let everything happen that is due by now, and tell when the next thing is due.
    pub fn advance(&self) -> Option<Timestamp> {
        let now = self.0.clock.now();
        self.lock().advance_to(now)
    }

    /// The world, advanced to now.
    fn world(&self) -> MutexGuard<'_, World> {
        let now = self.0.clock.now();
        let mut world = self.lock();
        world.advance_to(now);
        world
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request_id(&self, operation: &Operation) -> String {
        self.world().ids.uuid(&format!("request/{}", operation.action))
    }

    /// Serve a call; `partial`ly where a part of its batch is to fail.
    fn serve(&self, call: &Call<'_>, operation: &Operation, caller: Caller, partial: bool) -> Response<Bytes> {
        let mut world = self.world();
        let request_id = world.ids.uuid(&format!("request/{}", operation.action));
        let outcome = answer(&mut world, call, operation, (caller, partial), &request_id);
        drop(world);
        if let Err(error) = &outcome {
            tracing::debug!(action = operation.action, code = %error.code, message = error.message, "answered an error");
        }
        respond(call, &request_id, outcome)
    }

    fn unknown(&self, call: &Call<'_>) -> Response<Bytes> {
        let action = format!("{}:{}", call.service.name, call.operation);
        tracing::warn!(action, "an operation was asked for that the simulator does not offer");
        let mut world = self.world();
        let request_id = world.ids.uuid("request");
        let message = format!("the simulator does not offer {action}");
        world.unknown_operations.insert(action);
        let error = match call.protocol {
            Protocol::Json { .. } => AwsError::new("UnknownOperationException", message),
            Protocol::Cbor | Protocol::Rest { .. } | Protocol::Objects => {
                AwsError::new("UnknownOperationException", message).status(404)
            }
            Protocol::Query(_) => AwsError::new("InvalidAction", message),
        };
        respond(call, &request_id, Err(error))
    }
}

/// Run the handler, and write its effect down.
fn answer(
    world: &mut World,
    call: &Call<'_>,
    operation: &Operation,
    (caller, partial): (Caller, bool),
    request_id: &str,
) -> Result<Value, AwsError> {
    let at = PlaceKey { account: caller.account.clone(), region: call.signature.region.clone() };
    let input = call.body.value();
    let fingerprint = ids::sha256(input.to_string().as_bytes());
    let mut ctx = Ctx::new(
        Scope { world, at },
        caller,
        &call.signature.access_key,
        &operation.action,
        call.origin.clone(),
        fingerprint,
    );
    ctx.partial = partial;
    authorize(&mut ctx, call.service, operation, &input)?;
    let output = perform(&mut ctx, call, operation)?;
    let Ctx { scope, caller, resources, token, changed, .. } = ctx;
    if operation.access == Access::Write && changed {
        let effect = Effect {
            seq: scope.world.effects.len() as u64 + 1,
            at: scope.world.now,
            account: scope.at.account,
            region: scope.at.region,
            action: operation.action.clone(),
            resources,
            token,
            caller: caller.arn,
            request_id: request_id.to_owned(),
        };
        scope.world.effects.push(effect);
    }
    Ok(output)
}

/// Run the handler on what it sees: the present, or where the world is only eventually consistent a recent past.
fn perform(ctx: &mut Ctx<'_>, call: &Call<'_>, operation: &Operation) -> Result<Value, AwsError> {
    let (service, at, now) = (call.service.id, ctx.at.clone(), ctx.now());
    match operation.access {
        Access::Read => {
            let past = ctx.world.consistency.take(&at, service, operation.name, now);
            let Some(mut past) = past else { return operation.perform(ctx, &call.body) };
            ctx.place().exchange(service, &mut past);
            let output = operation.perform(ctx, &call.body);
            ctx.place().exchange(service, &mut past);
            ctx.world.consistency.put_back(&at, service, past);
            output
        }
        Access::Write => {
            let window = ctx.world.consistency.window(operation.name);
            let before = window.map(|window| (window, ctx.place().part(service)));
            let output = operation.perform(ctx, &call.body)?;
            if let Some(before) = before.filter(|_| ctx.changed) {
                let World { consistency, ids, .. } = &mut *ctx.world;
                consistency.written(&at, service, &operation.action, before, now, ids);
            }
            Ok(output)
        }
    }
}

fn respond(call: &Call<'_>, request_id: &str, outcome: Result<Value, AwsError>) -> Response<Bytes> {
    let outcome = outcome.map_err(|error| error.text(call.service.text));
    write(&call.protocol, &call.operation, call.service.namespace, request_id, outcome)
}

fn disturbed(mut response: Response<Bytes>, disturbance: Disturbance) -> Response<Bytes> {
    response.extensions_mut().insert(disturbance);
    response
}
