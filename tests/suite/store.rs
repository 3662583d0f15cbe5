//! Runs and leases that machines share: what is written on one is gone on with on another, and one run deploys at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_runner::aws::clients::Connection;
use kiln_runner::clock::Clock;
use kiln_runner::journal::{CallKey, Journal, JournalError, LocalRead, Phase, Record, read, run_dir};
use kiln_runner::rehearse::START;
use kiln_runner::secrets::redact::Sealed;
use kiln_runner::store::{
    Carrier, Holding, LeaseClaim, LeaseEnding, LeaseError, LeaseKey, Leases, Past, Released, Store, StoreError, Table,
    Terms, fetch, list_leases, list_shared, release,
};
use kiln_runner::types::{Region, RunId};
use kiln_tests::{
    Account, Chance, Dynamo, Guest, Kiln, Outcome, Running, SharedAccount, Unsteady, Weather, World, repository,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::emulators::Moto;
use crate::schedules::start;

type Checked = Result<(), Box<dyn std::error::Error>>;

/// Terms that tests have the time for.
const SHORT: Duration = Duration::from_secs(2);

fn production() -> LeaseKey {
    let account = "111111111111".parse().unwrap_or_else(|error| panic!("{error}"));
    LeaseKey::Environment { account, environment: "production".parse().unwrap_or_else(|error| panic!("{error}")) }
}

fn claim(run: &RunId, fence: Option<u64>) -> LeaseClaim {
    LeaseClaim {
        run: run.clone(),
        leases: BTreeMap::from([(production(), Past { fence }), (LeaseKey::Run(run.clone()), Past::default())]),
        despite_newer: false,
        terms: Terms::of(SHORT),
    }
}

async fn acquire(table: &Table, claim: LeaseClaim) -> Result<Leases, LeaseError> {
    Leases::acquire(&Store::Shared(table.clone()), claim, &mut |_| {}).await
}

fn record(seq: u64, value: String) -> Record {
    let stage = "deploy".parse().unwrap_or_else(|error| panic!("{error}"));
    let call = CallKey { stage, attempt: 1, phase: Phase::Run, seq };
    Record::LocalRead(LocalRead { call, what: "clock".to_owned(), value: Sealed::structure(value.into()) })
}

/// The journal of a run in `state` that is carried to `table`.
async fn carried(
    state: &Path,
    table: &Table,
    run: &RunId,
    leases: &Leases,
) -> Result<Journal, Box<dyn std::error::Error>> {
    let directory = run_dir(state, run);
    let journal = Journal::create(&directory, &start(&directory, run)?)?;
    let carrier = Carrier::new(table.clone(), run.clone(), directory, leases.clone(), []);
    journal.replicate(Arc::new(carrier), 0)?;
    journal.sync().await?;
    Ok(journal)
}

fn region() -> Region {
    "us-west-2".parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A table in memory, on a way on which so many of a hundred requests and answers are lost, in virtual time.
fn in_memory(lost: u64, check: impl AsyncFnOnce(&Table, &Dynamo) -> Checked) -> Checked {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let dynamo = Dynamo::new();
        let way = Unsteady::to(Arc::new(dynamo.clone()), Weather { latency: 2, lost }, Chance::of_seed(7));
        let connection = Connection::in_process(&region(), way, Clock::starting_at(START, 1.0));
        let table = Table::open(&connection, &"dynamodb://kiln".parse()?, &region()).await;
        check(&table, &dynamo).await
    })
}

