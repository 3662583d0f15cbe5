//! Journals of real runs: cut at every byte, with bits that flip, and those of older releases.
//!
//! `KILN_GOLDEN=write` makes the golden journals of this release anew; see tests/golden/README.md.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kiln_runner::event::{Failure, RunOutcome};
use kiln_runner::journal::{
    self, CallKey, Decider, JournalError, Phase, Reconciled, Record, RunEnd, Stuck, Tail, Verdict,
};
use kiln_runner::plugin::Engine;
use kiln_runner::run::Resumable;
use kiln_tests::component::{component_of, released_contract};
use kiln_tests::{Account, Chance, Guest, Still, World, repository, run_in};

/// The journal of a real run, by the real binary, of the first two stages of the web service.
fn real_journal() -> (tempfile::TempDir, PathBuf) {
    let text = fs::read_to_string(repository().join("bench/web-service.toml")).unwrap_or_default();
    let (two_stages, _) =
        text.split_once("[stages.deploy]").unwrap_or_else(|| panic!("the pipeline has no stage deploy"));
    let world = fs::read_to_string(repository().join("bench/web-service.world.toml")).unwrap_or_default();
    let account = Account::at_scale(&World::parse(&world), 100.0);
    let outcome = account
        .kiln(["run", "pipeline.toml", "--input", "commit=4f2a9c1", "--output", "json"])
        .file("pipeline.toml", two_stages)
        .run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let kept = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let directory = run_in(&outcome.directory().join(".kiln"));
    fs::create_dir(kept.path().join("blobs")).unwrap_or_else(|error| panic!("{error}"));
    for name in fs::read_dir(directory.join("blobs")).into_iter().flatten().flatten() {
        let _ = fs::copy(name.path(), kept.path().join("blobs").join(name.file_name()));
    }
    let journal = kept.path().join("journal");
    fs::copy(directory.join("journal"), &journal).unwrap_or_else(|error| panic!("{error}"));
    (kept, journal)
}

fn records(path: &Path) -> Vec<Record> {
    let recording = journal::read(path).unwrap_or_else(|error| panic!("{error}"));
    recording.entries.into_iter().map(|entry| entry.record).collect()
}

#[test]
fn a_real_journal_that_is_cut_at_any_byte_gives_back_what_was_whole() {
    let (_kept, path) = real_journal();
    let all = records(&path);
    let bytes = fs::read(&path).unwrap_or_default();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap_or_else(|error| panic!("{error}"));
    let mut before = all.len();
    for cut in (0..bytes.len() as u64).rev() {
        file.set_len(cut).unwrap_or_else(|error| panic!("{error}"));
        let recording = match journal::read(&path) {
            Ok(recording) => recording,
            Err(JournalError::Header { .. }) if cut < 32 => continue,
            Err(error) => panic!("cut at {cut}: {error}"),
        };
        let whole = recording.entries.len();
        assert!(whole == before || whole + 1 == before, "cut at {cut}: {whole} records, and {before} at the next byte");
        let same = recording.entries.iter().zip(&all).all(|(entry, record)| entry.record == *record);
        assert!(same, "cut at {cut}: other records than there were");
        before = whole;
    }
    assert!(all.len() > 20, "it was a real run: {} records", all.len());
}

#[test]
fn bits_that_flip_in_a_real_journal_are_found_or_cost_its_tail() {
    let (_kept, path) = real_journal();
    let all = records(&path);
    let bytes = fs::read(&path).unwrap_or_default();
    let seed = std::env::var("KILN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_127);
    let mut chance = Chance::of_seed(seed);
    let (mut found, mut torn) = (0, 0);
    for flip in 0..20_000 {
        let bit = chance.below(bytes.len() as u64 * 8) as usize;
        let mut rotten = bytes.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &rotten).unwrap_or_else(|error| panic!("{error}"));
        match journal::read(&path) {
            Err(_) => found += 1,
            Ok(recording) => {
                torn += 1;
                assert_ne!(recording.tail, Tail::Clean, "KILN_SEED={seed}, flip {flip}: bit {bit} was not noticed");
                let same = recording.entries.iter().zip(&all).all(|(entry, record)| entry.record == *record);
                assert!(same && recording.entries.len() < all.len(), "KILN_SEED={seed}: bit {bit} changed a record");
            }
        }
    }
    println!("{found} found, {torn} cost the tail");
    assert!(found > 15_000, "{found}");
}

