//! Why a plugin cannot be used.
//!
//! The main type is [`PluginError`].

use std::path::PathBuf;

use super::permissions::PermissionProblem;
use crate::files::ReadError;
use crate::types::Digest;

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is no such standard plugin.
    #[error("there is no standard plugin `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// A name that is like it.
        suggestion: Option<String>,
    },
    /// The file cannot be read.
    #[error("cannot read the plugin {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// The file is not the one that the pipeline names.
    #[error("the plugin `{name}` has the digest {found}, not {expected} as the pipeline says")]
    Digest {
        /// The plugin.
        name: String,
        /// What the pipeline says.
        expected: Digest,
        /// What the bytes have.
        found: Digest,
    },
    /// The bytes are not a component that kiln accepts.
    #[error("`{name}` is not a plugin: {reason}")]
    NotAPlugin {
        /// The plugin.
        name: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        help: Option<String>,
    },
    /// `describe` failed or said nonsense.
    #[error("the plugin `{name}` does not describe itself: {reason}")]
    Describe {
        /// The plugin.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// `check` failed or said nonsense.
    #[error("the plugin `{name}` does not come to an end of its check: {reason}")]
    Check {
        /// The plugin.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A permission that it asks for can never be used.
    #[error("the plugin `{name}` {problem}")]
    Permission {
        /// The plugin.
        name: String,
        /// What is wrong with it.
        problem: PermissionProblem,
    },
    /// The engine could not be made.
    #[error("cannot start the WebAssembly engine: {0}")]
    Engine(String),
}

impl PluginError {
    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unknown { suggestion: Some(name), .. } => Some(format!("did you mean `{name}`?")),
            Self::Unknown { suggestion: None, .. } => Some(
                "`kiln plugin list` shows the standard plugins; declare one of your own under `[plugins.NAME]` with its path"
                    .to_owned(),
            ),
            Self::Read { source: ReadError::Io(_), .. } => Some("the path is relative to the pipeline file".to_owned()),
            Self::Read { source, .. } => source.help().map(str::to_owned),
            Self::Digest { .. } => {
                Some("look at what changed in the plugin, then write its new digest into the pipeline".to_owned())
            }
            Self::NotAPlugin { help, .. } => help.clone(),
            Self::Permission { problem, .. } => Some(problem.help()),
            Self::Describe { .. } | Self::Check { .. } => Some("this is a defect of the plugin; tell its author".to_owned()),
            Self::Engine(_) => None,
        }
    }
}
