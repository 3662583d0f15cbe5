//! Tasks of the workspace: `cargo xtask plugins | host | demo | pictures | lint | test | crash | accounts | configs | bench | dist | wheel`.
//! Each task is a module; this one only chooses.

mod accounts;
mod bench;
mod browser;
mod configs;
mod crash;
mod demo;
mod dist;
mod embed;
mod error;
mod layout;
mod lint;
mod pictures;
mod plugins;
mod python;
mod step;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::Terminal;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the workspace", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the plugins to components in target/plugins.
    Plugins {
        /// As they are published: smaller, and longer to build.
        #[arg(long)]
        release: bool,
    },
    /// Build the plugins, and the host with their code in it: what `test` and `demo` run. A host that plain cargo built carries the code
    /// that was made last, and compiles what it does not carry.
    Host,
    /// Build everything and run pipelines/web-service.toml on the simulator.
    Demo,
    /// Draw the pictures of the README anew, from a rehearsal of the demo's pipeline: docs/pictures.
    Pictures,
    /// What `test` begins with and needs no run: formats, what is said of the crates, clippy.
    Lint,
    /// Run everything that must pass: formats, clippy, what is said of the crates, builds, native tests of the plugins, the whole test
    /// suite.
    Test {
        /// Without the tests that kill, reorder and alter thousands of runs: they take most of the time. CI runs all of them.
        #[arg(long)]
        quick: bool,
    },
    /// End real runs, and runs of random shape, wherever chance wants, resume them, and compare what comes of them with a run that
    /// nobody ended.
    Crash {
        /// How many processes to end.
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        seeds: u64,
        /// The seed to begin with.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Run this binary instead of building the one that is published.
        #[arg(long, value_name = "FILE")]
        kiln: Option<PathBuf>,
    },
    /// Clean up random accounts full of AMIs, and compare what is left with an oracle.
    Accounts {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        accounts: u64,
        /// The seed to begin with.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Check and rehearse generated configs of each plugin: none that passes the check may fail as config.
    Configs {
        /// How many of each plugin.
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        configs: u64,
        /// The seed to begin with.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Make what a release is made of, in target/dist: a static binary, its wheel, what is in it (CycloneDX), digests of all.
    Dist {
        /// The target to build for [default: musl of this architecture where it can be built for here, else the GNU C library, linked
        /// statically]
        #[arg(long, value_name = "TRIPLE")]
        target: Option<String>,
        /// Where to write it.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Make a Python wheel of a binary that is there.
    Wheel {
        /// The binary.
        #[arg(long, value_name = "FILE")]
        binary: PathBuf,
        /// Where to write it.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Without compression: larger, and made at once.
        #[arg(long)]
        stored: bool,
    },
    /// Measure kiln by itself and against scripts that make the same calls; writes bench/results.md and .json.
    Bench {
        /// Fewer rounds and smaller pipelines: to see that it works, not for figures. Writes to target/bench.
        #[arg(long)]
        quick: bool,
        /// Measure this binary instead of building one: to compare with an older one. Writes to target/bench.
        #[arg(long, value_name = "FILE")]
        kiln: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = Terminal::new();
    let done = Layout::find().and_then(|layout| match arguments.task {
        Task::Plugins { release } => plugins::build(&layout, &terminal, release).map(|()| ExitCode::SUCCESS),
        Task::Dist { target, out } => dist::run(&layout, &terminal, target, out).map(|()| ExitCode::SUCCESS),
        Task::Wheel { binary, out, stored } => {
            dist::wheel_of(&terminal, &binary, &out, stored).map(|()| ExitCode::SUCCESS)
        }
        Task::Lint => lint::run(&layout, &terminal).map(|()| ExitCode::SUCCESS),
        Task::Host => plugins::build(&layout, &terminal, false)
            .and_then(|()| test::build_host(&layout, &terminal))
            .map(|()| ExitCode::SUCCESS),
        Task::Demo => demo::run(&layout, &terminal),
        Task::Pictures => pictures::draw(&layout, &terminal, &pictures::directory(&layout)).map(|()| ExitCode::SUCCESS),
        Task::Bench { quick, kiln } => bench::run(&layout, &terminal, quick, kiln).map(|()| ExitCode::SUCCESS),
        Task::Crash { seeds, seed, kiln } => {
            crash::run(&layout, &terminal, seeds, seed, kiln).map(|()| ExitCode::SUCCESS)
        }
        Task::Accounts { accounts, seed } => {
            accounts::run(&layout, &terminal, accounts, seed).map(|()| ExitCode::SUCCESS)
        }
        Task::Configs { configs, seed } => configs::run(&layout, &terminal, configs, seed).map(|()| ExitCode::SUCCESS),
        Task::Test { quick } => test::run(&layout, &terminal, quick).map(|()| ExitCode::SUCCESS),
    });
    done.unwrap_or_else(|error: TaskError| {
        terminal.error(&error);
        ExitCode::FAILURE
    })
}
