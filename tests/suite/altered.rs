//! Guests that were altered between a crash and the resume: each is noticed, and nothing is sent to AWS.
//!
//! `KILN_ALTERED=N` alters the guest of that seed only.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_runner::call::HostStop;
use kiln_runner::journal::{self, CallKey, Record};
use kiln_runner::plugin::Engine;
use kiln_runner::run::{RunError, RunSummary};
use kiln_tests::{Chance, Guest, Still, World, run_in};

/// How many guests there are; each is altered in four ways.
const GUESTS: u64 = 250;

/// What a guest asks its host for.
#[derive(Debug, Clone, PartialEq)]
enum Ask {
    Identity,
    Images(String),
    Put(String),
    Clock,
    Sleep(u64),
    Remember(String),
    OfThisRun,
}

impl Ask {
    fn drawn(chance: &mut Chance) -> Self {
        let name = format!("name-{}", chance.below(1_000));
        match chance.below(7) {
            0 => Self::Identity,
            1 => Self::Images(name),
            2 => Self::Put(name),
            3 => Self::Clock,
            4 => Self::Sleep(1 + chance.below(100_000)),
            5 => Self::Remember(name),
            _ => Self::OfThisRun,
        }
    }

    /// The same question with another argument, where it has one.
    fn otherwise(&self, chance: &mut Chance) -> Option<Self> {
        let name = format!("other-{}", chance.below(1_000));
        match self {
            Self::Images(_) => Some(Self::Images(name)),
            Self::Put(_) => Some(Self::Put(name)),
            Self::Sleep(millis) => Some(Self::Sleep(millis + 1)),
            Self::Remember(_) => Some(Self::Remember(name)),
            Self::Identity | Self::Clock | Self::OfThisRun => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Identity => "(call $identity (i32.const 0) (i32.const 256))".to_owned(),
            Self::Images(repository) => format!(
                "(call $describe-images (str \"{repository}\") (i32.const 4096) (i32.const 0) (i32.const 0) (i32.const 0) \
                 (i32.const 0) (i32.const 256))"
            ),
            Self::Put(tag) => format!(
                "(call $put-image (str \"web\") (str \"{{\\\"schemaVersion\\\":2}}\") (i32.const 0) (i32.const 0) \
                 (i32.const 0) (i32.const 1) (str \"{tag}\") (i32.const 256))"
            ),
            Self::Clock => "(drop (call $now))".to_owned(),
            Self::Sleep(millis) => format!("(call $sleep (i64.const {millis}))"),
            Self::Remember(value) => format!("(call $remember (str \"what\") (str \"{value}\"))"),
            Self::OfThisRun => "(call $images (i32.const 256))".to_owned(),
        }
    }
}

fn guest(asks: &[Ask]) -> Vec<u8> {
    let body: Vec<String> = asks.iter().map(Ask::text).collect();
    let any = &["*"];
    Guest::new(&format!("{} (call $ok (str \"{{}}\"))", body.join(" ")))
        .asking("sts:GetCallerIdentity", any)
        .asking("ecr:DescribeImages", &["arn:${partition}:ecr:${region}:${account}:repository/*"])
        .asking("ecr:PutImage", &["arn:${partition}:ecr:${region}:${account}:repository/*"])
        .build()
}

/// Asks of which no two neighbours are alike: one more or one less always shows at the next.
fn drawn(chance: &mut Chance) -> Vec<Ask> {
    let wanted = 3 + chance.below(10) as usize;
    let mut asks: Vec<Ask> = Vec::new();
    while asks.len() < wanted {
        let ask = Ask::drawn(chance);
        if asks.last() != Some(&ask) {
            asks.push(ask);
        }
    }
    asks
}

/// Another guest, which differs among the first `recorded` of its asks in this way, or in another where it cannot.
fn altered(asks: &[Ask], recorded: usize, way: usize, chance: &mut Chance) -> (&'static str, Vec<Ask>) {
    let mut other = asks.to_vec();
    let at = chance.below(recorded as u64) as usize;
    if let (1, Some(ask)) = (way, asks[at].otherwise(chance)) {
        other[at] = ask;
        return ("another argument", other);
    }
    loop {
        let ask = Ask::drawn(chance);
        match way {
            2 if ask != asks[at] => {
                other.insert(at, ask);
                return ("a call more", other);
            }
            3 => {
                other.remove(at);
                return ("a call less", other);
            }
            0 | 1 if std::mem::discriminant(&ask) != std::mem::discriminant(&asks[at]) => {
                other[at] = ask;
                return ("another operation", other);
            }
            _ => {}
        }
    }
}

const PIPELINE: &str = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
                        [stages.only]\nplugin = \"guest\"\ntimeout = \"2d\"\n";

