//! Cleans up as many random accounts as one likes, and compares what is left with an oracle.
//! The main function is [`run`].

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, cargo, succeed};
use crate::{plugins, test};

/// Draw `accounts` accounts, from `seed` on.
pub(crate) fn run(layout: &Layout, terminal: &Terminal, accounts: u64, seed: u64) -> Result<(), TaskError> {
    plugins::build(layout, terminal, false)?;
    test::build_host(layout, terminal)?;
    terminal.heading("accounts: nothing goes that is needed, and nothing is left that should go");
    terminal.line(format_args!("{accounts} accounts from seed {seed} on; what fails is named with its seed"));
    let mut command = cargo();
    command
        .current_dir(&layout.root)
        .env("KILN_ACCOUNTS", accounts.to_string())
        .env("KILN_SEED", seed.to_string())
        .args(["test", "--workspace", "--all-targets", "--", "--nocapture", "machines_random::in_random_accounts"]);
    succeed(&mut command, "the seeds above fail again by KILN_SEED=N KILN_ACCOUNTS=1")
}
