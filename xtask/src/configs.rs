//! Checks and rehearses as many generated configs of each plugin as one likes.
//! The main function is [`run`].

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, cargo, succeed};
use crate::{plugins, test};

/// Draw `configs` configs for each plugin, from `seed` on.
pub(crate) fn run(layout: &Layout, terminal: &Terminal, configs: u64, seed: u64) -> Result<(), TaskError> {
    plugins::build(layout, terminal, false)?;
    test::build_host(layout, terminal)?;
    terminal.heading("configs: what passes the check does not fail as config");
    terminal
        .line(format_args!("{configs} configs of each plugin from seed {seed} on; what fails is named with its seed"));
    let mut command = cargo();
    command
        .current_dir(&layout.root)
        .env("KILN_CONFIGS", configs.to_string())
        .env("KILN_SEED", seed.to_string())
        .args(["test", "--workspace", "--all-targets", "--", "--nocapture", "configs::no_config_of_"]);
    succeed(&mut command, "the seeds above fail again by KILN_SEED=N KILN_CONFIGS=1")
}
