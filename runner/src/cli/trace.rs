//! The runner's own trace on stderr, for whoever looks into a problem of kiln.
//!
//! The main function is [`start`].

use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::say::Trace;

/// The crates whose events are shown. What the AWS SDK and all that it stands on trace holds requests, answers and
/// credentials; so do things that it will stand on some day, so those that may speak are named and no others.
const SHOWN: [&str; 2] = ["kiln_runner", "kiln_sim"];

/// Show what `KILN_LOG` asks for, or what `verbose` does.
pub(super) fn start(verbose: u8) {
    let directives = match (std::env::var("KILN_LOG"), verbose) {
        (Ok(directives), _) => EnvFilter::new(directives),
        (Err(_), 0 | 1) => return,
        (Err(_), _) => EnvFilter::new("kiln_runner=trace,kiln_sim=debug"),
    };
    // A filter of its own, not directives: the most specific of those wins, whoever wrote it.
    let shown = filter_fn(is_shown);
    let subscriber = tracing_subscriber::fmt().with_env_filter(directives).with_writer(|| Trace).finish().with(shown);
    // A second subscriber in one process changes nothing.
    let _ = subscriber.try_init();
}

fn is_shown(metadata: &Metadata<'_>) -> bool {
    let name = metadata.target().split("::").next().unwrap_or_default();
    SHOWN.contains(&name)
}
