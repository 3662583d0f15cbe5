//! Arguments, and the subcommand that they name.
//!
//! The main function is [`main`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::exit::Exit;
use super::say::{self, complain, harmless, indented, say};
use super::{
    check, completions, doctor, lease, man, permissions, plan, plugin, rehearse, resolve, resume, run, runs, schema,
    show, sim, test, trace, version,
};
use crate::pipeline::Span;
use crate::plugin::{CacheDir, Engine, PluginError, Precompiled};
use crate::report::Output;
use crate::store::Terms;
use crate::types::{Provenance, StoreAddress};

const AFTER_HELP: &str = "\
Exit codes:
  0    done
  1    the run or the plan failed: a stage said no, or could not do its work
  2    the input is wrong: arguments, the pipeline file, a plugin; nothing was sent to AWS
  3    the run could not begin or was given up: credentials, network, disk
  4    a person must decide: `kiln show` says what, `kiln resolve` settles it
  5    the run waits (--detach-after): `kiln resume` goes on with it
  130  ended by SIGINT (Ctrl-C), in order
  143  ended by SIGTERM, in order

Begin with `kiln check pipeline.toml`, look at `kiln plan pipeline.toml`, then `kiln run pipeline.toml`.";

/// Fires immutable infrastructure: runs pipelines whose stages are sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, after_help = AFTER_HELP, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// What every subcommand takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// What is written: live lines, plain lines, or JSON for scripts
    #[arg(long, global = true, value_enum, default_value_t = Output::Auto, env = "KILN_OUTPUT")]
    pub(super) output: Output,
    /// Show debug lines and every AWS call; twice: the runner's own trace too
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Where journals are kept
    #[arg(long, global = true, value_name = "DIR", default_value = ".kiln", env = "KILN_STATE_DIR")]
    pub(super) state_dir: PathBuf,
    /// Share runs and leases with other machines in this DynamoDB table: dynamodb://TABLE, or dynamodb://REGION/TABLE [default:
    /// what the pipeline's `[store]` says; without it, the state directory alone]
    #[arg(long, global = true, value_name = "ADDRESS", env = "KILN_STORE")]
    pub(super) store: Option<StoreAddress>,
    /// How long a lease in a shared store lasts when its runner is dead
    #[arg(long, global = true, value_name = "DURATION", env = "KILN_LEASE_TTL", hide = true)]
    lease_ttl: Option<Span>,
    /// Where compiled plugins are cached [default: kiln/ under the user's cache directory]
    #[arg(long, global = true, value_name = "DIR", env = "KILN_CACHE_DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// The binary that this is.
    #[arg(skip = Binary::UNKNOWN)]
    pub(super) binary: Binary,
}

impl Global {
    /// The engine, with what the binary carries of plugins.
    pub(super) fn engine(&self, cache: Option<&CacheDir>) -> Result<Engine, PluginError> {
        Ok(Engine::new(cache)?.with(self.binary.carried))
    }

    /// Where journals are kept, wherever this process goes.
    pub(super) fn absolute_state_dir(&self) -> PathBuf {
        std::path::absolute(&self.state_dir).unwrap_or_else(|_| self.state_dir.clone())
    }

    /// How long leases last.
    pub(super) fn terms(&self) -> Terms {
        self.lease_ttl.map_or_else(Terms::default, |ttl| Terms::of(ttl.get().max(SHORTEST_LEASE)))
    }
}

/// A lease must outlast a slow answer of the store.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a pipeline file: everything that is wrong with it, at once, without asking AWS
    Check(check::Check),
    /// Show what a run would do: reads are real, every write is refused
    Plan(plan::Plan),
    /// Show what AWS must allow to the roles that a pipeline is run with, as a table or as IAM policies, without asking AWS
    Permissions(permissions::Permissions),
    /// Run a pipeline
    Run(run::Run),
    /// Go on with a run that was killed, interrupted, detached or stuck: nothing happens twice
    Resume(resume::Resume),
    /// Take back what a run did, stage by stage, the last first
    Undo(resume::Undo),
    /// Say what became of a call that kiln could not find out, so that its run can go on
    Resolve(resolve::Resolve),
    /// Run a pipeline on a simulated account in virtual time: a rollout of 45 minutes in a fraction of a second
    Rehearse(rehearse::Rehearse),
    /// Try the scenarios of a pipeline: what comes of it when something fails, in virtual time
    Test(test::Test),
    /// Print what the journal of a run holds
    Show(show::Show),
    /// List the runs that are kept, and what to do next with each
    Runs(runs::Runs),
    /// Show who may deploy to which environment, or take an environment from a run
    #[command(subcommand)]
    Lease(lease::LeaseCommand),
    /// List and inspect plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Serve a simulated AWS on this machine, to try pipelines against
    Sim(sim::Sim),
    /// Say what this machine has and lacks for a run: credentials, network, clock, directories, store; writes nothing
    Doctor(doctor::Doctor),
    /// Say what this binary is: its version; with `--verbose` also its commit, target, plugins, and what it understands
    Version(version::Version),
    /// Print the JSON Schema of pipeline, world or scenario files, for editors
    Schema(schema::SchemaArgs),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Print a manual page, of kiln or of one of its commands
    Man(man::Man),
}

