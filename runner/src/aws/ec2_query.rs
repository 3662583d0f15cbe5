//! A client of EC2, over the SDK's own way of a request but without its crate, which is larger than all others together.
//!
//! The main type is [`Client`]. It is made of the same configuration as the SDK's clients: credentials, endpoints (`AWS_ENDPOINT_URL_EC2`,
//! FIPS and dual stack among them), time-outs, proxies and clock are theirs. Requests and answers are plain structs with EC2's names.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_sdk_lambda::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
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
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{AwsError, from_sdk, invalid};
use super::values::incomplete;

/// The version of the API that requests and answers are of.
const VERSION: &str = "2016-11-15";

/// What need not be escaped in a form.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How clients are set up, with the names that the SDK's crates have.
pub(crate) mod config {
    use aws_config::SdkConfig;
    use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor};

    /// What a client is made of.
    #[derive(Debug)]
    pub(crate) struct Ec2Config {
        pub(super) sdk: SdkConfig,
        pub(super) interceptors: Vec<SharedInterceptor>,
    }

    /// Makes one.
    #[derive(Debug)]
    pub(crate) struct Builder(Ec2Config);

    impl From<&SdkConfig> for Builder {
        fn from(sdk: &SdkConfig) -> Self {
            Self(Ec2Config { sdk: sdk.clone(), interceptors: Vec::new() })
        }
    }

    impl Builder {
        /// Each request and answer passes `interceptor`.
        pub(crate) fn interceptor(mut self, interceptor: impl Intercept + 'static) -> Self {
            self.0.interceptors.push(SharedInterceptor::new(interceptor));
            self
        }

        /// The configuration.
        pub(crate) fn build(self) -> Ec2Config {
            self.0
        }
    }
}

/// A client of EC2.
#[derive(Debug, Clone)]
pub struct Client {
    plugin: SharedRuntimePlugin,
    behavior: Option<aws_config::BehaviorVersion>,
}

impl Client {
    /// A client that is set up so.
    pub(crate) fn from_conf(config: config::Ec2Config) -> Self {
        let config::Ec2Config { sdk, interceptors } = config;
        let mut components = RuntimeComponentsBuilder::new("EC2")
            .with_http_client(sdk.http_client())
            .with_endpoint_resolver(Some(SharedEndpointResolver::new(Address::of(&sdk))))
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
        let mut layer = Layer::new("EC2");
        layer.store_put(ApiMetadata::new("ec2", env!("CARGO_PKG_VERSION")));
        layer.store_put(EndpointResolverParams::new(()));
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_or_unset(sdk.app_name().cloned());
        let name = SigningName::from_static("ec2");
        let region = sdk.region().cloned().map(SigningRegion::from);
        layer.store_put(SigV4OperationSigningConfig {
            region: region.clone(),
            name: Some(name.clone()),
            ..SigV4OperationSigningConfig::default()
        });
        layer.store_put(name);
        layer.store_or_unset(region);
        if let Some(timeouts) = sdk.timeout_config() {
            layer.store_put(timeouts.clone());
        }
        let plugin = StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components);
        Self { plugin: SharedRuntimePlugin::new(plugin), behavior: sdk.behavior_version() }
    }

    /// Ask for `action`; also the answer as it came.
    pub(crate) async fn call<I: Serialize, O: DeserializeOwned>(
        &self,
        action: &'static str,
        input: &I,
    ) -> Result<(O, String), AwsError> {
        let form = form(action, input)?;
        let mut operation = Operation::builder().service_name("EC2").operation_name(action).no_retry();
        if let Some(behavior) = self.behavior {
            operation = operation.behavior_version(behavior);
        }
        let operation = operation
            .runtime_plugin(self.plugin.clone())
            .with_connection_poisoning()
            .serializer(request)
            .deserializer(answer)
            .build();
        let xml = operation.invoke(form).await.map_err(from_sdk)?;
        let output = quick_xml::de::from_str(&xml).map_err(|error| AwsError {
            code: "UnreadableAnswer".to_owned(),
            message: format!("AWS's answer to {action} cannot be read: {error}"),
            ..incomplete("what was asked for")
        })?;
        Ok((output, xml))
    }
}

/// A form is sent to wherever the endpoint is.
fn request(form: String) -> Result<HttpRequest, BoxError> {
    let request = http::Request::builder()
        .method(http::Method::POST)
        .uri("/")
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(http::header::CONTENT_LENGTH, form.len())
        .body(SdkBody::from(form))?;
    Ok(HttpRequest::try_from(request)?)
}

