//! Clients of services whose SDK crates are much larger than what is asked of them: the SDK's own way of a request, without the crate.
//!
//! The main type is [`ApiClient`] of an [`Api`]. It is made of the same configuration as the SDK's clients: credentials, endpoints
//! (`AWS_ENDPOINT_URL_SERVICE`, FIPS and dual stack among them), time-outs, proxies and clock are theirs.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use aws_config::SdkConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
pub(crate) use aws_sdk_lambda::config::endpoint::Params;
use aws_sdk_lambda::config::endpoint::{DefaultResolver, ResolveEndpoint as _};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::endpoint::{
    EndpointFuture, EndpointResolverParams, ResolveEndpoint, SharedEndpointResolver,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::{SharedRuntimePlugin, StaticRuntimePlugin};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use aws_types::request_id::RequestId;
use aws_types::service_config::ServiceConfigKey;
use serde::Deserialize;

use super::error::{AwsError, from_sdk};

/// What is one service's own.
pub trait Api: fmt::Debug + Clone + Send + Sync + 'static {
    /// The service's id, as `AWS_ENDPOINT_URL_…` and the headers have it.
    const ID: &'static str;
    /// What its host begins with.
    const HOST: &'static str;
    /// The name that requests are signed with.
    const SIGNED_AS: &'static str;

    /// The host behind [`HOST`](Self::HOST), given what it is for the usual services. Most are usual.
    fn host<'h>(usual: &'h str, _: &Params) -> Cow<'h, str> {
        Cow::Borrowed(usual)
    }

    /// How requests are signed. Most as usual.
    fn signing() -> SigningOptions {
        SigningOptions::default()
    }
}

/// How clients are set up, with the names that the SDK's crates have.
pub(crate) mod config {
    use aws_config::SdkConfig;
    use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor};

    /// What a client is made of.
    #[derive(Debug)]
    pub(crate) struct ClientConfig {
        pub(super) sdk: SdkConfig,
        pub(super) interceptors: Vec<SharedInterceptor>,
    }

    /// Makes one.
    #[derive(Debug)]
    pub(crate) struct Builder(ClientConfig);

    impl From<&SdkConfig> for Builder {
        fn from(sdk: &SdkConfig) -> Self {
            Self(ClientConfig { sdk: sdk.clone(), interceptors: Vec::new() })
        }
    }

    impl Builder {
        /// Each request and answer passes `interceptor`.
        pub(crate) fn interceptor(mut self, interceptor: impl Intercept + 'static) -> Self {
            self.0.interceptors.push(SharedInterceptor::new(interceptor));
            self
        }

        /// The configuration.
        pub(crate) fn build(self) -> ClientConfig {
            self.0
        }
    }
}

/// A client of a service.
#[derive(Debug, Clone)]
pub struct ApiClient<A> {
    plugin: SharedRuntimePlugin,
    behavior: Option<aws_config::BehaviorVersion>,
    /// Whether requests go where somebody said, and not to AWS's own address.
    redirected: bool,
    api: PhantomData<A>,
}

/// A request, before it has an address.
#[derive(Debug)]
pub(crate) struct Sending {
    /// `POST`, `PUT`.
    pub(crate) method: http::Method,
    /// The path, escaped.
    pub(crate) path: String,
    /// Its own headers.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Its body.
    pub(crate) body: String,
    /// A label before the service's own host name.
    pub(crate) label: Option<String>,
}