/// The same on the simulator and on moto, over HTTP in the world's time: what passes in memory must pass there.
fn on_all(check: impl AsyncFn(&Table) -> Checked) -> Checked {
    in_memory(0, async |table: &Table, _: &Dynamo| check(table).await)?;
    let moto = Moto::start()?;
    let account = Account::at_scale(&World::of(""), 1.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (name, url) in [("the simulator", account.url()), ("moto", moto.url.clone())] {
        let checked: Checked = runtime.block_on(async {
            let connection = Connection::to_simulator(&region(), &url);
            make_table(&connection).await?;
            check(&Table::open(&connection, &"dynamodb://kiln".parse()?, &region()).await).await
        });
        checked.map_err(|error| format!("on {name}: {error}"))?;
    }
    Ok(())
}

async fn make_table(connection: &Connection) -> Checked {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType::S,
    };
    let dynamodb = connection.clients(&region(), None).await.dynamodb();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let attribute = |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(S).build();
    let make = dynamodb.create_table().table_name("kiln").billing_mode(BillingMode::PayPerRequest);
    let make = make.key_schema(key("pk", KeyType::Hash)?).key_schema(key("sk", KeyType::Range)?);
    make.attribute_definitions(attribute("pk")?).attribute_definitions(attribute("sk")?).send().await?;
    Ok(())
}

#[test]
fn a_journal_is_carried_and_fetched_elsewhere() -> Checked {
    on_all(async |table: &Table| {
        let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let run = RunId::seeded(START, 1);
        let leases = acquire(table, claim(&run, None)).await?;
        let journal = carried(here.path(), table, &run, &leases).await?;
        // More than an item holds, in many frames and in one.
        for seq in 0..12 {
            journal.append(&record(seq, "a frame ".repeat(7_000)))?;
        }
        journal.append_durable(&record(12, "a blob ".repeat(130_000))).await?;
        journal.append_durable(&record(13, "the last".to_owned())).await?;

        let fetched = fetch(table, &run, there.path()).await?;
        let original = read(journal.path())?;
        assert_eq!(read(&fetched.dir.join("journal"))?, original);
        assert_eq!(fetched.frames, original.entries.len() as u64);
        assert_eq!(std::fs::read(fetched.dir.join("journal"))?, std::fs::read(journal.path())?);
        // Again, when there is more, and when there is nothing new.
        journal.append_durable(&record(14, "and one more".to_owned())).await?;
        for _ in 0..2 {
            fetch(table, &run, there.path()).await?;
            assert_eq!(read(&fetched.dir.join("journal"))?, read(journal.path())?);
        }
        let listed = list_shared(table, 10).await?;
        assert_eq!(listed.iter().map(|listed| &listed.run).collect::<Vec<_>>(), [&run]);
        leases.end(LeaseEnding::Released).await?;
        Ok(())
    })
}

#[test]
fn a_copy_that_is_another_is_never_taken_for_the_run() -> Checked {
    in_memory(0, async |table: &Table, _: &Dynamo| {
        let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let run = RunId::seeded(START, 1);
        let leases = acquire(table, claim(&run, None)).await?;
        let journal = carried(here.path(), table, &run, &leases).await?;
        let fetched = fetch(table, &run, there.path()).await?;

        // The copy is ahead by what was never carried: it is kept, and is what goes on.
        let (ahead, _) = Journal::reopen(&fetched.dir)?;
        ahead.append_durable(&record(0, "never carried".to_owned())).await?;
        drop(ahead);
        assert_eq!(fetch(table, &run, there.path()).await?.frames, 1);
        assert_eq!(read(&fetched.dir.join("journal"))?.entries.len(), 2);

        // The run went on elsewhere.
        journal.append_durable(&record(0, "carried".to_owned())).await?;
        let error = fetch(table, &run, there.path()).await.err().ok_or("the copies differ")?;
        assert!(matches!(&error, StoreError::Differs { frame: 1, .. }), "{error}");

        // A frame that a crash tore off is no difference.
        let copy = fetched.dir.join("journal");
        let bytes = std::fs::read(&copy)?;
        std::fs::write(&copy, bytes.get(..bytes.len() - 3).unwrap_or_default())?;
        fetch(table, &run, there.path()).await?;
        assert_eq!(read(&copy)?, read(journal.path())?);
        Ok(())
    })
}