/// A golden journal: how it is made, and what its resume comes to.
struct Golden {
    name: &'static str,
    pipeline: &'static str,
    guest: fn() -> Guest,
    /// The journal ends behind the first record for which this holds.
    cut: fn(&Record) -> bool,
    /// What is written behind it.
    more: fn(&CallKey) -> Vec<Record>,
    /// How the resumed run ends.
    outcome: RunOutcome,
    /// How often an image is put as it is resumed.
    puts: usize,
}

const ONE_STAGE: &str = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
                         [stages.only]\nplugin = \"guest\"\ntimeout = \"2d\"\n";
const RETRIED: &str = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
                       [stages.only]\nplugin = \"guest\"\nretry = { attempts = 3, backoff = \"10s\" }\n";
const UNDONE: &str = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
                      [stages.only]\nplugin = \"guest\"\non-failure = \"undo\"\n";
const SECRET: &str = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
                      [secrets.token]\nid = \"golden\"\n\
                      [stages.only]\nplugin = \"guest\"\nwith = { token = \"${secrets.token}\" }\n";

const WORLD: &str =
    "[[repositories]]\nname = \"web\"\n[[secrets]]\nname = \"golden\"\nvalue = \"a-value-of-some-length\"\n";

const PUT: &str = r#"(call $put-image (str "web") (str "{\"schemaVersion\":2}") (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 1) (str "v1") (i32.const 256))"#;

fn asking(body: &str) -> Guest {
    Guest::new(body)
        .asking("sts:GetCallerIdentity", &["*"])
        .asking("ecr:DescribeImages", &["arn:${partition}:ecr:${region}:${account}:repository/*"])
        .asking("ecr:PutImage", &["arn:${partition}:ecr:${region}:${account}:repository/*"])
}

/// Everything that a guest can ask for.
fn busy() -> Guest {
    asking(&format!(
        r#"(drop (call $now)) (call $identity (i32.const 0) (i32.const 256)) (call $remember (str "a") (str "b"))
        (call $images (i32.const 256)) (call $sleep (i64.const 5000)) {PUT} (call $sleep (i64.const 60000))
        (call $identity (i32.const 0) (i32.const 256)) (call $ok (str "{{\"made\":\"v1\"}}"))"#
    ))
}