/// The XML of an answer.
fn answer(response: &HttpResponse) -> Result<String, OrchestratorError<Ec2Error>> {
    let bytes = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        let text = std::str::from_utf8(bytes);
        return text.map(str::to_owned).map_err(|error| OrchestratorError::other(BoxError::from(error)));
    }
    Err(OrchestratorError::operation(Ec2Error::read(&String::from_utf8_lossy(bytes))))
}

/// The address of EC2's endpoint.
#[derive(Debug)]
struct Address {
    params: Result<Params, String>,
    /// Whether somebody gave the address: then it is that.
    given: bool,
}

impl Address {
    fn of(sdk: &SdkConfig) -> Self {
        let endpoint = endpoint(sdk);
        let given = endpoint.is_some();
        let params = Params::builder()
            .set_region(sdk.region().map(ToString::to_string))
            .set_use_fips(sdk.use_fips())
            .set_use_dual_stack(sdk.use_dual_stack())
            .set_endpoint(endpoint)
            .build();
        Self { params: params.map_err(|error| error.to_string()), given }
    }

    /// The address by the rules of a service that has the usual ones, with EC2's name in the place of its own: which partitions there are,
    /// and how their hosts end, is what the SDK knows. EC2's rules are otherwise in one case only.
    async fn resolve(&self) -> Result<Endpoint, BoxError> {
        let params = self.params.as_ref().map_err(|error| BoxError::from(error.clone()))?;
        let usual = DefaultResolver::new().resolve_endpoint(params).await?;
        if self.given {
            return Ok(Endpoint::builder().url(usual.url().to_owned()).build());
        }
        let host = usual.url().strip_prefix("https://lambda").ok_or("the SDK has no address for this region")?;
        let is_government = params.region().is_some_and(|region| region.starts_with("us-gov-"));
        let host = match host.strip_prefix("-fips") {
            Some(rest) if is_government && params.use_dual_stack() != Some(true) => rest,
            Some(_) | None => host,
        };
        Ok(Endpoint::builder().url(format!("https://ec2{host}")).build())
    }
}

impl ResolveEndpoint for Address {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        EndpointFuture::new(self.resolve())
    }
}

/// The address that somebody gave: in the program, for this service alone, or for all.
fn endpoint(sdk: &SdkConfig) -> Option<String> {
    let for_all = || sdk.endpoint_url().map(str::to_owned);
    if sdk.get_origin("endpoint_url").is_client_config() {
        return for_all();
    }
    let key =
        ServiceConfigKey::builder().service_id("EC2").env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok();
    let own = key.and_then(|key| sdk.service_config()?.load_config(key));
    own.or_else(for_all)
}

/// A request as a form: `Filter.1.Value.2=x`. Members that are not there are left out, as are empty lists.
fn form<I: Serialize>(action: &'static str, input: &I) -> Result<String, AwsError> {
    let input = serde_json::to_value(input)
        .map_err(|error| invalid(format_args!("the request {action} cannot be written: {error}")))?;
    let mut form = format!("Action={action}&Version={VERSION}");
    write(&mut form, "", &input);
    Ok(form)
}

fn write(form: &mut String, path: &str, value: &Value) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let text: Cow<'_, str> = match value {
        Value::Null => return,
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                write(form, &below(&(index + 1).to_string()), item);
            }
            return;
        }
        Value::Object(members) => {
            for (name, member) in members {
                write(form, &below(name), member);
            }
            return;
        }
        Value::String(text) => text.into(),
        Value::Bool(_) | Value::Number(_) => value.to_string().into(),
    };
    // INVARIANT: writing to a String does not fail.
    let _ = write!(form, "&{}={}", utf8_percent_encode(path, PLAIN), utf8_percent_encode(&text, PLAIN));
}

/// An error of EC2.
#[derive(Debug)]
struct Ec2Error {
    meta: ErrorMetadata,
}

/// `<Response><Errors><Error>…</Error></Errors><RequestID>…</RequestID></Response>`.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(rename = "Errors", default)]
    errors: ErrorList,
    #[serde(rename = "RequestID")]
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

impl Ec2Error {
    /// What a body says: nothing, where something else than EC2 wrote it.
    fn read(body: &str) -> Self {
        let body: ErrorBody = quick_xml::de::from_str(body).unwrap_or_default();
        let mut meta = ErrorMetadata::builder();
        if let Some(error) = body.errors.errors.into_iter().next() {
            if let Some(code) = error.code.filter(|code| !code.is_empty()) {
                meta = meta.code(code);
            }
            if let Some(message) = error.message {
                meta = meta.message(message);
            }
        }
        if let Some(id) = body.request_id {
            meta = meta.custom("aws_request_id", id);
        }
        Self { meta: meta.build() }
    }
}

