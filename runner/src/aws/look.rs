//! Reads that find out what became of a write whose answer never came.
//!
//! The main type is [`Look`]. It makes them on the authority of the stage that made the write: a stage whose plugin does not declare
//! one goes without.

use std::fmt;
use std::sync::Arc;

use super::clients::Clients;
use super::error::{AwsError, ErrorKind};
use super::operation::{Read, Write};
use crate::types::{Arn, Place};

/// Says what a stage may do.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Whether it may ask for `action` on each of `resources`.
    fn allows(&self, action: &'static str, resources: &[Arn]) -> bool;
}

/// The code of the error of a look that the stage may not make; its `operation` is the action.
const NOT_DECLARED: &str = "LookNotDeclared";

/// Makes the reads by which a write is looked up.
#[derive(Debug, Clone)]
pub struct Look {
    clients: Arc<Clients>,
    place: Place,
    authority: Arc<dyn Authority>,
    /// What the write says that it looks at.
    declared: &'static [&'static str],
}

impl Look {
    /// Looks for a write of type `W`.
    pub fn of<W: Write>(clients: Arc<Clients>, place: Place, authority: Arc<dyn Authority>) -> Self {
        Self { clients, place, authority, declared: W::LOOKS }
    }

    /// Ask for `request`.
    ///
    /// # Errors
    /// AWS's own, or that the stage may not ask for it: see [`denied`].
    pub async fn read<R: Read>(&self, request: &R) -> Result<R::Output, AwsError> {
        request.send(self.clients_for(request)?).await
    }

    /// The clients by which to ask for `request` where its answer lacks what the look needs: nothing else may be asked by them.
    ///
    /// # Errors
    /// That the stage may not ask for it: see [`denied`].
    pub fn clients_for<R: Read>(&self, request: &R) -> Result<&Clients, AwsError> {
        if !self.declared.contains(&R::ACTION) {
            return Err(refused(ErrorKind::Other, "LookNotListed", R::ACTION, "LOOKS of the write do not name it"));
        }
        match self.authority.allows(R::ACTION, &request.resources(&self.place)) {
            true => Ok(&self.clients),
            false => Err(refused(ErrorKind::Denied, NOT_DECLARED, R::ACTION, "the plugin does not declare it")),
        }
    }
}

fn refused(kind: ErrorKind, code: &str, action: &str, message: &str) -> AwsError {
    AwsError {
        kind,
        code: code.to_owned(),
        message: message.to_owned(),
        operation: action.to_owned(),
        request_id: None,
    }
}

/// The action that a stage may not ask for, where that is why a look came to nothing.
pub fn denied(error: &AwsError) -> Option<&str> {
    (error.code == NOT_DECLARED).then_some(error.operation.as_str())
}
