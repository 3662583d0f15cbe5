//! What a handler works with.
//!
//! The main types are [`Scope`], a place in the world at this instant, and [`Ctx`], a scope with the call that is being
//! answered.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::AwsError;
use crate::page::{self, InvalidToken};
use crate::world::{Caller, Earlier, Event, Place, PlaceKey, TokenKey, World};

/// An account's region in the world, now. Handlers and events share functions by it.
pub(crate) struct Scope<'w> {
    pub(crate) world: &'w mut World,
    pub(crate) at: PlaceKey,
}

impl Scope<'_> {
    /// What the place holds.
    pub(crate) fn place(&mut self) -> &mut Place {
        self.world.place(&self.at)
    }

    /// This instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.world.now
    }

    /// The ARN of a thing here; `resource` is everything behind the account.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        let PlaceKey { account, region } = &self.at;
        format!("arn:{}:{service}:{region}:{account}:{resource}", self.at.partition())
    }

    /// A page of a list, as [`page::cut`] has it, of at most as many items as the world's pages hold.
    pub(crate) fn page<T>(
        &self,
        list: &str,
        items: Vec<T>,
        size: usize,
        token: Option<&str>,
        key: impl Fn(&T) -> &str,
    ) -> Result<(Vec<T>, Option<String>), InvalidToken> {
        page::cut(list, items, size.min(self.world.page_size), token, key)
    }

    /// Let `event` happen here after `delay`.
    pub(crate) fn schedule(&mut self, delay: Duration, event: impl Into<Event>) {
        let due = self.now() + delay;
        self.world.queue.push(due, self.at.clone(), event.into());
    }
}

/// A call that is being answered.
pub(crate) struct Ctx<'w> {
    pub(crate) scope: Scope<'w>,
    /// Who calls.
    pub(crate) caller: Caller,
    /// The key that the call is signed with.
    pub(crate) access_key: String,
    /// The IAM action of the call.
    pub(crate) action: String,
    /// How the caller reached the simulator: scheme and host, to be given out in addresses.
    pub(crate) origin: String,
    /// A digest of the input: two calls with one client token must have the same.
    pub(crate) fingerprint: String,
    pub(crate) resources: Vec<String>,
    pub(crate) token: Option<String>,
    pub(crate) changed: bool,
    /// Whether the last part of the call's batch is to fail by itself.
    pub(crate) partial: bool,
}

impl<'w> Ctx<'w> {
    pub(crate) fn new(
        scope: Scope<'w>,
        caller: Caller,
        access_key: &str,
        action: &str,
        origin: String,
        fingerprint: String,
    ) -> Self {
        let (access_key, action) = (access_key.to_owned(), action.to_owned());
        let (resources, token, changed, partial) = (Vec::new(), None, true, false);
        Self { scope, caller, access_key, action, origin, fingerprint, resources, token, changed, partial }
    }

    /// Name a resource that this call changes, for the list of effects.
    pub(crate) fn touch(&mut self, resource: impl Into<String>) {
        self.resources.push(resource.into());
    }

    /// This call changes nothing: it is no effect.
    pub(crate) fn unchanged(&mut self) {
        self.changed = false;
    }

    /// What the client token meant before. Where it is [`Earlier::Same`] the call changes nothing.
    fn earlier(&mut self, token: Option<&str>) -> Earlier {
        let Some(token) = token else { return Earlier::None };
        self.token = Some(token.to_owned());
        let key = self.token_key(token);
        let earlier = self.world.tokens.look(&key, &self.fingerprint, self.now());
        if matches!(earlier, Earlier::Same(_)) {
            self.unchanged();
        }
        earlier
    }

    /// The id of what the same call with this client token made before; where that was another call, the error
    /// `otherwise`.
    pub(crate) fn made(
        &mut self,
        token: Option<&str>,
        otherwise: impl FnOnce() -> AwsError,
    ) -> Result<Option<String>, AwsError> {
        match self.earlier(token) {
            Earlier::Same(id) => Ok(Some(id)),
            Earlier::Different => Err(otherwise()),
            Earlier::None => Ok(None),
        }
    }

    /// Remember what this call made (its id), so that the same client token answers it again for `lifetime`.
    pub(crate) fn remember(&mut self, token: Option<&str>, lifetime: Duration, id: &str) {
        let Some(token) = token else { return };
        let (key, expires, fingerprint) = (self.token_key(token), self.now() + lifetime, self.fingerprint.clone());
        self.world.tokens.put(key, fingerprint, id.to_owned(), expires);
    }

    fn token_key(&self, token: &str) -> TokenKey {
        TokenKey { place: self.at.clone(), action: self.action.clone(), token: token.to_owned() }
    }

    /// IAM's refusal, in AWS's words.
    pub(crate) fn access_denied(&self, code: &'static str, resource: &str) -> AwsError {
        let Ctx { caller, action, .. } = self;
        AwsError::new(
            code,
            format!("User: {} is not authorized to perform: {action} on resource: {resource}", caller.arn),
        )
        .status(403)
    }
}

impl<'w> Deref for Ctx<'w> {
    type Target = Scope<'w>;

    fn deref(&self) -> &Scope<'w> {
        &self.scope
    }
}

impl DerefMut for Ctx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.scope
    }
}