impl fmt::Display for Ec2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.meta.fmt(f)
    }
}

impl std::error::Error for Ec2Error {}

impl ProvideErrorMetadata for Ec2Error {
    fn meta(&self) -> &ErrorMetadata {
        &self.meta
    }
}

impl RequestId for Ec2Error {
    fn request_id(&self) -> Option<&str> {
        self.meta.request_id()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The address of a region, set up so.
    async fn address(region: &str, fips: bool, dual_stack: bool, endpoint: Option<&str>) -> Result<String, String> {
        let mut sdk = SdkConfig::builder()
            .region(aws_config::Region::new(region.to_owned()))
            .use_fips(fips)
            .use_dual_stack(dual_stack);
        sdk.set_endpoint_url(endpoint.map(str::to_owned));
        let address = Address::of(&sdk.build());
        address.resolve().await.map(|endpoint| endpoint.url().to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn addresses_are_those_of_ec2s_own_rules() {
        let of = |region: &'static str, fips, dual| async move { address(region, fips, dual, None).await };
        let ok = |url: &str| Ok(url.to_owned());
        // botocore's data/ec2/2016-11-15/endpoint-rule-set-1.json.gz has them.
        assert_eq!(of("us-west-2", false, false).await, ok("https://ec2.us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", true, false).await, ok("https://ec2-fips.us-west-2.amazonaws.com"));
        assert_eq!(of("us-west-2", false, true).await, ok("https://ec2.us-west-2.api.aws"));
        assert_eq!(of("us-west-2", true, true).await, ok("https://ec2-fips.us-west-2.api.aws"));
        assert_eq!(of("cn-north-1", false, false).await, ok("https://ec2.cn-north-1.amazonaws.com.cn"));
        assert_eq!(of("us-gov-west-1", false, false).await, ok("https://ec2.us-gov-west-1.amazonaws.com"));
        assert_eq!(of("us-gov-west-1", true, false).await, ok("https://ec2.us-gov-west-1.amazonaws.com"));
        assert_eq!(of("us-iso-east-1", false, false).await, ok("https://ec2.us-iso-east-1.c2s.ic.gov"));
        assert_eq!(of("eusc-de-east-1", false, false).await, ok("https://ec2.eusc-de-east-1.amazonaws.eu"));
        let given = address("us-west-2", false, false, Some("http://127.0.0.1:4566")).await;
        assert_eq!(given, ok("http://127.0.0.1:4566"));
        let both = address("us-west-2", true, false, Some("http://127.0.0.1:4566")).await;
        assert!(both.is_err_and(|told| told.contains("FIPS")), "the other clients refuse it, too");
    }

    #[test]
    fn a_request_is_written_as_ec2_reads_it() {
        let input = json!({
            "ImageId": ["ami-1", "ami-2"], "Filter": [{ "Name": "tag:a b", "Value": ["x&y"] }], "Owner": [],
            "IncludeDisabled": true, "MaxResults": 5, "NextToken": null,
        });
        let written = form("DescribeImages", &input).unwrap_or_default();
        let fields: Vec<&str> = written.split('&').collect();
        let expected = [
            "Action=DescribeImages",
            "Version=2016-11-15",
            "ImageId.1=ami-1",
            "ImageId.2=ami-2",
            "Filter.1.Name=tag%3Aa%20b",
            "Filter.1.Value.1=x%26y",
            "IncludeDisabled=true",
            "MaxResults=5",
        ];
        let mut sorted = fields.clone();
        sorted.sort_unstable();
        let mut wanted = expected.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted);
        assert_eq!(fields.first(), Some(&"Action=DescribeImages"));
    }

    #[test]
    fn an_error_is_read_and_what_is_none_of_ec2s_says_nothing() {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>InvalidAMIID.NotFound</Code>\
            <Message>The image id '[ami-1]' does not exist</Message></Error></Errors><RequestID>r-1</RequestID></Response>";
        let error = Ec2Error::read(body);
        assert_eq!((error.code(), error.request_id()), (Some("InvalidAMIID.NotFound"), Some("r-1")));
        assert_eq!(error.message(), Some("The image id '[ami-1]' does not exist"));
        for other in ["", "<html><body>502 Bad Gateway</body></html>", "upstream timed out"] {
            assert_eq!(Ec2Error::read(other).code(), None, "{other}");
        }
    }
}
