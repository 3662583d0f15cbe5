//! AWS's request id of the answer to the call under way, for the journal and for support cases.
//!
//! The main type is [`RequestIdTap`], an interceptor that every client has. A call runs inside [`capture`].

use std::cell::RefCell;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

tokio::task_local! {
    static LAST: RefCell<Option<String>>;
}

/// Run `call`; also answer the request id of the last response that it met.
pub(crate) async fn capture<F: Future>(call: F) -> (F::Output, Option<String>) {
    LAST.scope(RefCell::new(None), async {
        let output = call.await;
        (output, LAST.with(RefCell::take))
    })
    .await
}

/// Notes the request id of each response.
#[derive(Debug)]
pub(crate) struct RequestIdTap;

#[dyn_dispatch_hint]
impl Intercept for RequestIdTap {
    fn name(&self) -> &'static str {
        "RequestIdTap"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let id = headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id"));
        // Outside a captured call (the SDK fetching credentials on its own task) there is nobody to tell.
        let _ = LAST.try_with(|last| *last.borrow_mut() = id.map(str::to_owned));
        Ok(())
    }
}