#[test]
fn whoever_was_taken_over_writes_nothing_more() -> Checked {
    on_all(async |table: &Table| {
        let state = tempfile::tempdir()?;
        let (one, two) = (RunId::seeded(START, 1), RunId::seeded(START, 2));
        let leases = acquire(table, claim(&one, None)).await?;
        let journal = carried(state.path(), table, &one, &leases).await?;
        assert!(leases.guard().is_ok());
        let refused = acquire(table, claim(&two, None)).await;
        assert!(matches!(refused, Err(LeaseError::Held { .. })), "its heart beats: {refused:?}");

        let Released::Freed { now, .. } = release(&Store::Shared(table.clone()), &production(), "it hangs").await?
        else {
            return Err("it was held".into());
        };
        assert_eq!((now.fence, now.state), (2, Holding::Free));
        let others = acquire(table, claim(&two, None)).await?;
        let error = journal.append_durable(&record(0, "an intent".to_owned())).await.err().ok_or("it was fenced")?;
        assert!(matches!(&error, JournalError::TakenOver { by } if by.contains(two.as_str())), "{error}");
        let error = journal.append_durable(&record(1, "more".to_owned())).await.err().ok_or("it was fenced")?;
        assert!(matches!(error, JournalError::Poisoned { .. }), "{error}");
        // The heartbeat finds out as well.
        tokio::time::sleep(SHORT).await;
        assert!(matches!(leases.guard(), Err(LeaseError::Lost { .. })));
        assert!(others.guard().is_ok());

        leases.end(LeaseEnding::Parked).await?;
        others.end(LeaseEnding::Released).await?;
        let again = acquire(table, claim(&one, Some(1))).await;
        assert!(matches!(again, Err(LeaseError::Newer { .. })), "{again:?}");
        let despite = acquire(table, LeaseClaim { despite_newer: true, ..claim(&one, Some(1)) }).await?;
        despite.end(LeaseEnding::Parked).await?;
        let refused = acquire(table, claim(&two, None)).await;
        assert!(matches!(refused, Err(LeaseError::Parked { .. })), "{refused:?}");
        let kept = list_leases(&Store::Shared(table.clone())).await?;
        let [kept] = kept.as_slice() else { return Err(format!("{kept:?}").into()) };
        assert_eq!((kept.lease.state, &kept.lease.run), (Holding::Parked, &one));
        Ok(())
    })
}

#[test]
fn a_lease_whose_runner_is_dead_is_taken_over() -> Checked {
    on_all(async |table: &Table| {
        let (one, two) = (RunId::seeded(START, 1), RunId::seeded(START, 2));
        drop(acquire(table, claim(&one, None)).await?);
        let began = tokio::time::Instant::now();
        let mut told = Vec::new();
        let store = Store::Shared(table.clone());
        let leases = Leases::acquire(&store, claim(&two, None), &mut |notice| told.push(notice)).await?;
        assert!(began.elapsed() >= SHORT + SHORT / 4, "{:?}", began.elapsed());
        assert_eq!(told.len(), 2, "that it waits, and from whom it took it: {told:?}");
        let fence = leases.fences(0).into_iter().find(|fence| fence.environment.is_some()).map(|fence| fence.fence);
        assert_eq!(fence, Some(2));
        Ok(())
    })
}

#[test]
fn answers_that_are_lost_change_nothing() -> Checked {
    in_memory(20, async |table: &Table, dynamo: &Dynamo| {
        let state = tempfile::tempdir()?;
        let mut fences = Vec::new();
        for number in 0..10 {
            let run = RunId::seeded(START, number);
            let Ok(leases) = acquire(table, LeaseClaim { terms: Terms::default(), ..claim(&run, None) }).await else {
                // Six attempts in a row can be lost; then the lease is as a crash leaves it.
                continue;
            };
            fences.extend(leases.fences(0).into_iter().filter(|fence| fence.environment.is_some()));
            if let Ok(journal) = carried(state.path(), table, &run, &leases).await {
                for seq in 0..10 {
                    if journal.append_durable(&record(seq, format!("{seq}"))).await.is_err() {
                        break;
                    }
                }
                let carried = dynamo.sorts(&format!("run#{run}"));
                assert!(carried.iter().filter(|sort| sort.starts_with("frame#")).count() > 5, "{carried:?}");
            }
            drop(leases.end(LeaseEnding::Released).await);
        }
        assert!(fences.len() > 5, "{fences:?}");
        assert!(fences.is_sorted_by(|one, two| one.fence < two.fence), "a fence is never given twice: {fences:?}");
        Ok(())
    })
}

