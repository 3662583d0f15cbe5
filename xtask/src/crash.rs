//! Ends as many real runs as one likes, with the binary that is published.
//! The main function is [`run`].

use std::path::PathBuf;

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, cargo, succeed};
use crate::{bench, test};

/// Kill runs of each plugin at every boundary of their calls, and draw `ends` ends of runs from `seed` on: half of them of real pipelines,
/// half of random shapes. `other` is the binary to run,
/// where it is not to be built.
pub(crate) fn run(
    layout: &Layout,
    terminal: &Terminal,
    ends: u64,
    seed: u64,
    other: Option<PathBuf>,
) -> Result<(), TaskError> {
    let kiln = match other {
        Some(kiln) => std::path::absolute(&kiln).map_err(TaskError::file("find", kiln))?,
        None => bench::build(layout, terminal)?,
    };
    test::build_host(layout, terminal)?;
    terminal.heading("crash: end runs by SIGKILL and SIGTERM, resume them, compare what came of them");
    let of_shapes = ends / 2;
    let kills = ends - of_shapes;
    terminal.line(format_args!(
        "{kills} kills of real pipelines and {of_shapes} ends of random shapes from seed {seed} on; what fails is named with its seed"
    ));
    let mut command = cargo();
    command
        .current_dir(&layout.root)
        .env("KILN_BIN", kiln)
        .env("KILN_KILLS", kills.to_string())
        .env("KILN_SHAPES", of_shapes.to_string())
        .env("KILN_SEED", seed.to_string())
        // Every boundary, and not some of them as in a test run.
        .env("KILN_APART", "1")
        .args(["test", "--workspace", "--all-targets", "--", "--nocapture", "--test-threads", "1"])
        .arg("survives_kills_at_the_boundaries_of_its_calls")
        .arg("crash::whenever_they_are_killed_runs_come_to_the_same_end")
        .arg("crash::whatever_their_shape_and_whenever_they_are_ended_runs_come_to_the_same_end");
    succeed(&mut command, "the seeds above fail again by KILN_SEED=N, a shape by KILN_SEED=N KILN_SHAPES=1")
}
