//! Why a run could not begin, or had to be given up.
//!
//! The main type is [`RunError`]. A stage that fails is no such error: that is an outcome.

use std::sync::Arc;

use super::secrets::ResolveError;
use crate::aws::error::{AwsError, ErrorKind, NO_CREDENTIALS};
use crate::aws::network;
use crate::files::Gone;
use crate::journal::JournalError;
use crate::plugin::PluginError;
use crate::policy::PolicyError;
use crate::store::LeaseError;
use crate::types::{AccountId, EnvironmentName, InvalidName, RunId, StageName};

use crate::call::stop::HostStop;

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
    /// A secret's value was given where it would be written down.
    #[error("{given} holds the value of the secret `{secret}`, and what a run is given is written to its journal")]
    GivenSecret {
        /// What holds it.
        given: String,
        /// The secret.
        secret: String,
    },
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
    /// The journal takes no more records, in the middle of the run. Nothing was sent that it does not hold.
    #[error("the run was given up, after {calls} AWS call{}: {source}", if *calls == 1 { "" } else { "s" })]
    Unrecorded {
        /// The run.
        run: RunId,
        /// How many AWS calls it had made.
        calls: u32,
        /// Why not.
        source: Arc<JournalError>,
    },
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

/// What to do where there are no credentials, or none that AWS knows.
pub(crate) fn sign_in(error: &AwsError) -> Option<String> {
    // What is to be done may be said already.
    (!error.message.contains(": run `")).then(|| {
        "kiln takes credentials as every AWS tool does: the environment, a profile (`--profile`, AWS_PROFILE), or the role of \
         the build, the container or the machine"
            .to_owned()
    })
}

/// What to do when the shared store and a run do not agree any more.
const AFTER_LOSS: &str = "nothing is lost: look at who holds the run and its environments (`kiln lease list`, `kiln runs`), then \
                          `kiln resume` goes on where this ended";

/// What to do when a journal could not be begun or gone on with.
fn without_journal(error: &JournalError) -> String {
    match error.is_of_store() {
        true => AFTER_LOSS.to_owned(),
        false => "nothing is sent that the journal does not hold; check the disk and `--state-dir`".to_owned(),
    }
}

/// What to do when a journal takes no more in the middle of a run.
fn unrecorded(run: &RunId, error: &JournalError) -> String {
    match (error.gone(), error) {
        (None, error) if error.is_of_store() => AFTER_LOSS.to_owned(),
        (None, JournalError::Full { .. }) => {
            format!(
                "it cannot go on; look at what it has done by `kiln show {run}`, or take it back by `kiln undo {run}`"
            )
        }
        (Some(Gone::Moved | Gone::Replaced | Gone::Unknown(_)), _) => format!(
            "put the state directory back as it was; then `kiln resume {run}` goes on where this ended, and what was sent meanwhile \
             is looked up first"
        ),
        (Some(Gone::Deleted), _) => format!(
            "look at what it has done in the account: what is told above is all that is left. Where it is kept in a shared store \
             as well, `kiln resume {run} --store ADDRESS` goes on. Keep the state directory out of what is cleaned up (`git clean`): \
             `--state-dir`"
        ),
        (None, _) => format!(
            "free space on the disk, or see what else keeps the journal from being written; then `kiln resume {run}` goes on: \
             what was sent and could not be written down is looked up first, and nothing happens twice"
        ),
    }
}

impl RunError {
    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Identity(error) if error.kind == ErrorKind::Unavailable => Some(network::advice()),
            Self::Identity(error) if error.kind == ErrorKind::Throttled => {
                Some("AWS is asked too often at the moment: try again later; nothing was done".to_owned())
            }
            Self::Identity(error) | Self::Secret(ResolveError::Aws(error)) if error.code == NO_CREDENTIALS => sign_in(error),
            Self::Secret(ResolveError::Aws(error)) if error.kind == ErrorKind::Unavailable => Some(network::advice()),
            Self::Identity(error) => sign_in(error),
            Self::WrongAccount { environment, .. } => Some(format!(
                "use credentials of that account, or give the environment a role there: `role = \"arn:aws:iam::…\"` under \
                 [environments.{environment}]"
            )),
            Self::Secret(ResolveError::Aws(error)) if error.kind == ErrorKind::AccessDenied => Some(
                "allow the runner's role secretsmanager:GetSecretValue on the secret (and kms:Decrypt on its key); `kiln permissions \
                 FILE --iam` prints the policy that it needs"
                    .to_owned(),
            ),
            Self::GivenSecret { secret, .. } => {
                Some(format!("refer to it where it is needed: `${{secrets.{secret}}}`"))
            }
            Self::Secret(_) => Some("check `id`, `key` and version under [secrets]".to_owned()),
            Self::Plugin(error) => error.help(),
            Self::Policy { .. } => Some("this is a defect of the plugin; tell its author".to_owned()),
            Self::Lease(error) => error.help(),
            Self::GivenUp(HostStop::Lease(error)) => error.help(),
            Self::GivenUp(HostStop::Withheld(_)) => Some(AFTER_LOSS.to_owned()),
            Self::Journal(error) => Some(without_journal(error)),
            Self::GivenUp(HostStop::Journal(error)) => Some(without_journal(error)),
            Self::Unrecorded { run, source, .. } => Some(unrecorded(run, source)),
            Self::GivenUp(HostStop::NonDeterminism(_)) => Some(
                "nothing was sent to AWS. A stage must do the same again when it is answered the same: this is a defect of \
                 its plugin, or the journal is not this run's. Look at `kiln show`, settle the account by hand, and run the \
                 pipeline again"
                    .to_owned(),
            ),
            Self::GivenUp(HostStop::Identity { help, .. }) => Some(help.clone()),
            Self::BadIdentity(_) | Self::GivenUp(_) => None,
        }
    }
}