#[test]
fn whoever_cannot_renew_does_not_write() -> Checked {
    in_memory(0, async |table: &Table, dynamo: &Dynamo| {
        let run = RunId::seeded(START, 1);
        let leases = acquire(table, claim(&run, None)).await?;
        tokio::time::sleep(SHORT * 10).await;
        assert!(leases.guard().is_ok(), "it renews");
        // Somebody deletes the item.
        dynamo.change("leases", "lease#111111111111#production", |item| item.clear());
        tokio::time::sleep(SHORT).await;
        let error = leases.guard().err().ok_or("it is lost")?;
        assert!(matches!(error, LeaseError::Lost { .. }), "{error}");
        Ok(())
    })
}

/// Wait until the journal of what `running` does holds `text`.
fn wait_for(running: Running, text: &str) -> Running {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let runs = std::fs::read_dir(running.directory().join(".kiln/runs")).into_iter().flatten().flatten();
        let journals = runs.map(|run| std::fs::read(run.path().join("journal")).unwrap_or_default());
        if journals.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).any(|journal| journal.contains(text)) {
            return running;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    send(&running, Signal::TERM);
    panic!("{text} does not come: {}", running.end().all());
}

fn send(running: &Running, signal: Signal) {
    let process = Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("{} is no process", running.id()));
    kill_process(process, signal).unwrap_or_else(|error| panic!("{error}"));
}

