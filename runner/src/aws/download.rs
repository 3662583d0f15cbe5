//! Bytes that AWS gives out by an address that is signed for whoever has it: layers of images.
//!
//! The main function is [`range`]. It goes the way of all requests: by the same HTTP client, proxies and certificates.

use std::convert::Infallible;
use std::time::Duration;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use http::Uri;

use super::error::{AwsError, ErrorKind, words};

/// A part is given up that has not come within this time.
const WITHIN: Duration = Duration::from_secs(60);

/// The bytes from `first` to `last`, both included, of what lies at `url`: all of them, or an error.
pub(super) async fn range(config: &aws_sdk_ecr::Config, url: &str, first: u64, last: u64) -> Result<Vec<u8>, AwsError> {
    let uri: Uri = url.parse().map_err(|error| lost(format!("AWS gave no address of it: {error}")))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(lost("AWS gave no address of it".to_owned()));
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let endpoint = format!("{scheme}://{authority}");
    let client = config.http_client().ok_or_else(|| lost("there is no HTTP client".to_owned()))?;
    let mut operation = Operation::builder()
        .service_name("ecr")
        .operation_name("GetLayer")
        .http_client(client)
        .endpoint_url(&endpoint)
        .no_auth()
        .no_retry();
    operation = match config.sleep_impl() {
        Some(sleep) => operation
            .sleep_impl(sleep)
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(WITHIN).build()),
        None => operation.timeout_config(TimeoutConfig::disabled()),
    };
    let operation = operation
        .serializer(move |range: String| {
            let mut request = HttpRequest::new(SdkBody::empty());
            request.set_uri(path.as_str())?;
            request.headers_mut().insert("range", range);
            Ok(request)
        })
        .deserializer::<_, Infallible>(|response: &HttpResponse| {
            let body = response.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
            Ok((response.status().as_u16(), body))
        })
        .build();
    let asked = operation.invoke(format!("bytes={first}-{last}")).await;
    let (status, body) = asked.map_err(|error| lost(words(&error)))?;
    let wanted = usize::try_from(last - first).ok().and_then(|less| less.checked_add(1));
    match (status, wanted) {
        (206, Some(wanted)) if body.len() == wanted => Ok(body),
        // Whoever knows no parts answers with all of it.
        (200, Some(wanted)) if first == 0 && body.len() == wanted => Ok(body),
        (200 | 206, _) => Err(lost(format!("{} bytes came in the place of {first} to {last}", body.len()))),
        (status, _) => Err(lost(format!("HTTP {status} in the place of bytes {first} to {last}"))),
    }
}

fn lost(why: String) -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        code: "LayerNotReceived".to_owned(),
        message: format!("the layer cannot be got: {why}"),
        operation: String::new(),
        request_id: None,
    }
}
