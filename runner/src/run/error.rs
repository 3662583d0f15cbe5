//! Why a run could not begin, or had to be given up.
//!
//! The main type is [`RunError`]. A stage that fails is no such error: that is an outcome.

use crate::aws::error::{AwsError, ErrorKind};
use crate::journal::JournalError;
use crate::plugin::PluginError;
use crate::policy::PolicyError;
use crate::secrets::ResolveError;
use crate::store::LeaseError;
use crate::types::{AccountId, EnvironmentName, InvalidName, StageName};

use super::stop::HostStop;

/// Why a run could not begin, or had to be given up.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// AWS does not know the runner.
    #[error("cannot find out whose credentials these are: {}: {}", _0.code, _0.message)]
    Identity(AwsError),
    /// AWS answered an account that is none.
    #[error("AWS answered a caller identity that makes no sense: {0}")]
    BadIdentity(#[from] InvalidName),
    /// The pipeline is for another account.
    #[error("environment `{environment}` is account {expected}, but the credentials belong to account {found}")]
    WrongAccount {
        /// The environment.
        environment: EnvironmentName,
        /// Its account.
        expected: AccountId,
        /// The credentials' account.
        found: AccountId,
    },
    /// A secret cannot be had.
    #[error("cannot get the pipeline's secrets: {0}")]
    Secret(ResolveError),
    /// A plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A plugin declares permissions that make no sense.
    #[error("stage `{stage}`: {source}")]
    Policy {
        /// The stage.
        stage: StageName,
        /// What is wrong with them.
        source: PolicyError,
    },
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An environment is another run's.
    #[error(transparent)]
    Lease(Box<LeaseError>),
    /// The run was given up.
    #[error("the run was given up: {0}")]
    GivenUp(HostStop),
}

impl From<ResolveError> for RunError {
    fn from(error: ResolveError) -> Self {
        match error {
            // Nothing is wrong with the secrets: the run was to end while it asked for them.
            ResolveError::Stop(stop) => Self::GivenUp(stop),
            other => Self::Secret(other),
        }
    }
}

/// What to do when the shared store and a run do not agree any more.
const AFTER_LOSS: &str = "nothing is lost: look at who holds the run and its environments (`kiln lease list`, `kiln runs`), then \
                          `kiln resume` goes on where this ended";

impl RunError {
    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Identity(error) if error.kind == ErrorKind::Unavailable => {
                Some("check the network, the region, and `--endpoint-url` or AWS_ENDPOINT_URL if one is set".to_owned())
            }
            Self::Identity(_) => Some(
                "kiln takes credentials as every AWS tool does: the environment, a profile (AWS_PROFILE), or the role of the \
                 build or machine"
                    .to_owned(),
            ),
            Self::WrongAccount { environment, .. } => Some(format!(
                "use credentials of that account, or give the environment a role there: `role = \"arn:aws:iam::…\"` under \
                 [environments.{environment}]"
            )),
            Self::Secret(ResolveError::Aws(error)) if error.kind == ErrorKind::AccessDenied => Some(
                "allow the runner's role secretsmanager:GetSecretValue on the secret (and kms:Decrypt on its key)".to_owned(),
            ),
            Self::Secret(_) => Some("check `id`, `key` and version under [secrets]".to_owned()),
            Self::Plugin(error) => error.help(),
            Self::Policy { .. } => Some("this is a defect of the plugin; tell its author".to_owned()),
            Self::Lease(error) => error.help(),
            Self::GivenUp(HostStop::Lease(error)) => error.help(),
            Self::GivenUp(HostStop::Withheld(_)) => Some(AFTER_LOSS.to_owned()),
            Self::Journal(error) | Self::GivenUp(HostStop::Journal(error)) if error.is_of_store() => {
                Some(AFTER_LOSS.to_owned())
            }
            Self::Journal(_) => Some("nothing is sent that the journal does not hold; check the disk and `--state-dir`".to_owned()),
            Self::GivenUp(HostStop::NonDeterminism(_)) => Some(
                "nothing was sent to AWS. A stage must do the same again when it is answered the same: this is a defect of \
                 its plugin, or the journal is not this run's. Look at `kiln show`, settle the account by hand, and run the \
                 pipeline again"
                    .to_owned(),
            ),
            Self::GivenUp(HostStop::Identity(_)) => {
                Some("use the credentials that the run began with, and resume it again".to_owned())
            }
            Self::BadIdentity(_) | Self::GivenUp(_) => None,
        }
    }
}
