//! The JSON of one call as AWS itself writes and reads it, with fields that this version of the SDK does not know.
//!
//! The main type is [`RawJson`], an interceptor for a single call: it can replace what the SDK serialised, and keeps what
//! AWS answered before the SDK reduces it to what it knows.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::Value;

use crate::json::{self, Unreadable};

/// Sees the JSON of one call. Clones see the same call.
#[derive(Clone)]
pub(crate) struct RawJson {
    send: Option<Arc<str>>,
    answer: Arc<Mutex<Option<Result<Value, Unreadable>>>>,
}

/// Bodies may hold what must not be shown.
impl std::fmt::Debug for RawJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawJson").finish_non_exhaustive()
    }
}

impl RawJson {
    /// Keep the answer; send what the SDK sends.
    pub(crate) fn received() -> Self {
        Self { send: None, answer: Arc::default() }
    }

    /// Send `body` in the place of what the SDK serialised, and keep the answer.
    pub(crate) fn sending(body: String) -> Self {
        Self { send: Some(body.into()), answer: Arc::default() }
    }

    /// The last answer, where there was one. It is taken: a second time there is none.
    pub(crate) fn answer(&self) -> Option<Result<Value, Unreadable>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for RawJson {
    fn name(&self) -> &'static str {
        "RawJson"
    }

    // Before signing, so that the signature covers what is sent. It is called for each attempt, each time with what the
    // SDK serialised.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = &self.send {
            let request = context.request_mut();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body.as_ref());
        }
        Ok(())
    }

    // Not before deserialisation: there the body has not been read from the connection yet.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response().body().bytes().map(json::read);
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        Ok(())
    }
}