/// An answer that is no error.
#[derive(Debug)]
pub(crate) struct ApiReply {
    /// Its body.
    pub(crate) text: String,
    /// Its headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl ApiReply {
    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl<A: Api> ApiClient<A> {
    /// A client that is set up so.
    pub(crate) fn from_conf(config: config::ClientConfig) -> Self {
        let config::ClientConfig { sdk, interceptors } = config;
        let address = Address::<A>::of(&sdk);
        let redirected = address.given;
        let mut components = RuntimeComponentsBuilder::new(A::ID)
            .with_http_client(sdk.http_client())
            .with_endpoint_resolver(Some(SharedEndpointResolver::new(address)))
            .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
                StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
            )))
            .with_time_source(sdk.time_source().or_else(|| Some(Default::default())))
            .with_sleep_impl(sdk.sleep_impl().or_else(aws_smithy_async::rt::sleep::default_async_sleep))
            .with_identity_cache(sdk.identity_cache())
            .with_interceptor(RequestInfoInterceptor::new())
            .with_interceptor(UserAgentInterceptor::new())
            .with_interceptor(InvocationIdInterceptor::new());
        for interceptor in interceptors {
            components = components.with_interceptor(interceptor);
        }
        if let Some(credentials) = sdk.credentials_provider() {
            components.set_identity_resolver(SCHEME_ID, credentials);
        }
        let mut layer = Layer::new(A::ID);
        layer.store_put(ApiMetadata::new(A::SIGNED_AS, env!("CARGO_PKG_VERSION")));
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_or_unset(sdk.app_name().cloned());
        let name = SigningName::from_static(A::SIGNED_AS);
        let region = sdk.region().cloned().map(SigningRegion::from);
        layer.store_put(SigV4OperationSigningConfig {
            region: region.clone(),
            name: Some(name.clone()),
            signing_options: A::signing(),
            ..SigV4OperationSigningConfig::default()
        });
        layer.store_put(name);
        layer.store_or_unset(region);
        if let Some(timeouts) = sdk.timeout_config() {
            layer.store_put(timeouts.clone());
        }
        let plugin = StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components);
        Self {
            plugin: SharedRuntimePlugin::new(plugin),
            behavior: sdk.behavior_version(),
            redirected,
            api: PhantomData,
        }
    }

    /// Whether requests go where somebody said, and not to AWS's own address.
    pub(crate) fn is_redirected(&self) -> bool {
        self.redirected
    }

    /// Send a request for the operation `action`.
    pub(crate) async fn send(&self, action: &'static str, sending: Sending) -> Result<ApiReply, AwsError> {
        let mut label = Layer::new("label");
        label.store_put(EndpointResolverParams::new(HostLabel(sending.label.clone())));
        let label = SharedRuntimePlugin::new(StaticRuntimePlugin::new().with_config(label.freeze()));
        let mut operation = Operation::builder().service_name(A::ID).operation_name(action).no_retry();
        if let Some(behavior) = self.behavior {
            operation = operation.behavior_version(behavior);
        }
        let operation = operation
            .runtime_plugin(self.plugin.clone())
            .runtime_plugin(label)
            .with_connection_poisoning()
            .serializer(request)
            .deserializer(answer)
            .build();
        operation.invoke(sending).await.map_err(from_sdk)
    }
}

/// A request is sent to wherever the endpoint is.
fn request(sending: Sending) -> Result<HttpRequest, BoxError> {
    let mut request = http::Request::builder().method(sending.method).uri(sending.path);
    for (name, value) in sending.headers {
        request = request.header(name, value);
    }
    let request = request.header(http::header::CONTENT_LENGTH, sending.body.len()).body(SdkBody::from(sending.body))?;
    Ok(HttpRequest::try_from(request)?)
}

/// What an answer says.
fn answer(response: &HttpResponse) -> Result<ApiReply, OrchestratorError<ApiError>> {
    let bytes = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        let text = std::str::from_utf8(bytes).map_err(|error| OrchestratorError::other(BoxError::from(error)))?;
        let headers = response.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        return Ok(ApiReply { text: text.to_owned(), headers: headers.collect() });
    }
    Err(OrchestratorError::operation(ApiError::read(&String::from_utf8_lossy(bytes))))
}

/// The label before the host's name that a request asks for.
#[derive(Debug)]
struct HostLabel(Option<String>);

/// The address of a service's endpoint.
#[derive(Debug)]
struct Address<A> {
    params: Result<Params, String>,
    /// Whether somebody gave the address: then it is that.
    given: bool,
    api: PhantomData<A>,
}

impl<A: Api> Address<A> {
    fn of(sdk: &SdkConfig) -> Self {
        let endpoint = endpoint(sdk, A::ID);
        let given = endpoint.is_some();
        let params = Params::builder()
            .set_region(sdk.region().map(ToString::to_string))
            .set_use_fips(sdk.use_fips())
            .set_use_dual_stack(sdk.use_dual_stack())
            .set_endpoint(endpoint)
            .build();
        Self { params: params.map_err(|error| error.to_string()), given, api: PhantomData }
    }

    /// The address by the rules of a service that has the usual ones, with this service's name in the place of its own: which partitions
    /// there are, and how their hosts end, is what the SDK knows.
    async fn resolve(&self, label: Option<&str>) -> Result<Endpoint, BoxError> {
        let params = self.params.as_ref().map_err(|error| BoxError::from(error.clone()))?;
        let usual = DefaultResolver::new().resolve_endpoint(params).await?;
        if self.given {
            return Ok(Endpoint::builder().url(usual.url().to_owned()).build());
        }
        let host = usual.url().strip_prefix("https://lambda").ok_or("the SDK has no address for this region")?;
        let host = A::host(host, params);
        let label = label.map(|label| format!("{label}.")).unwrap_or_default();
        Ok(Endpoint::builder().url(format!("https://{label}{}{host}", A::HOST)).build())
    }
}