fn failing() -> Guest {
    asking(r#"(call $identity (i32.const 0) (i32.const 256)) (call $fail (i32.const 5) (str "no luck"))"#)
}

fn undoable() -> Guest {
    let mut guest =
        asking(&format!(r#"(call $remember (str "a") (str "b")) {PUT} (call $fail (i32.const 5) (str "no luck"))"#));
    guest.undo = r#"(call $identity (i32.const 0) (i32.const 256)) (call $sleep (i64.const 60000))
        (call $identity (i32.const 0) (i32.const 256)) (call $ok (str "it is as it was"))"#
        .to_owned();
    guest
}

fn nothing_more(_: &CallKey) -> Vec<Record> {
    Vec::new()
}

/// A person said that the call did not happen.
fn settled(call: &CallKey) -> Vec<Record> {
    let failure =
        Failure { kind: "stuck".to_owned(), message: "nobody knows".to_owned(), help: None, details: Vec::new() };
    let at = kiln_runner::rehearse::START + 60_000;
    let evidence = "the registry has no such image".to_owned();
    let (by, verdict) = (Decider::Person, Verdict::NotHappened);
    vec![
        Record::Stuck(Stuck { stage: call.stage.clone(), call: Some(call.clone()), failure, at }),
        Record::RunEnd(RunEnd { outcome: RunOutcome::Stuck, at }),
        Record::Reconciled(Reconciled { call: call.clone(), verdict, by, evidence, at }),
    ]
}

fn golden() -> Vec<Golden> {
    let base = Golden {
        name: "waiting",
        pipeline: ONE_STAGE,
        guest: busy,
        cut: |record| matches!(record, Record::Timer(timer) if timer.millis == 60_000),
        more: nothing_more,
        outcome: RunOutcome::Done,
        puts: 0,
    };
    vec![
        Golden { name: "unanswered", cut: |record| matches!(record, Record::Intent(_)), puts: 1, ..base },
        Golden { name: "settled", cut: |record| matches!(record, Record::Intent(_)), more: settled, puts: 1, ..base },
        Golden { name: "ended", cut: |record| matches!(record, Record::StageEnd(_)), ..base },
        Golden {
            name: "resting",
            pipeline: RETRIED,
            guest: failing,
            cut: |record| matches!(record, Record::StageEnd(end) if end.retry_at.is_some()),
            outcome: RunOutcome::Failed,
            ..base
        },
        Golden {
            name: "undoing",
            pipeline: UNDONE,
            guest: undoable,
            cut: |record| matches!(record, Record::Timer(timer) if timer.call.phase == Phase::Undo),
            outcome: RunOutcome::Failed,
            ..base
        },
        Golden { name: "secret", pipeline: SECRET, ..base },
        base,
    ]
}

fn home(release: &str, name: &str) -> PathBuf {
    repository().join("tests/golden").join(release).join(name)
}

/// Base64 in lines that a review can show.
fn lines(bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    text.as_bytes().chunks(100).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect()
}

fn bytes(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    BASE64_STANDARD.decode(text).unwrap_or_else(|error| panic!("{error}"))
}

fn write(engine: &Engine, golden: &Golden) {
    let guest = (golden.guest)();
    let world = World::of(WORLD).text();
    let still = Still { engine, pipeline: golden.pipeline, world: &world, component: guest.build() };
    let state = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    still.run(state.path());
    let path = run_in(state.path()).join("journal");
    let recording = journal::read(&path).unwrap_or_else(|error| panic!("{error}"));
    let last = recording.entries.iter().position(|entry| (golden.cut)(&entry.record));
    let last = last.unwrap_or_else(|| panic!("{}: no record to cut at", golden.name));
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap_or_else(|error| panic!("{error}"));
    let end =
        recording.entries.get(last + 1).map_or(fs::metadata(&path).map_or(0, |file| file.len()), |next| next.offset);
    file.set_len(end).unwrap_or_else(|error| panic!("{error}"));
    if let Record::Intent(intent) = &recording.entries[last].record {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap_or_else(|error| panic!("{error}"));
        let resumable = Resumable::open(&run_in(state.path())).unwrap_or_else(|error| panic!("{error}"));
        for record in (golden.more)(&intent.call) {
            runtime.block_on(resumable.settle(&record)).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    let home = home(env!("CARGO_PKG_VERSION"), golden.name);
    fs::create_dir_all(&home).unwrap_or_else(|error| panic!("{error}"));
    let put = |name: &str, text: &str| fs::write(home.join(name), text).unwrap_or_else(|error| panic!("{error}"));
    put("pipeline.toml", golden.pipeline);
    put("guest.wat", &guest.module());
    put("world.toml", &world);
    put("journal.base64", &lines(&fs::read(&path).unwrap_or_default()));
    put("expected.toml", &format!("outcome = {:?}\nputs = {}\n", word(golden.outcome), golden.puts));
}

fn word(outcome: RunOutcome) -> String {
    let word = serde_json::to_value(outcome).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

/// Resume the golden journal in `home`. Answers what is wrong with how it went.
fn resume(engine: &Engine, release: &str, home: &Path) -> Result<(), String> {
    let read = |name: &str| fs::read_to_string(home.join(name)).map_err(|error| format!("{}: {error}", home.display()));
    let (pipeline, world, expected) = (read("pipeline.toml")?, read("world.toml")?, read("expected.toml")?);
    let expected: toml::Table = expected.parse().map_err(|error| format!("{error}"))?;
    let contract = released_contract(release);
    let state = tempfile::tempdir().map_err(|error| error.to_string())?;
    let directory = state.path().join("runs/golden");
    journal::attach(&directory, pipeline.as_bytes()).map_err(|error| error.to_string())?;
    fs::write(directory.join("journal"), bytes(&read("journal.base64")?)).map_err(|error| error.to_string())?;
    let still =
        Still { engine, pipeline: &pipeline, world: &world, component: component_of(&contract, &read("guest.wat")?) };
    let ended = still.resume(state.path());
    let outcome = ended.result.map(|summary| word(summary.outcome)).map_err(|error| error.to_string())?;
    let puts = ended.effects.iter().filter(|effect| effect.action == "ecr:PutImage").count();
    let as_expected = expected.get("outcome").and_then(|text| text.as_str()) == Some(&outcome)
        && expected.get("puts").and_then(toml::Value::as_integer) == i64::try_from(puts).ok();
    if as_expected { Ok(()) } else { Err(format!("{}: {outcome}, {puts} images put; {expected}", home.display())) }
}

#[test]
fn the_journals_of_every_release_are_resumed() {
    let engine = Engine::new(None).unwrap_or_else(|error| panic!("{error}"));
    if std::env::var("KILN_GOLDEN").is_ok_and(|what| what == "write") {
        golden().iter().for_each(|golden| write(&engine, golden));
    }
    let mut tried = 0;
    let releases = fs::read_dir(repository().join("tests/golden")).into_iter().flatten().flatten();
    for release in releases.map(|release| release.path()).filter(|release| release.is_dir()) {
        let version = release.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for case in fs::read_dir(release).into_iter().flatten().flatten() {
            tried += 1;
            assert_eq!(resume(&engine, &version, &case.path()), Ok(()));
        }
    }
    assert!(tried >= golden().len(), "{tried} golden journals");
}

/// The mode of a file.
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

#[test]
fn plain_variables_are_in_a_journal_that_only_its_owner_reads_and_nowhere_else() {
    use std::os::unix::fs::PermissionsExt as _;
    const PLAIN: &str = "correct-horse-battery";
    let world = World::web_service().text().replace("STAGE = \"production\"", &format!("STAGE = \"{PLAIN}\""));
    let world = World::parse(&world);
    let account = Account::of(&world);
    let pipeline = repository().join("pipelines/web-service.toml");
    let pipeline = pipeline.display().to_string();
    let outcome = account
        .kiln(["run", &pipeline, "--input", "commit=4f2a9c1", "--output", "json", "--verbose", "--report", "page.html"])
        .run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let run = run_in(&outcome.directory().join(".kiln"));
    let journal = run.join("journal");
    let has = |bytes: &[u8]| bytes.windows(PLAIN.len()).any(|found| found == PLAIN.as_bytes());
    assert!(has(&fs::read(&journal).unwrap_or_default()), "what a resume reads back is there as it was");
    assert_eq!(mode(&journal), 0o600);
    for blob in fs::read_dir(run.join("blobs")).into_iter().flatten().flatten() {
        assert_eq!(mode(&blob.path()), 0o600, "{}", blob.path().display());
    }
    assert!(!outcome.all().contains(PLAIN), "events");
    assert!(!has(&fs::read(outcome.directory().join("page.html")).unwrap_or_default()), "the page");
    let named = run.display().to_string();
    // A copy may have lost it: whoever goes on restores it.
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o644)).unwrap_or_else(|error| panic!("{error}"));
    let mut outcome = outcome;
    for arguments in [
        ["show", &named, "--verbose", "--output", "plain"],
        ["show", &named, "--verbose", "--output", "json"],
        ["undo", &named, "--verbose", "--output", "json"],
    ] {
        outcome = outcome.then(arguments).env("AWS_ENDPOINT_URL", &account.url()).run();
        assert!(!outcome.all().contains(PLAIN), "{arguments:?}: {}", outcome.all());
    }
    assert_eq!(mode(&journal), 0o600);
}
