//! The SDK's clients for one place and one identity.
//!
//! The main type is [`Clients`]; [`Connection`] is what all of them share: the HTTP client, the endpoint, the retry
//! policy and the runner's own credentials.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::identity::IdentityCache;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{self as credentials, ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::http::HttpClient;
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;

use super::cloudformation_query;
use super::ec2_query;
use super::heard::Heard;
use super::login::{self, KnownCredentials, LoginError, OwnCredentials};
use super::network::{Network, NetworkError};
use super::pacing::Pacer;
use super::request_id::RequestIdTap;
use super::s3_rest;
use crate::clock::Clock;
use crate::types::{Arn, Region};

/// What all clients of a run share.
#[derive(Debug, Clone)]
pub struct Connection {
    sdk: SdkConfig,
    paced: bool,
    /// How this machine reaches AWS, and by whose credentials; a simulator is reached without either.
    own: Option<OwnWay>,
}

#[derive(Debug, Clone)]
struct OwnWay {
    network: Network,
    credentials: Option<OwnCredentials>,
}

/// A role to act in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// The role.
    pub role: Arn,
    /// Shown in CloudTrail: at most 64 characters.
    pub session: String,
    /// The role's external id, where it wants one.
    pub external_id: Option<String>,
    /// An IAM policy that the session is limited to.
    pub policy: Option<String>,
}

/// Why AWS cannot be reached as this machine is set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// By proxies or certificates.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// By profiles.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl ConnectionError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Network(error) => error.help(),
            Self::Login(error) => error.help(),
        }
    }
}

impl Connection {
    /// Read the environment, profiles and container metadata as every AWS tool does. `endpoint` replaces AWS's own
    /// addresses (`AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_SERVICE` do, too, and the SDK reads them); `profile` goes before the
    /// environment's profile and keys.
    ///
    /// # Errors
    /// There is no such profile; a proxy or a bundle of certificates that the environment names cannot be used.
    pub async fn load(region: &Region, endpoint: Option<&str>, profile: Option<&str>) -> Result<Self, ConnectionError> {
        let network = Network::of_environment()?;
        let region = aws_config::Region::new(region.as_str().to_owned());
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(region.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .identity_cache(identity_cache())
            .http_client(network.clone());
        let way = network.clone();
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(profile) = profile {
            login::must_exist(profile).await?;
            let provider = ProviderConfig::without_region()
                .with_region(Some(region))
                .with_http_client(network)
                .with_retry_config(RetryConfig::disabled())
                .with_timeout_config(timeouts());
            loader = loader.profile_name(profile).credentials_provider(login::by_profile(profile, &provider));
        }
        let sdk = loader.load().await;
        let own = sdk.credentials_provider().map(|chain| OwnCredentials::new(chain, profile));
        let mut builder = sdk.to_builder();
        builder.set_credentials_provider(own.clone().map(SharedCredentialsProvider::new));
        Ok(Self { sdk: builder.build(), paced: true, own: Some(OwnWay { network: way, credentials: own }) })
    }

    /// The credentials that this machine gave last, without what is secret of them.
    pub(crate) fn given(&self) -> Option<KnownCredentials> {
        self.own.as_ref()?.credentials.as_ref()?.given()
    }

    /// What time it is where the last answer came from.
    pub(crate) fn heard(&self) -> Option<Heard> {
        self.own.as_ref()?.network.heard()
    }

    /// Where requests go instead of AWS's own addresses, as the command line, the environment or the profile says.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.sdk.endpoint_url()
    }

