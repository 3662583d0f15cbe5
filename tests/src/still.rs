//! Runs of one small guest that are begun and resumed in this process, in virtual time, with a journal.
//!
//! The main type is [`Still`]: as fast as a rehearsal, and like a real run it leaves a journal that can be cut and resumed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use kiln_runner::aws::clients::Connection;
use kiln_runner::call::Interrupter;
use kiln_runner::clock::Clock;
use kiln_runner::contract::Limits;
use kiln_runner::diagnostic::SourceFile;
use kiln_runner::pipeline::{self, Values};
use kiln_runner::plugin::{Engine, Plugins};
use kiln_runner::rehearse::{InProcess, START};
use kiln_runner::report::Reports;
use kiln_runner::run::{self, Resumable, RunError, RunOptions, RunSource, RunSummary, Sharing};
use kiln_sim::{Effect, Simulator, WorldFile};

/// A pipeline whose plugin `guest` is one component, in a world.
pub struct Still<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The pipeline's text.
    pub pipeline: &'a str,
    /// The world's text.
    pub world: &'a str,
    /// The guest.
    pub component: Vec<u8>,
}

/// What came of a run, or of a resume.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub result: Result<RunSummary, RunError>,
    /// How many requests were sent to AWS.
    pub requests: u64,
    /// What was changed in the account.
    pub effects: Vec<Effect>,
}

impl Still<'_> {
    /// Begin a run whose journal lies in `state`.
    pub fn run(&self, state: &Path) -> Ended {
        self.live(state, None)
    }

    /// Go on with the run in `state`, in an account as it was at the beginning.
    pub fn resume(&self, state: &Path) -> Ended {
        let resumable = Resumable::open(&run_in(state)).unwrap_or_else(|error| panic!("{error}"));
        self.live(state, Some(resumable))
    }

    fn live(&self, state: &Path, resumable: Option<Resumable>) -> Ended {
        let components = BTreeMap::from([("guest".to_owned(), self.component.clone())]);
        let plugins = Arc::new(Plugins::pinned(self.engine.clone(), components));
        let source = SourceFile::new("pipeline.toml", self.pipeline);
        let pipeline = pipeline::load(&source, plugins.as_ref(), &Values::default());
        let pipeline = Arc::new(pipeline.unwrap_or_else(|problems| panic!("{problems:?}")));
        let world = WorldFile::parse(self.world).unwrap_or_else(|error| panic!("{error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
        runtime.block_on(async {
            // What goes on goes on at the newest instant that its journal knows.
            let now = resumable.as_ref().map_or(START, |resumable| resumable.history.latest);
            let clock = Clock::starting_at(now, 1.0);
            let simulator = Simulator::new(world.in_process(), kiln_sim::Clock::new(now, 1.0));
            let requests = Arc::new(AtomicU64::new(0));
            let http = Counting(InProcess::to(simulator.clone()), Arc::clone(&requests));
            let (_interrupter, control) = Interrupter::new();
            let options = RunOptions {
                max_parallel: None,
                state_dir: Some(state.to_owned()),
                run_id: None,
                connection: Connection::in_process(&pipeline.region, http, clock),
                clock,
                limits: Limits::default(),
                detach_after: None,
                sharing: Sharing::default(),
                control,
                report: Box::new(Reports::new(Vec::new())),
            };
            let result = match resumable {
                Some(resumable) => run::resume(resumable, pipeline, plugins, options).await,
                None => {
                    let source = RunSource { file: "pipeline.toml".to_owned(), text: self.pipeline.to_owned() };
                    run::run(pipeline, plugins, source, options).await
                }
            };
            Ended { result, requests: requests.load(Ordering::Relaxed), effects: simulator.effects() }
        })
    }
}

/// The directory of the one run in a state directory.
pub fn run_in(state: &Path) -> PathBuf {
    let runs = std::fs::read_dir(state.join("runs")).into_iter().flatten().flatten();
    runs.map(|run| run.path()).next().unwrap_or_else(|| panic!("there is no run"))
}

/// Counts the requests on their way to the simulator.
#[derive(Debug, Clone)]
struct Counting(InProcess, Arc<AtomicU64>);

impl HttpClient for Counting {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Counting {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.call(request)
    }
}
