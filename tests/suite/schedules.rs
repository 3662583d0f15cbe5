//! Two runners on one environment, paused wherever they wait, for longer than a lease lasts now and then: at most one deploys.
//!
//! On a table in memory, and on moto's, each in virtual time. `KILN_SCHEDULES=10000` tries as many schedules, `KILN_SEED=N`
//! begins with another seed. What fails names its seed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_runner::aws::clients::Connection;
use kiln_runner::clock::Clock;
use kiln_runner::journal::{self, CallKey, Journal, LocalRead, Phase, Record, RunStart};
use kiln_runner::rehearse::START;
use kiln_runner::secrets::redact::Sealed;
use kiln_runner::store::{Carrier, LeaseClaim, LeaseEnding, LeaseKey, Leases, Past, Store, Table, Terms};
use kiln_runner::types::{Region, RunId};
use kiln_tests::{Backend, Chance, Dynamo, Served, Unsteady, Weather};
use serde_json::{Value, json};

use crate::emulators::Moto;

/// How many schedules a test run tries unless it is told.
const SCHEDULES: u64 = 1_000;

/// The same for moto, which takes milliseconds for each request.
const SCHEDULES_ON_MOTO: u64 = 25;

/// What keeps a runner from deploying that was taken over.
#[derive(Debug, Clone, Copy)]
struct Checks {
    /// The time since the last renewal, before each write.
    guard: bool,
    /// The condition under which a record counts, before each write.
    condition: bool,
}

/// What came of schedules.
#[derive(Debug, Default, Clone)]
struct Tally {
    deployed: u32,
    refused: u32,
    taken_over: u32,
    /// Runners that the guard stopped.
    guarded: u32,
    /// Runners whose record was refused.
    fenced: u32,
    crashed: u32,
    violations: Vec<String>,
}

/// A runner, and all that happens to it.
struct Runner {
    name: u64,
    seed: u64,
    checks: Checks,
    chance: Chance,
    way: Unsteady,
    backend: Arc<dyn Backend>,
    table: Table,
    state: PathBuf,
    tally: Arc<Mutex<Tally>>,
}

impl Runner {
    fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A pause as schedulers, networks and sleeping machines make them: some are longer than a lease lasts.
    async fn pause(&mut self) {
        match self.chance.below(100) {
            0..80 => tokio::time::sleep(Duration::from_millis(self.chance.below(3_000))).await,
            80..90 => tokio::time::sleep(Duration::from_secs(self.chance.below(120))).await,
            _ => self.way.freeze(Duration::from_secs(self.chance.below(120))).await,
        }
    }

    async fn live(mut self) {
        for attempt in 0..2 {
            self.pause().await;
            let run = RunId::seeded(START, self.seed * 64 + self.name * 8 + attempt);
            match self.acquire(&run).await {
                Some(leases) => self.deploy(&run, leases).await,
                None => tokio::time::sleep(Duration::from_secs(self.chance.below(60))).await,
            }
        }
    }

    async fn acquire(&mut self, run: &RunId) -> Option<Leases> {
        let claim = LeaseClaim {
            run: run.clone(),
            leases: BTreeMap::from([(environment(), Past::default()), (LeaseKey::Run(run.clone()), Past::default())]),
            despite_newer: false,
            terms: Terms::default(),
        };
        let mut taken_over = 0;
        let mut hear = |notice| taken_over += u32::from(matches!(notice, kiln_runner::store::Notice::TakenOver { .. }));
        let acquired = Leases::acquire(&Store::Shared(self.table.clone()), claim, &mut hear).await;
        self.count(|tally| {
            tally.taken_over += taken_over;
            tally.refused += u32::from(acquired.is_err());
        });
        acquired.ok()
    }

    async fn deploy(&mut self, run: &RunId, leases: Leases) {
        let fence = leases.fences(0).iter().find(|fence| fence.environment.is_some()).map_or(0, |fence| fence.fence);
        self.pause().await;
        let Ok(journal) = self.journal(run, &leases).await else {
            self.count(|tally| tally.fenced += 1);
            return;
        };
        for seq in 0..2 {
            if journal.append_durable(&record(2 * seq)).await.is_err() {
                self.count(|tally| tally.fenced += 1);
                return;
            }
            self.pause().await;
            if self.checks.guard && leases.guard().is_err() {
                self.count(|tally| tally.guarded += 1);
                return;
            }
            // Nothing waits between the guard and the write.
            self.write_to_the_world(fence);
            self.pause().await;
            if journal.append_durable(&record(2 * seq + 1)).await.is_err() {
                self.count(|tally| tally.fenced += 1);
                return;
            }
        }
        match self.chance.below(5) {
            // As when the process is killed.
            0 => self.count(|tally| tally.crashed += 1),
            _ => drop(leases.end(LeaseEnding::Released).await),
        }
    }