    /// A simulator or emulator at `endpoint`, which takes any credentials: nothing of this machine's configuration is read.
    pub fn to_simulator(region: &Region, endpoint: &str) -> Self {
        let anyone = Credentials::new("test", "test", None, None, "simulator");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(aws_config::Region::new(region.as_str().to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(anyone))
            .identity_cache(identity_cache())
            .retry_config(RetryConfig::disabled())
            .http_client(Network::direct())
            .endpoint_url(endpoint)
            .build();
        Self { sdk, paced: true, own: None }
    }

    /// A simulator in this process, on its clock. Requests go to AWS's own addresses, which `http` answers for.
    pub fn in_process(region: &Region, http: impl HttpClient + 'static, clock: Clock) -> Self {
        let anyone = Credentials::new("test", "test", None, None, "simulator");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(aws_config::Region::new(region.as_str().to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(anyone))
            .identity_cache(identity_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .time_source(ClockTime(clock))
            .http_client(http)
            .build();
        Self { sdk, paced: true, own: None }
    }

    /// The same, but services are asked at any rate, also where they said that they are asked too often.
    #[must_use]
    pub fn unpaced(self) -> Self {
        Self { paced: false, ..self }
    }

    /// What spaces the calls of a run over this connection.
    pub(crate) fn pacer(&self) -> Pacer {
        if self.paced { Pacer::default() } else { Pacer::off() }
    }

    /// Clients in `region`, as the runner itself or in `role`. The role's credentials are fetched at the first call and
    /// again before they expire.
    pub async fn clients(&self, region: &Region, role: Option<AssumedRole>) -> Clients {
        let region = aws_config::Region::new(region.as_str().to_owned());
        let mut sdk = self.sdk.to_builder().region(region.clone());
        if let Some(AssumedRole { role, session, external_id, policy }) = role {
            let mut provider =
                AssumeRoleProvider::builder(role.as_str()).session_name(session).region(region).configure(&self.sdk);
            if let Some(id) = external_id {
                provider = provider.external_id(id);
            }
            if let Some(policy) = policy {
                provider = provider.policy(policy);
            }
            let ahead = Ahead {
                provider: provider.build().await,
                time: self.sdk.time_source().unwrap_or_default(),
                held: tokio::sync::Mutex::default(),
            };
            let assumed = Assumed { inner: Arc::new(ahead) };
            sdk = sdk
                .credentials_provider(SharedCredentialsProvider::new(assumed.clone()))
                .identity_cache(identity_cache());
            return Clients::new(sdk.build(), Some(assumed));
        }
        Clients::new(sdk.build(), None)
    }
}

/// A cache of credentials. Whoever waits for them gives up before the call itself does: a call that was not signed was not
/// sent, and must not look like one without an answer.
fn identity_cache() -> SharedIdentityCache {
    IdentityCache::lazy().load_timeout(CREDENTIALS_WITHIN).build()
}

/// Within this time there are credentials, or none.
const CREDENTIALS_WITHIN: Duration = Duration::from_secs(15);

/// A role's credentials, which may be fetched before they are needed.
#[derive(Debug, Clone)]
struct Assumed {
    inner: Arc<Ahead>,
}

#[derive(Debug)]
struct Ahead {
    provider: AssumeRoleProvider,
    time: SharedTimeSource,
    /// What was fetched ahead and not used yet. Locked while it is being fetched.
    held: tokio::sync::Mutex<Option<Credentials>>,
}

/// Credentials that were fetched ahead are used if they last for this long yet.
const LEAST: Duration = Duration::from_secs(600);

impl Assumed {
    /// Fetch credentials for whoever asks next.
    async fn fetch(&self) {
        let mut held = self.inner.held.lock().await;
        // Whoever needs them asks again, and is told why there are none.
        *held = self.inner.provider.provide_credentials().await.ok();
    }

    async fn provide(&self) -> credentials::Result {
        let held = self.inner.held.lock().await.take();
        let lasting = |held: &Credentials| held.expiry().is_some_and(|end| end > self.inner.time.now() + LEAST);
        match held.filter(lasting) {
            Some(held) => Ok(held),
            None => self.inner.provider.provide_credentials().await,
        }
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(30))
        .operation_timeout(Duration::from_secs(60))
        .build()
}

/// The run's clock, by which requests are signed and credentials expire.
#[derive(Debug)]
struct ClockTime(Clock);

impl TimeSource for ClockTime {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.now())
    }
}

macro_rules! clients {
    ($($(#[$doc:meta])* $field:ident in $package:ident by $sdk:ident { $($functions:tt)* })*) => {
        /// The clients of every service for one identity, made when first used.
        #[derive(Debug)]
        pub struct Clients {
            current: RwLock<Arc<Generation>>,
            /// The role's credentials, where the clients act in one.
            assumed: Option<Assumed>,
        }

        /// Clients that share what they know of their credentials.
        #[derive(Debug)]
        struct Generation {
            number: u64,
            sdk: SdkConfig,
            $($field: OnceLock<$sdk::Client>,)*
        }

        impl Generation {
            fn new(number: u64, sdk: SdkConfig) -> Self {
                Self { number, sdk, $($field: OnceLock::new(),)* }
            }
        }

        impl Clients {
            $(
                $(#[$doc])*
                pub fn $field(&self) -> $sdk::Client {
                    let current = self.current();
                    let client = current.$field.get_or_init(|| {
                        let config = $sdk::config::Builder::from(&current.sdk).interceptor(RequestIdTap).build();
                        $sdk::Client::from_conf(config)
                    });
                    client.clone()
                }
            )*
        }
    };
}

impl Clients {
    fn new(sdk: SdkConfig, assumed: Option<Assumed>) -> Self {
        Self { current: RwLock::new(Arc::new(Generation::new(0, sdk))), assumed }
    }

    /// Fetch the role's credentials now, so that the first call need not wait for them.
    pub(crate) async fn fetch_credentials(&self) {
        if let Some(assumed) = &self.assumed {
            assumed.fetch().await;
        }
    }

    /// The region that they ask in.
    pub(crate) fn region(&self) -> Option<String> {
        self.current().sdk.region().map(ToString::to_string)
    }

    fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which credentials the clients use: another number after each renewal.
    pub(crate) fn generation(&self) -> u64 {
        self.current().number
    }

    /// Fetch credentials anew with the next call, where those of `generation` are still in use: AWS calls them expired,
    /// whatever the SDK believes.
    pub(crate) fn renew(&self, generation: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number == generation {
            let sdk = current.sdk.to_builder().identity_cache(identity_cache()).build();
            *current = Arc::new(Generation::new(generation + 1, sdk));
        }
    }
}

super::services!(clients
    /// DynamoDB, where runs may be shared: no stage asks for it.
    dynamodb in aws_dynamodb by aws_sdk_dynamodb {}
    /// Identity and Access Management, which a plan asks: no stage does.
    iam in aws_iam by aws_sdk_iam {}
);
