//! The runner's own credentials: by the SDK's whole chain, and in words of people where it has none.
//!
//! The main type is [`OwnCredentials`]; [`NoLogin`] says why there are none, and what to do.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature as Feature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self as credentials, ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_types::os_shim_internal::{Env, Fs};

use super::error::words;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// There is none of that name.
    #[error("there is no profile `{name}` in {files}")]
    NoProfile {
        /// Its name.
        name: String,
        /// Where it was looked for.
        files: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// The files of profiles cannot be read.
    #[error("cannot read the profiles in {files}: {reason}")]
    Unread {
        /// The files.
        files: String,
        /// Why not.
        reason: String,
    },
}

impl LoginError {
    /// What to do about it.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::NoProfile { known, .. } if known.is_empty() => {
                "make one with `aws configure sso` or `aws configure`, or leave `--profile` out".to_owned()
            }
            Self::NoProfile { known, .. } => format!("the profiles are {}", known.join(", ")),
            Self::Unread { .. } => "correct the file: `aws configure list` says the same of it".to_owned(),
        }
    }
}

/// Why there are no credentials: a whole sentence, with what to do.
#[derive(Debug)]
pub struct NoLogin {
    sentence: String,
    /// Whether another try may find some.
    pub(super) may_pass: bool,
}

impl fmt::Display for NoLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Error for NoLogin {}

/// What is known of credentials and is not secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownCredentials {
    /// Who gave them, as part of a sentence: "the environment (AWS_ACCESS_KEY_ID)".
    pub(crate) source: String,
    /// When they expire; none where nobody says that they do.
    pub(crate) expires: Option<SystemTime>,
}

/// The credentials that the runner itself has. Clones share what was given.
#[derive(Debug, Clone)]
pub(super) struct OwnCredentials {
    chain: SharedCredentialsProvider,
    /// The profile that a flag names.
    profile: Option<String>,
    given: Arc<Mutex<Option<KnownCredentials>>>,
}

impl OwnCredentials {
    pub(super) fn new(chain: SharedCredentialsProvider, profile: Option<&str>) -> Self {
        Self { chain, profile: profile.map(str::to_owned), given: Arc::default() }
    }

    /// What was given last.
    pub(super) fn given(&self) -> Option<KnownCredentials> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn provide(&self) -> credentials::Result {
        match self.chain.provide_credentials().await {
            Ok(credentials) => {
                let given = KnownCredentials {
                    source: source_of(&credentials, self.profile.as_deref()),
                    expires: credentials.expiry(),
                };
                *self.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(given);
                Ok(credentials)
            }
            Err(error) => Err(CredentialsError::provider_error(explained(&error, self.profile.as_deref()).await)),
        }
    }
}

impl ProvideCredentials for OwnCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

/// Who gave `credentials`. The SDK notes the steps by which it came to them.
fn source_of(credentials: &Credentials, profile: Option<&str>) -> String {
    let steps = credentials.get_property::<Vec<Feature>>().map(Vec::as_slice).unwrap_or_default();
    let by = |step: Feature| steps.contains(&step);
    let how = [
        (Feature::CredentialsSso, "signed in to by SSO"),
        (Feature::CredentialsProfileLogin, "signed in to by `aws login`"),
        (Feature::CredentialsProcess, "which runs a program"),
        (Feature::CredentialsProfileStsWebIdToken, "by a web identity"),
        (Feature::CredentialsHttp, "by the container"),
        (Feature::CredentialsImds, "by the machine"),
    ];
    let how = how.into_iter().filter(|(step, _)| by(step.clone())).map(|(_, how)| how);
    if by(Feature::CredentialsProfile) {
        let variable = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        let name = profile.map(str::to_owned).or_else(variable).unwrap_or_else(|| "default".to_owned());
        let parts: Vec<String> = how.map(|part| format!(", {part}")).collect();
        return format!("the profile `{name}`{}", parts.concat());
    }
    match steps.first() {
        Some(Feature::CredentialsEnvVars) => "the environment (AWS_ACCESS_KEY_ID)",
        Some(Feature::CredentialsProfileStsWebIdToken) => "a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)",
        Some(Feature::CredentialsHttp) => "the container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI)",
        Some(Feature::CredentialsImds) => "the machine's own metadata",
        Some(_) | None => "a source that the AWS SDK does not name",
    }
    .to_owned()
}

/// The chain of a profile that somebody names: keys in the environment are another's, as they are to the AWS CLI.
pub(super) fn by_profile(profile: &str, config: &ProviderConfig) -> CredentialsProviderChain {
    let of_profile = ProfileFileCredentialsProvider::builder().configure(config).profile_name(profile).build();
    CredentialsProviderChain::first_try("Profile", of_profile)
        .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(config).build())
        .or_else("Ec2InstanceMetadata", ImdsCredentialsProvider::builder().configure(config).build())
}