    async fn journal(&self, run: &RunId, leases: &Leases) -> Result<Journal, Box<dyn std::error::Error>> {
        let directory = journal::run_dir(&self.state, run);
        let start = start(&directory, run)?;
        let journal = Journal::create(&directory, &start)?;
        if self.checks.condition {
            let carrier = Carrier::new(self.table.clone(), run.clone(), directory, leases.clone(), []);
            journal.replicate(Arc::new(carrier), 0)?;
        }
        for fence in leases.fences(start.at) {
            journal.append(&Record::Fence(fence))?;
        }
        journal.sync().await?;
        Ok(journal)
    }

    /// Deploy. Whether another has the lease by now is for the table itself to say.
    fn write_to_the_world(&self, fence: u64) {
        let there = fence_in(&self.backend, &name_of(self.seed));
        self.count(|tally| {
            tally.deployed += 1;
            if there != fence {
                tally.violations.push(format!(
                    "KILN_SEED={}: runner {} deploys under fence {fence}, and the lease has {there}",
                    self.seed, self.name
                ));
            }
        });
    }
}

/// The table of a schedule.
fn name_of(seed: u64) -> String {
    format!("kiln-{seed}")
}

/// The fence of the environment's lease, as the table has it.
fn fence_in(backend: &Arc<dyn Backend>, table: &str) -> u64 {
    let key = json!({ "pk": { "S": "leases" }, "sk": { "S": "lease#111111111111#production" } });
    let answer = asked(backend, "GetItem", &json!({ "TableName": table, "Key": key, "ConsistentRead": true }));
    let fence = answer.pointer("/Item/fence/N").and_then(Value::as_str).unwrap_or_else(|| panic!("no fence: {answer}"));
    fence.parse().unwrap_or_else(|error| panic!("{fence}: {error}"))
}

fn make_table(backend: &Arc<dyn Backend>, table: &str) {
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let request = json!({
        "TableName": table, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [attribute("pk"), attribute("sk")],
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
    });
    asked(backend, "CreateTable", &request);
}

fn asked(backend: &Arc<dyn Backend>, operation: &str, request: &Value) -> Value {
    let answer = backend.answer(operation, request.to_string().as_bytes());
    assert_eq!(answer.status(), 200, "{operation}: {}", String::from_utf8_lossy(answer.body()));
    serde_json::from_slice(answer.body()).unwrap_or_else(|error| panic!("{operation}: {error}"))
}

fn environment() -> LeaseKey {
    let account = "111111111111".parse().unwrap_or_else(|error| panic!("{error}"));
    let environment = "production".parse().unwrap_or_else(|error| panic!("{error}"));
    LeaseKey::Environment { account, environment }
}

fn record(seq: u64) -> Record {
    let stage = "deploy".parse().unwrap_or_else(|error| panic!("{error}"));
    let call = CallKey { stage, attempt: 1, phase: Phase::Run, seq };
    Record::LocalRead(LocalRead { call, what: "clock".to_owned(), value: Sealed::structure(seq.into()) })
}

/// The first record of a run.
pub(crate) fn start(directory: &std::path::Path, run: &RunId) -> Result<RunStart, Box<dyn std::error::Error>> {
    Ok(RunStart {
        format: journal::FORMAT,
        kiln_version: "0.1.0".to_owned(),
        run: run.clone(),
        pipeline: "web".parse()?,
        file: "web.toml".to_owned(),
        source: journal::attach(directory, b"[pipeline]\n")?,
        inputs: BTreeMap::new(),
        env: BTreeMap::new(),
        stages: Vec::new(),
        plugins: BTreeMap::new(),
        files: BTreeMap::new(),
        engine: "engine".to_owned(),
        account: "111111111111".parse()?,
        region: "us-west-2".parse()?,
        clock_scale: 1.0,
        clock_origin: START,
        store: None,
        at: START,
    })
}

