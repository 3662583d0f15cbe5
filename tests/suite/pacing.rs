//! Pacing: many stages that ask one service do not throttle each other.

use std::sync::{Arc, Mutex, PoisonError};

use kiln_runner::aws::clients::Connection;
use kiln_runner::call::Interrupter;
use kiln_runner::clock::Clock;
use kiln_runner::contract::Limits;
use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{Event, EventKind, RunOutcome};
use kiln_runner::pipeline::{self, Values};
use kiln_runner::plugin::{Engine, Plugins};
use kiln_runner::rehearse::{InProcess, START};
use kiln_runner::report::Report;
use kiln_runner::run::{RunOptions, RunSource, Sharing, run};
use kiln_sim::{Simulator, WorldFile};
use kiln_tests::World;

/// How many stages look at the same alarm.
const STAGES: usize = 200;

/// What the service said to them.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    answered: u64,
    /// All of them begin at once, and nobody knows the limit before it is met.
    throttled_at_first: u64,
    throttled: u64,
}

/// For so many milliseconds all meet the limit for the first time.
const AT_FIRST: u64 = 5_000;

/// Counts it.
struct Count(Arc<Mutex<Told>>);

impl Report for Count {
    fn event(&mut self, event: &Event) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let throttled = match &event.kind {
            EventKind::Call { error: None, .. } => {
                told.answered += 1;
                false
            }
            EventKind::Call { error: Some(error), .. } | EventKind::CallRetrying { error, .. } => {
                assert!(error.contains("Rate exceeded"), "nothing else goes wrong: {error}");
                true
            }
            _ => false,
        };
        match event.at < START + AT_FIRST {
            true => told.throttled_at_first += u64::from(throttled),
            false => told.throttled += u64::from(throttled),
        }
    }

    fn finish(&mut self) {}
}

fn crowd() -> String {
    let stage = |number| {
        format!(
            "[stages.watch-{number}]\nplugin = \"verify-alarms\"\ntimeout = \"2h\"\n\
             with = {{ alarms = [\"quiet\"], bake = \"5m\" }}\n\n"
        )
    };
    let stages: String = (0..STAGES).map(stage).collect();
    format!("[pipeline]\nname = \"crowd\"\nregion = \"us-west-2\"\n\n{stages}")
}

/// All of them watch for five minutes, where CloudWatch bears ten calls a second: two thirds of what they ask for.
fn watched(paced: bool) -> (RunOutcome, Told, u64) {
    let world = World::of(
        "alarms = [{ name = \"quiet\", state = \"OK\" }]\n\
         throttling = { operations = { \"cloudwatch:*\" = { rate = 10.0, burst = 20.0 } } }",
    );
    let world = WorldFile::parse(&world.text()).unwrap_or_else(|error| panic!("{error}"));
    let engine = Engine::new(None).unwrap_or_else(|error| panic!("{error}"));
    let plugins = Arc::new(Plugins::new(engine));
    let source = SourceFile::new("crowd.toml".to_owned(), crowd());
    let pipeline =
        pipeline::load(&source, plugins.as_ref(), &Values::default()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let told = Arc::new(Mutex::new(Told::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap_or_else(|error| panic!("{error}")).block_on(async {
        let clock = Clock::starting_at(START, 1.0);
        let simulator = Simulator::new(world.in_process(), kiln_sim::Clock::new(START, 1.0));
        let connection = Connection::in_process(&pipeline.region, InProcess::to(simulator), clock);
        let (_interrupter, control) = Interrupter::new();
        let options = RunOptions {
            max_parallel: None,
            state_dir: None,
            run_id: None,
            connection: if paced { connection } else { connection.unpaced() },
            clock,
            limits: Limits::default(),
            detach_after: None,
            sharing: Sharing::default(),
            control,
            report: Box::new(Count(Arc::clone(&told))),
        };
        let source = RunSource { file: source.name, text: source.text };
        let summary = run(Arc::new(pipeline), plugins, source, options).await.unwrap_or_else(|error| panic!("{error}"));
        let told = *told.lock().unwrap_or_else(PoisonError::into_inner);
        (summary.outcome, told, clock.now() - START)
    })
}

#[test]
fn two_hundred_stages_that_poll_one_service_do_not_throttle_each_other() {
    let (outcome, paced, millis) = watched(true);
    assert_eq!(outcome, RunOutcome::Done, "{paced:?}");
    assert!(millis < 20 * 60_000, "a bake of five minutes took {millis} ms");
    let (_, unpaced, _) = watched(false);
    assert!(paced.throttled_at_first <= 2 * STAGES as u64, "each learns it once, and some twice: {paced:?}");
    let share = |told: Told| told.throttled as f64 / (told.throttled + told.answered) as f64;
    assert!(share(paced) < 0.05, "with pacing {paced:?}");
    assert!(share(paced) * 8.0 < share(unpaced), "with pacing {paced:?}, without {unpaced:?}");
    println!("with pacing {paced:?}, without {unpaced:?}");
}