/// Refuse a profile that is not there.
pub(super) async fn must_exist(profile: &str) -> Result<(), LoginError> {
    let profiles = match profiles(Some(profile)).await {
        Ok(profiles) => profiles,
        Err(reason) => return Err(LoginError::Unread { files: files(), reason }),
    };
    if profiles.get_profile(profile).is_some() {
        return Ok(());
    }
    let mut known: Vec<String> = profiles.profiles().map(str::to_owned).collect();
    known.sort();
    Err(LoginError::NoProfile { name: profile.to_owned(), files: files(), known })
}

async fn profiles(selected: Option<&str>) -> Result<ProfileSet, String> {
    let selected = selected.map(|name| name.to_owned().into());
    let loaded = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), selected).await;
    loaded.map_err(|error| words(&error))
}

/// Where profiles are.
fn files() -> String {
    let file = |variable: &str, usual: &str| std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    let (config, keys) = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE");
    format!("{} or {}", file(config, "~/.aws/config"), file(keys, "~/.aws/credentials"))
}

/// How a profile is signed in to: by a command of the AWS CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SignIn {
    /// `aws sso login`, of this profile.
    Sso(String),
    /// `aws login`, of this profile.
    Console(String),
}

/// How the profile that is selected is signed in to: by itself, or by the one whose credentials it starts from.
fn sign_in(profiles: &ProfileSet) -> Option<SignIn> {
    // A profile may name itself as its source; and one that names another in a circle has no credentials.
    let mut name = profiles.selected_profile();
    for _ in 0..MOST_PROFILES {
        let profile = profiles.get_profile(name)?;
        if profile.get("sso_session").is_some() || profile.get("sso_start_url").is_some() {
            return Some(SignIn::Sso(name.to_owned()));
        }
        if profile.get("login_session").is_some() {
            return Some(SignIn::Console(name.to_owned()));
        }
        name = profile.get("source_profile").filter(|source| *source != name)?;
    }
    None
}

/// So many profiles may start from one another.
const MOST_PROFILES: usize = 20;

/// Why the chain has no credentials.
async fn explained(error: &CredentialsError, profile: Option<&str>) -> NoLogin {
    let causes = || successors(Some(error as &(dyn Error + 'static)), |&cause| cause.source());
    let unreachable = causes()
        .filter_map(|cause| cause.downcast_ref::<ConnectorError>())
        .any(|error| error.is_io() || error.is_timeout());
    let late = causes().any(|cause| matches!(cause.downcast_ref(), Some(CredentialsError::ProviderTimedOut(_))));
    let reason = words(error);
    let profiles = profiles(profile).await;
    let sentence = match &profiles {
        _ if unreachable || late => format!("whoever gives the credentials cannot be asked: {reason}"),
        Err(unread) => format!("the profiles in {} cannot be read: {unread}", files()),
        Ok(profiles) => sentence(profiles, error, &reason),
    };
    NoLogin { sentence, may_pass: unreachable || late }
}

fn sentence(profiles: &ProfileSet, error: &CredentialsError, reason: &str) -> String {
    let name = profiles.selected_profile();
    if profiles.get_profile(name).is_none() && (name != "default" || !profiles.is_empty()) && is_missing(error) {
        return format!("there is no profile `{name}` in {}, and no other source has credentials", files());
    }
    if is_missing(error) && !reason.contains("was not defined") {
        return format!(
            "there are none: not in the environment (AWS_ACCESS_KEY_ID), the profile `{name}`, a web identity, the container or the \
             machine"
        );
    }
    match sign_in(profiles) {
        Some(SignIn::Sso(signed)) if is_of_sso(reason) => {
            let why = if reason.contains("has expired") {
                "its token has expired".to_owned()
            } else if reason.contains("No such file") || reason.ends_with("load the cached SSO token") {
                "it is not signed in".to_owned()
            } else if reason.contains("Unauthorized") {
                "its token is not accepted any more".to_owned()
            } else {
                format!("its token cannot be used ({reason})")
            };
            let starts = starts_from(name, &signed);
            format!(
                "the profile `{signed}`{starts} gets its credentials by SSO, and {why}: run `aws sso login --profile {signed}`"
            )
        }
        Some(SignIn::Console(signed)) if reason.contains("Login token") || reason.contains("/.aws/login/cache/") => {
            let starts = starts_from(name, &signed);
            format!(
                "the login of the profile `{signed}`{starts} is over or was never begun: run `aws login --profile {signed}`"
            )
        }
        Some(_) | None => format!("the profile `{name}` or its source gives none: {reason}"),
    }
}

fn starts_from(name: &str, signed: &str) -> String {
    if name == signed { String::new() } else { format!(", which `{name}` starts from,") }
}

/// Whether no source of the chain was even set up.
fn is_missing(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::CredentialsNotLoaded(_))
}

/// Whether it is the sign-in that is missing: the types that say so are the SDK's own.
fn is_of_sso(reason: &str) -> bool {
    ["SSO token", "/.aws/sso/cache/", "UnauthorizedException"].iter().any(|sign| reason.contains(sign))
}