/// One schedule: two runners in virtual time.
fn schedule(seed: u64, checks: Checks, backend: &Arc<dyn Backend>, state: &std::path::Path) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let tally = Arc::new(Mutex::new(Tally::default()));
    runtime.block_on(async {
        let region: Region = "us-west-2".parse().unwrap_or_else(|error| panic!("{error}"));
        let address = format!("dynamodb://{}", name_of(seed)).parse().unwrap_or_else(|error| panic!("{error}"));
        let mut runners = tokio::task::JoinSet::new();
        for name in 0..2 {
            let mut chance = Chance::of_seed(seed.wrapping_mul(2) + name);
            let weather = Weather { latency: 200, lost: 2 };
            let way = Unsteady::to(Arc::clone(backend), weather, Chance::of_seed(chance.below(u64::MAX)));
            let clock = Clock::starting_at(START, 1.0);
            let connection = Connection::in_process(&region, way.clone(), clock);
            let table = Table::open(&connection, &address, &region).await;
            let state = state.join(format!("{seed}-{name}"));
            let (tally, backend) = (Arc::clone(&tally), Arc::clone(backend));
            runners.spawn(Runner { name, seed, checks, chance, way, backend, table, state, tally }.live());
        }
        runners.join_all().await;
    });
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.clone()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Try schedules on all processors, each on a table of its own, and add up what came of them.
fn schedules(count: u64, checks: Checks, table: impl Fn(u64) -> Arc<dyn Backend> + Sync) -> Tally {
    let first = number("KILN_SEED").unwrap_or(1);
    let state = in_memory();
    let next = std::sync::atomic::AtomicU64::new(0);
    let sum = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let one = schedule(first + index, checks, &table(first + index), state.path());
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    sum.deployed += one.deployed;
                    sum.refused += one.refused;
                    sum.taken_over += one.taken_over;
                    sum.guarded += one.guarded;
                    sum.fenced += one.fenced;
                    sum.crashed += one.crashed;
                    sum.violations.extend(one.violations);
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{count} schedules from KILN_SEED={first} with {checks:?}: {} deployments, {} refused, {} taken over, {} stopped by the \
         guard, {} by the store, {} crashed, {} violations",
        sum.deployed,
        sum.refused,
        sum.taken_over,
        sum.guarded,
        sum.fenced,
        sum.crashed,
        sum.violations.len()
    );
    sum
}

/// A directory in memory where there is one: thousands of journals are synced.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap_or_else(|error| panic!("{error}"))
}

fn in_dynamo(_: u64) -> Arc<dyn Backend> {
    Arc::new(Dynamo::new())
}

const CHECKED: Checks = Checks { guard: true, condition: true };

#[test]
fn of_two_runners_at_most_one_deploys() {
    let tally = schedules(number("KILN_SCHEDULES").unwrap_or(SCHEDULES), CHECKED, in_dynamo);
    assert_eq!(tally.violations, Vec::<String>::new());
    // Schedules in which nothing happens prove nothing.
    for (what, count) in [
        ("deployed", tally.deployed),
        ("was refused", tally.refused),
        ("took over", tally.taken_over),
        ("was stopped by the guard", tally.guarded),
        ("was stopped by the store", tally.fenced),
        ("crashed", tally.crashed),
    ] {
        assert!(count > 0 || number("KILN_SCHEDULES").is_some(), "nobody {what}: {tally:?}");
    }
}

#[test]
fn of_two_runners_at_most_one_deploys_on_moto() {
    let moto = Moto::start().unwrap_or_else(|error| panic!("{error}"));
    let served: Arc<dyn Backend> = Arc::new(Served::at(moto.address));
    let tally = schedules(number("KILN_SCHEDULES").unwrap_or(SCHEDULES_ON_MOTO), CHECKED, |seed| {
        make_table(&served, &name_of(seed));
        Arc::clone(&served)
    });
    assert_eq!(tally.violations, Vec::<String>::new());
    for (what, count) in [("deployed", tally.deployed), ("was refused", tally.refused), ("took over", tally.taken_over)]
    {
        assert!(count > 0, "nobody {what}: {tally:?}");
    }
}

#[test]
fn without_the_checks_two_runners_deploy_at_once() {
    let without = schedules(100, Checks { guard: false, condition: false }, in_dynamo);
    assert!(!without.violations.is_empty(), "a harness that cannot fail proves nothing");
    // A record that counts says nothing of the moment at which the write is sent: that is what the guard is for.
    let unguarded = schedules(100, Checks { guard: false, condition: true }, in_dynamo);
    assert!(!unguarded.violations.is_empty(), "a harness that cannot fail proves nothing");
}