/// A run in the environment `production` that waits for so many seconds of a clock that goes 60 times as fast as the world's.
fn deploying(kiln: Kiln, name: &str, seconds: u64) -> Kiln {
    let wait = format!(r#"(call $sleep (i64.const {})) (call $ok (str "{{}}"))"#, seconds * 1_000);
    let pipeline = format!(
        "[pipeline]\nname = \"{name}\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
         [environments.production]\naccount = \"111111111111\"\n\
         [stages.only]\nplugin = \"guest\"\nenvironment = \"production\"\ntimeout = \"2h\"\n"
    );
    kiln.file("pipeline.toml", pipeline).file("guest.wasm", Guest::new(&wait).build())
}

/// Short enough to wait for, and long enough for a machine that does much else.
const LEASE: &str = "8s";

const RUN: [&str; 4] = ["run", "pipeline.toml", "--output", "json"];

#[test]
fn a_run_of_a_machine_that_is_gone_goes_on_on_another() {
    // A lease is waited for in the world's time: on a faster clock the stages' timeouts would pass meanwhile.
    let account = SharedAccount::at_scale(&World::web_service(), 60.0);
    let pipeline = std::fs::read(repository().join("pipelines/web-service.toml")).unwrap_or_default();
    let mut outcome: Option<Outcome> = None;
    for action in ["codebuild:BatchGetBuilds", "ecs:UpdateService", "cloudwatch:DescribeAlarms"] {
        let kiln = match outcome {
            None => account
                .kiln(["run", "web-service.toml", "--input", "commit=4f2a9c1", "--output", "json"])
                .file("web-service.toml", &pipeline),
            // In an empty directory: what it needs comes from the store.
            Some(_) => account.kiln(["resume", "--output", "json"]),
        };
        let running = kiln.env("KILN_LEASE_TTL", LEASE).start();
        let running = wait_for(running, action);
        send(&running, Signal::KILL);
        outcome = Some(running.end());
    }
    let resumed = account.kiln(["resume", "--output", "json"]).env("KILN_LEASE_TTL", LEASE).run();
    assert_eq!(resumed.code(), Some(0), "{}", resumed.all());
    for action in ["codebuild:StartBuild", "ecs:RegisterTaskDefinition", "ecs:UpdateService", "ecr:BatchDeleteImage"] {
        assert_eq!(account.count(action), 1, "{action}: {}", resumed.all());
    }
    let stages = resumed.stages();
    assert_eq!(stages.iter().filter(|stage| stage.ends_with(" done")).count(), 5, "{stages:?}");

    let listed = account.kiln(["runs", "--output", "json"]).run();
    assert!(listed.stdout().contains("\"state\": \"done\""), "{}", listed.all());
    let leases = account.kiln(["lease", "list", "--output", "json"]).run();
    assert!(leases.stdout().contains("\"state\": \"free\""), "{}", leases.all());
    let shown = account.kiln(["show"]).run();
    assert!(shown.stdout().contains("deploy"), "{}", shown.all());
}

#[test]
fn one_run_deploys_to_an_environment_at_a_time_whatever_the_machine() {
    let account = SharedAccount::at_scale(&World::of(""), 60.0);
    let first = deploying(account.kiln(RUN), "first", 900).env("KILN_LEASE_TTL", LEASE).start();
    let first = wait_for(first, "\"record\":\"timer\"");
    let second = deploying(account.kiln(RUN), "second", 120).env("KILN_LEASE_TTL", LEASE).run();
    assert_eq!(second.code(), Some(3), "{}", second.all());
    assert!(second.stderr().contains("environment `production`"), "{}", second.all());
    assert!(!second.directory().join(".kiln/runs").exists(), "a run that was refused leaves nothing");
    let first = first.end();
    assert_eq!(first.code(), Some(0), "{}", first.all());
    let second = second.then(RUN).env("AWS_ENDPOINT_URL", &account.url()).scale(60.0).run();
    assert_eq!(second.code(), Some(0), "without `--store` it is alone: {}", second.all());
}

#[test]
fn whoever_waits_for_a_lease_need_not_wait_to_be_ended() {
    let account = SharedAccount::at_scale(&World::of(""), 60.0);
    let killed = wait_for(deploying(account.kiln(RUN), "first", 900).start(), "\"record\":\"timer\"");
    send(&killed, Signal::KILL);
    killed.end();
    // Nobody can know that it is dead before its lease is over, a minute later.
    let waiting = deploying(account.kiln(RUN), "second", 120).start();
    heeds_interrupts(&waiting);
    send(&waiting, Signal::INT);
    let outcome = waiting.end();
    assert_eq!(outcome.code(), Some(130), "{}", outcome.all());
    assert!(!outcome.directory().join(".kiln/runs").exists(), "a run that never began leaves nothing");
}

/// Wait until a process has a handler for SIGINT, which would end it until then.
fn heeds_interrupts(running: &Running) {
    let status = format!("/proc/{}/status", running.id());
    let caught = || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 0b10 != 0)
    };
    while !caught() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_runner_whose_environment_was_released_sends_nothing_more() {
    let account = SharedAccount::at_scale(&World::web_service(), 60.0);
    let pipeline = std::fs::read(repository().join("pipelines/web-service.toml")).unwrap_or_default();
    let running = account
        .kiln(["run", "web-service.toml", "--input", "commit=4f2a9c1", "--output", "json"])
        .file("web-service.toml", &pipeline)
        .start();
    let running = wait_for(running, "codebuild:BatchGetBuilds");
    let released = account.kiln(["lease", "release", "production", "--reason", "it hangs"]).run();
    assert_eq!(released.code(), Some(0), "{}", released.all());
    let outcome = running.end();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    assert!(outcome.stderr().contains("it hangs"), "{}", outcome.all());
    assert_eq!(account.count("ecs:UpdateService"), 0, "{}", outcome.all());
    // Nobody else has held it: it goes on, on this machine too.
    let resumed = account.kiln(["resume", "--output", "json"]).env("KILN_LEASE_TTL", LEASE).run();
    assert_eq!(resumed.code(), Some(0), "{}", resumed.all());
    assert_eq!(account.count("ecs:UpdateService"), 1, "{}", resumed.all());
}