impl<A: Api> ResolveEndpoint for Address<A> {
    fn resolve_endpoint<'a>(&'a self, params: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        let label = params.get::<HostLabel>().and_then(|HostLabel(label)| label.as_deref());
        EndpointFuture::new(self.resolve(label))
    }
}

/// The address that somebody gave: in the program, for this service alone, or for all.
fn endpoint(sdk: &SdkConfig, id: &'static str) -> Option<String> {
    let for_all = || sdk.endpoint_url().map(str::to_owned);
    if sdk.get_origin("endpoint_url").is_client_config() {
        return for_all();
    }
    let key = ServiceConfigKey::builder().service_id(id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok();
    let own = key.and_then(|key| sdk.service_config()?.load_config(key));
    own.or_else(for_all)
}

/// An error, as a service answers it in XML.
#[derive(Debug)]
pub(crate) struct ApiError {
    meta: ErrorMetadata,
}

/// `<Response><Errors><Error>…</Error></Errors><RequestID>…</RequestID></Response>` of EC2,
/// `<ErrorResponse><Error>…</Error><RequestId>…</RequestId></ErrorResponse>` of Query, `<Error><Code>…</Code>…</Error>` of S3.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(rename = "Errors", default)]
    errors: ErrorList,
    #[serde(rename = "Error")]
    error: Option<ErrorItem>,
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "RequestID", alias = "RequestId")]
    request_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ErrorList {
    #[serde(rename = "Error", default)]
    errors: Vec<ErrorItem>,
}

#[derive(Debug, Deserialize)]
struct ErrorItem {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
}

impl ApiError {
    /// What a body says: nothing, where something else than AWS wrote it.
    fn read(body: &str) -> Self {
        let body: ErrorBody = quick_xml::de::from_str(body).unwrap_or_default();
        let mut meta = ErrorMetadata::builder();
        let own = ErrorItem { code: body.code, message: body.message };
        let error = body.errors.errors.into_iter().next().or(body.error).unwrap_or(own);
        if let Some(code) = error.code.filter(|code| !code.is_empty()) {
            meta = meta.code(code);
        }
        if let Some(message) = error.message {
            meta = meta.message(message);
        }
        if let Some(id) = body.request_id {
            meta = meta.custom("aws_request_id", id);
        }
        Self { meta: meta.build() }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.meta.fmt(f)
    }
}

impl std::error::Error for ApiError {}

impl ProvideErrorMetadata for ApiError {
    fn meta(&self) -> &ErrorMetadata {
        &self.meta
    }
}

impl RequestId for ApiError {
    fn request_id(&self) -> Option<&str> {
        self.meta.request_id()
    }
}

/// What a host of FIPS is in the regions of the government, where a service has no other one there.
pub(crate) fn fips_as_usual<'h>(usual: &'h str, params: &Params) -> Cow<'h, str> {
    let is_government = params.region().is_some_and(|region| region.starts_with("us-gov-"));
    Cow::Borrowed(match usual.strip_prefix("-fips") {
        Some(rest) if is_government && params.use_dual_stack() != Some(true) => rest,
        Some(_) | None => usual,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The address of a service in a region, set up so.
    pub(crate) async fn address<A: Api>(
        region: &str,
        fips: bool,
        dual_stack: bool,
        endpoint: Option<&str>,
        label: Option<&str>,
    ) -> Result<String, String> {
        let mut sdk = SdkConfig::builder()
            .region(aws_config::Region::new(region.to_owned()))
            .use_fips(fips)
            .use_dual_stack(dual_stack);
        sdk.set_endpoint_url(endpoint.map(str::to_owned));
        let address = Address::<A>::of(&sdk.build());
        address.resolve(label).await.map(|endpoint| endpoint.url().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_error_is_read_and_what_is_none_of_aws_s_says_nothing() {
        let item = "<Code>InvalidAMIID.NotFound</Code><Message>The image id '[ami-1]' does not exist</Message>";
        for body in [
            format!(
                "<?xml version=\"1.0\"?>\n<Response><Errors><Error>{item}</Error></Errors><RequestID>r-1</RequestID></Response>"
            ),
            format!(
                "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Sender</Type>{item}</Error><RequestId>r-1</RequestId></ErrorResponse>"
            ),
            format!("<Error>{item}<Resource>/b</Resource><RequestId>r-1</RequestId><HostId>h</HostId></Error>"),
        ] {
            let error = ApiError::read(&body);
            assert_eq!((error.code(), error.request_id()), (Some("InvalidAMIID.NotFound"), Some("r-1")), "{body}");
            assert_eq!(error.message(), Some("The image id '[ami-1]' does not exist"));
        }
        for other in ["", "<html><body>502 Bad Gateway</body></html>", "upstream timed out"] {
            assert_eq!(ApiError::read(other).code(), None, "{other}");
        }
    }
}
