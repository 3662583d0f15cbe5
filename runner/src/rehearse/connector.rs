//! The AWS SDK's way to a simulator in the same process: requests are serialised, signed and parsed as always, and only
//! the network is left out.
//!
//! The main type is [`InProcess`].

use std::fmt;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use kiln_sim::{Bytes, Disturbance, Simulator};

/// Hands the SDK's requests to a simulator.
#[derive(Clone)]
pub struct InProcess(Simulator);

impl InProcess {
    /// To this simulator.
    pub fn to(simulator: Simulator) -> Self {
        Self(simulator)
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let simulator = self.0.clone();
        HttpConnectorFuture::new(async move { exchange(&simulator, request).await })
    }
}

async fn exchange(simulator: &Simulator, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| {
        // No operation that kiln offers streams its request.
        ConnectorError::user("a streaming request cannot be handed to the simulator".into())
    })?;
    let response = simulator.dispatch(http::Request::from_parts(parts, body)).await;
    let (parts, body) = response.into_parts();
    match parts.extensions.get::<Disturbance>() {
        Some(Disturbance::Reset) => return Err(ConnectorError::io("connection reset by peer".into())),
        Some(Disturbance::Truncated) => {
            return Err(ConnectorError::io("connection closed in the middle of the answer".into()));
        }
        None => {}
    }
    let mut plain = http::Response::new(SdkBody::from(body.to_vec()));
    *plain.status_mut() = parts.status;
    *plain.headers_mut() = parts.headers;
    HttpResponse::try_from(plain).map_err(|error| ConnectorError::user(error.into()))
}
