//! Where things are.
//! The main type is [`Layout`].

use std::path::{Path, PathBuf};

use crate::error::TaskError;

/// The places of the workspace.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever it was put.
    pub(crate) target: PathBuf,
}

impl Layout {
    pub(crate) fn find() -> Result<Self, TaskError> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf);
        let root = root.filter(|root| root.join("wit").is_dir()).ok_or_else(|| {
            TaskError::other(
                "this task was built in a workspace that is gone",
                "run it by `cargo xtask` in the workspace",
            )
        })?;
        // Cargo marks the root of a target directory, and this program is in one.
        let program = std::env::current_exe().map_err(TaskError::file("find", "this program"))?;
        let target = program.ancestors().find(|ancestor| ancestor.join("CACHEDIR.TAG").is_file());
        let target = target.map(Path::to_path_buf).ok_or_else(|| {
            TaskError::other(
                format!("{} is in no cargo target directory", program.display()),
                "run it by `cargo xtask`",
            )
        })?;
        Ok(Self { root, target })
    }

    /// The workspace of the plugins.
    pub(crate) fn guests(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// What cargo builds of the plugins. Apart from the host's, so that neither waits for the other's lock.
    pub(crate) fn guests_target(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The finished components, which runner/build.rs puts into the binary.
    pub(crate) fn components(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The code of the components, which kiln/build.rs puts into the binary. Not below the components: a host that was built with those
    /// would count as old whenever code is written.
    pub(crate) fn code(&self) -> PathBuf {
        self.target.join("code")
    }

    /// The binary that `cargo build` makes.
    pub(crate) fn kiln(&self) -> PathBuf {
        self.target.join("debug").join(format!("kiln{}", std::env::consts::EXE_SUFFIX))
    }
}