/// Begin or resume the one run in `state`. Answers what came of it, and how many requests were sent.
fn live(engine: &Engine, component: Vec<u8>, state: &Path, resume: bool) -> (Result<RunSummary, RunError>, u64) {
    let world = World::of("[[repositories]]\nname = \"web\"\n").text();
    let still = Still { engine, pipeline: PIPELINE, world: &world, component };
    let ended = if resume { still.resume(state) } else { still.run(state) };
    (ended.result, ended.requests)
}

/// Cut the journal as a crash would, somewhere in the stage's work. Answers how many of the stage's asks are left in it.
fn crash(state: &Path, chance: &mut Chance) -> usize {
    let path = run_in(state).join("journal");
    let recording = journal::read(&path).unwrap_or_else(|error| panic!("{error}"));
    let key = |record: &Record| -> Option<CallKey> {
        let call = match record {
            Record::Intent(intent) => &intent.call,
            Record::Result(result) => &result.call,
            Record::LocalRead(read) => &read.call,
            Record::Timer(timer) => &timer.call,
            Record::Remember(remember) => &remember.call,
            _ => return None,
        };
        (call.stage.as_str() == "only").then(|| call.clone())
    };
    let of_stage: Vec<usize> =
        (0..recording.entries.len()).filter(|at| key(&recording.entries[*at].record).is_some()).collect();
    let last = of_stage[chance.below(of_stage.len() as u64) as usize];
    let asked = key(&recording.entries[last].record).map_or(0, |call| call.seq as usize + 1);
    let end = recording.entries[last + 1].offset;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap_or_else(|error| panic!("{error}"));
    file.set_len(end).unwrap_or_else(|error| panic!("{error}"));
    asked
}

/// Run the guest of a seed, crash, and resume it altered in each of the four ways. Answers how, and what was wrong.
fn alter(engine: &Engine, seed: u64) -> Vec<Result<&'static str, String>> {
    let mut chance = Chance::of_seed(seed);
    let asks = drawn(&mut chance);
    let state = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let (ended, _) = live(engine, guest(&asks), state.path(), false);
    if let Err(error) = ended {
        return vec![Err(format!("the first run: {error}"))];
    }
    let recorded = crash(state.path(), &mut chance);
    let journal = run_in(state.path()).join("journal");
    let crashed = std::fs::read(&journal).unwrap_or_default();
    let mut found = Vec::new();
    for way in 0..4 {
        std::fs::write(&journal, &crashed).unwrap_or_else(|error| panic!("{error}"));
        let (how, other) = altered(&asks, recorded, way, &mut chance);
        let (ended, sent) = live(engine, guest(&other), state.path(), true);
        found.push(match ended {
            Err(RunError::GivenUp(HostStop::NonDeterminism(_))) if sent == 0 => Ok(how),
            Err(RunError::GivenUp(HostStop::NonDeterminism(_))) => {
                Err(format!("{how}: noticed, after {sent} requests"))
            }
            Err(other) => Err(format!("{how}: {other}")),
            Ok(summary) => {
                let outcome = summary.outcome;
                Err(format!("{how} of {recorded} recorded: not noticed: {outcome:?}\n{asks:?}\n{other:?}"))
            }
        });
    }
    found
}

#[test]
fn every_altered_guest_is_noticed_before_anything_is_sent() {
    let engine = Engine::new(None).unwrap_or_else(|error| panic!("{error}"));
    let wanted = std::env::var("KILN_ALTERED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds: Vec<u64> = wanted.map_or_else(|| (0..GUESTS).collect(), |seed| vec![seed]);
    let (halves, mut wrong, mut ways) = (seeds.chunks(seeds.len().div_ceil(2)), Vec::new(), BTreeMap::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = halves
            .map(|half| {
                let engine = &engine;
                scope.spawn(move || half.iter().map(|seed| (*seed, alter(engine, *seed))).collect::<Vec<_>>())
            })
            .collect();
        for (seed, all) in threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()) {
            for found in all {
                match found {
                    Ok(how) => *ways.entry(how).or_insert(0) += 1,
                    Err(problem) => wrong.push(format!("KILN_ALTERED={seed}: {problem}")),
                }
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("noticed: {ways:?}");
    assert_eq!(ways.values().sum::<u64>(), 4 * seeds.len() as u64, "all were tried: {ways:?}");
    assert!(wanted.is_some() || ways.len() == 4, "{ways:?}");
}

#[test]
fn the_same_guest_goes_on() {
    let engine = Engine::new(None).unwrap_or_else(|error| panic!("{error}"));
    for seed in 0..25 {
        let mut chance = Chance::of_seed(seed);
        let asks = drawn(&mut chance);
        let state = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let (ended, _) = live(&engine, guest(&asks), state.path(), false);
        assert!(ended.is_ok(), "{ended:?}");
        crash(state.path(), &mut chance);
        let (ended, _) = live(&engine, guest(&asks), state.path(), true);
        let outcome = ended.map(|summary| summary.outcome);
        assert!(matches!(outcome, Ok(kiln_runner::event::RunOutcome::Done)), "seed {seed}: {outcome:?}");
    }
}
