//! Kills as many real runs as one likes, with the binary that is published.
//! The main function is [`run`].

use std::path::PathBuf;

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, cargo, succeed};
use crate::{bench, test};

/// Draw `kills` kills from `seed` on. `other` is the binary to kill, where it is not to be built.
pub(crate) fn run(
    layout: &Layout,
    terminal: &Terminal,
    kills: u64,
    seed: u64,
    other: Option<PathBuf>,
) -> Result<(), TaskError> {
    let kiln = match other {
        Some(kiln) => std::path::absolute(&kiln).map_err(TaskError::file("find", kiln))?,
        None => bench::build(layout, terminal)?,
    };
    test::build_host(layout, terminal)?;
    terminal.heading("crash: kill runs by SIGKILL, resume them, compare their ends");
    terminal.line(format_args!("{kills} kills from seed {seed} on; what fails is named with its seed"));
    let mut command = cargo();
    command
        .current_dir(&layout.root)
        .env("KILN_BIN", kiln)
        .env("KILN_KILLS", kills.to_string())
        .env("KILN_SEED", seed.to_string())
        .args(["test", "--workspace", "--all-targets", "--", "--nocapture", "--exact"])
        .arg("crash::whenever_they_are_killed_runs_come_to_the_same_end");
    succeed(&mut command, "the seeds above fail again by KILN_SEED=N")
}