/// What only the build of a binary knows.
#[derive(Debug, Clone, Copy)]
pub struct Binary {
    /// What it carries of plugins, compiled.
    pub carried: &'static dyn Precompiled,
    /// What it was built of.
    pub provenance: Provenance,
}

impl Binary {
    /// Arguments are parsed before anybody says whose they are.
    const UNKNOWN: Self = Self { carried: &NoCode, provenance: Provenance::UNKNOWN };
}

#[derive(Debug)]
struct NoCode;

impl Precompiled for NoCode {
    fn note(&self, _: &str) -> Option<&'static [u8]> {
        None
    }

    fn code(&self, _: &str, _: &wasmtime::Engine) -> Option<wasmtime::Result<wasmtime::component::Component>> {
        None
    }
}

/// Do what `arguments` say, in `binary`.
pub fn main(arguments: impl IntoIterator<Item = OsString>, binary: Binary) -> ExitCode {
    let given: Vec<OsString> = arguments.into_iter().collect();
    let mut arguments = match Arguments::try_parse_from(&given) {
        Ok(arguments) => arguments,
        Err(error) => {
            tell(&error, &given);
            return if error.use_stderr() { Exit::Input.into() } else { Exit::Done.into() };
        }
    };
    arguments.global.binary = binary;
    trace::start(arguments.global.verbose);
    let exit = execute(arguments.command, &arguments.global);
    say::rest();
    exit.into()
}

fn execute(command: Command, global: &Global) -> Exit {
    match command {
        Command::Check(command) => command.execute(global),
        Command::Plan(command) => on_runtime(command.execute(global)),
        Command::Permissions(command) => command.execute(global),
        Command::Run(command) => on_runtime(command.execute(global)),
        Command::Resume(command) => on_runtime(command.execute(global)),
        Command::Undo(command) => on_runtime(command.execute(global)),
        Command::Resolve(command) => on_runtime(command.execute(global)),
        Command::Rehearse(command) => command.execute(global),
        Command::Test(command) => command.execute(global),
        Command::Show(command) => on_runtime(command.execute(global)),
        Command::Runs(command) => on_runtime(command.execute(global)),
        Command::Lease(command) => on_runtime(command.execute(global)),
        Command::Plugin(command) => command.execute(global),
        Command::Sim(command) => on_runtime(command.execute(global)),
        Command::Schema(command) => command.execute(global),
        Command::Completions(command) => command.execute::<Arguments>(),
        Command::Man(command) => command.execute::<Arguments>(),
        Command::Doctor(command) => briefly(command.execute(global)),
        Command::Version(command) => command.execute(global),
    }
}

/// As [`on_runtime`], of a command that leaves nothing to be finished: who still asks for a name that nobody resolves, on a thread of its
/// own, is not waited for.
fn briefly(command: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            runtime.shutdown_background();
            exit
        }
        Err(error) => complain(&format!("cannot start the runtime: {error}"), None, Exit::Environment),
    }
}

/// What is wrong with the arguments, or the help that they ask for.
fn tell(error: &clap::Error, given: &[OsString]) {
    // It repeats arguments as they were given, and a shell may have taken them from names of files.
    let odd = |argument: &OsString| {
        let text = argument.to_string_lossy();
        harmless(&text) != text || text.contains('\n')
    };
    if error.use_stderr() && given.iter().any(odd) {
        say(&indented(&error.render().to_string()));
    } else {
        // Printing fails only where nobody reads.
        let _ = error.print();
    }
}

fn on_runtime(command: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => complain(&format!("cannot start the runtime: {error}"), None, Exit::Environment),
    }
}