#[test]
fn a_run_ends_before_it_sends_what_the_store_does_not_take() {
    let account = SharedAccount::at_scale(&World::web_service(), 60.0);
    let pipeline = std::fs::read(repository().join("pipelines/web-service.toml")).unwrap_or_default();
    let running = account
        .kiln(["run", "web-service.toml", "--input", "commit=4f2a9c1", "--output", "json"])
        .file("web-service.toml", &pipeline)
        .env("KILN_LEASE_TTL", LEASE)
        .start();
    let running = wait_for(running, "codebuild:BatchGetBuilds");
    account.refuse(true);
    let outcome = running.end();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    assert_eq!(account.count("ecs:UpdateService"), 0, "{}", outcome.all());
    account.refuse(false);
    let resumed = outcome
        .then(["resume", "--output", "json"])
        .env("AWS_ENDPOINT_URL", &account.url())
        .env("KILN_LEASE_TTL", LEASE)
        .run();
    assert_eq!(resumed.code(), Some(0), "the journal says where the run is shared: {}", resumed.all());
    assert_eq!(account.count("ecs:UpdateService"), 1, "{}", resumed.all());
}

#[test]
fn on_one_machine_a_run_that_stopped_keeps_its_environment() {
    let account = Account::at_scale(&World::of(""), 60.0);
    let running = deploying(account.kiln(RUN), "first", 120).start();
    let running = wait_for(running, "\"record\":\"timer\"");
    let state = running.directory().join(".kiln").display().to_string();
    let elsewhere = |arguments: &[&str]| account.kiln(arguments.iter().copied()).args(["--state-dir", &state]);

    let second = deploying(elsewhere(&RUN), "second", 120).run();
    assert_eq!(second.code(), Some(3), "{}", second.all());
    assert!(second.stderr().contains("is being deployed to by run"), "{}", second.all());
    let release = ["lease", "release", "production", "--reason", "impatience"];
    let refused = elsewhere(&release).run();
    assert_eq!(refused.code(), Some(3), "{}", refused.all());
    assert!(refused.stderr().contains("is held by a process that lives"), "{}", refused.all());

    send(&running, Signal::TERM);
    let outcome = running.end();
    assert_eq!(outcome.code(), Some(143), "{}", outcome.all());
    let second = deploying(elsewhere(&RUN), "second", 120).run();
    assert_eq!(second.code(), Some(3), "{}", second.all());
    assert!(
        second.stderr().contains("kiln resume") && second.stderr().contains("kiln lease release"),
        "{}",
        second.all()
    );
    let listed = elsewhere(&["lease", "list"]).run();
    assert!(listed.stdout().contains("parked"), "{}", listed.all());

    assert_eq!(elsewhere(&["lease", "release", "production"]).run().code(), Some(2), "a reason is wanted");
    let released = elsewhere(&release).run();
    assert_eq!(released.code(), Some(0), "{}", released.all());
    let second = deploying(elsewhere(&RUN), "second", 120).run();
    assert_eq!(second.code(), Some(0), "{}", second.all());

    let resumed = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(resumed.code(), Some(3), "{}", resumed.all());
    assert!(resumed.stderr().contains("--despite-newer-run"), "{}", resumed.all());
    let despite = ["resume", "--output", "json", "--despite-newer-run"];
    let resumed = resumed.then(despite).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(resumed.code(), Some(0), "{}", resumed.all());
    let runs = elsewhere(&["runs"]).run();
    assert_eq!(runs.stdout().matches(" done").count(), 2, "{}", runs.all());
}

#[test]
fn an_environment_of_a_run_that_was_killed_is_free_for_others() {
    let account = Account::at_scale(&World::of(""), 60.0);
    let running = deploying(account.kiln(RUN), "first", 120).start();
    let running = wait_for(running, "\"record\":\"timer\"");
    send(&running, Signal::KILL);
    let killed = running.end();
    let state = killed.directory().join(".kiln").display().to_string();
    let second = deploying(account.kiln(RUN).args(["--state-dir", &state]), "second", 120).run();
    assert_eq!(second.code(), Some(0), "{}", second.all());
    assert!(second.stdout().contains("died in the middle"), "{}", second.all());
}
