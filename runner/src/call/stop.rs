//! Why the host ends a guest before it is done.
//!
//! The main types are [`HostStop`], which travels through the guest as a trap, and [`Control`], which says when.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::event::Failure;
use crate::journal::{JournalError, Mismatch};
use crate::secrets::redact::SecretError;
use crate::store::LeaseError;

/// Why the host ends a guest.
#[derive(Debug, thiserror::Error)]
pub enum HostStop {
    /// The run was told to end.
    #[error("the run was interrupted")]
    Interrupted,
    /// The stage's `timeout` is over.
    #[error("the stage's timeout is over")]
    TimedOut,
    /// The journal cannot be written: nothing may happen that it does not hold.
    #[error("{0}")]
    Journal(Arc<JournalError>),
    /// The run's environments are not certainly its own any more. Nothing was sent.
    #[error("{0}")]
    Lease(Arc<LeaseError>),
    /// The shared store does not take the journal. Nothing was sent that it does not hold.
    #[error("{0}")]
    Withheld(String),
    /// A guest that is replayed does not do again what it did before. Nothing was sent.
    #[error("{0}")]
    NonDeterminism(Box<Mismatch>),
    /// What became of a call cannot be found out: a person must decide.
    #[error("{}", _0.message)]
    Stuck(Box<Failure>),
    /// Whose credentials these are is not known, or they are another account's than the run began with.
    #[error("{why}")]
    Identity {
        /// What is wrong.
        why: String,
        /// What to do about it.
        help: String,
    },
    /// What the run goes on with holds a secret that cannot be put back, or could not be written down. Nothing was sent.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// The guest asked for too much.
    #[error("{0}")]
    Limit(String),
    /// The guest called the host where it must not.
    #[error("{0}")]
    Misuse(String),
    /// A defect of kiln.
    #[error("defect of kiln: {0}")]
    Defect(String),
}

impl From<JournalError> for HostStop {
    fn from(error: JournalError) -> Self {
        Self::Journal(Arc::new(error))
    }
}

/// Tells a run's stages when to end.
#[derive(Debug, Clone)]
pub struct Control {
    interrupted: watch::Receiver<Option<String>>,
    interrupter: Interrupter,
}

/// What ends a run that waits for too long, in the place of a signal's name.
pub(crate) const DETACH: &str = "detach";

/// Ends a run.
#[derive(Debug, Clone)]
pub struct Interrupter(watch::Sender<Option<String>>);

impl Interrupter {
    /// A run's switch, and what its stages watch.
    pub fn new() -> (Self, Control) {
        let (sender, interrupted) = watch::channel(None);
        let interrupter = Self(sender);
        (interrupter.clone(), Control { interrupted, interrupter })
    }

    /// End the run in order. `signal` says what asked for it.
    pub fn interrupt(&self, signal: &str) {
        self.0.send_replace(Some(signal.to_owned()));
    }
}

impl Control {
    /// The signal that asked the run to end, if one did.
    pub fn interrupted(&self) -> Option<String> {
        self.interrupted.borrow().clone()
    }

    /// End the run in order, to be resumed later, because it waits for too long.
    pub(crate) fn detach(&self) {
        self.interrupter.0.send_if_modified(|signal| match signal {
            Some(_) => false,
            None => {
                *signal = Some(DETACH.to_owned());
                true
            }
        });
    }

    /// Wait until the run is told to end.
    pub async fn interruption(&self) {
        let mut interrupted = self.interrupted.clone();
        if interrupted.wait_for(Option::is_some).await.is_err() {
            // Nobody is left who could interrupt.
            std::future::pending::<()>().await;
        }
    }
}

/// How long a guest may take to end by itself once it must: an AWS call that is under way is let finish, so that its
/// outcome is known. In the world's time.
const GRACE: Duration = Duration::from_secs(4);

/// Wait until a stage must be ended from outside: the run was interrupted, or its deadline (milliseconds since the Unix
/// epoch, on `clock`) has passed, and it did not end by itself.
pub(crate) async fn hard_stop(control: &Control, clock: Clock, deadline: u64) -> HostStop {
    let stop = tokio::select! {
        biased;
        () = control.interruption() => HostStop::Interrupted,
        () = clock.sleep_until(deadline) => HostStop::TimedOut,
    };
    tokio::time::sleep(GRACE).await;
    stop
}
