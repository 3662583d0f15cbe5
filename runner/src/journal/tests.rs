//! The journal as a whole: what is written is read back, and what was damaged is never taken for whole.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where it fails")]

mod damage;
mod limits;
mod records;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::secrets::redact::Sealed;
use crate::types::{Digest, RunId};

pub(super) const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The first record of a run, with its pipeline file attached in `dir`.
pub(super) fn start(dir: &Path, run: &str) -> RunStart {
    RunStart {
        format: FORMAT,
        kiln_version: "0.1.0".to_owned(),
        run: run.parse().unwrap(),
        pipeline: "web".parse().unwrap(),
        file: "pipelines/web-service.toml".to_owned(),
        source: attach(dir, b"[pipeline]\nname = \"web\"\n").unwrap(),
        env: BTreeMap::new(),
        stages: Vec::new(),
        inputs: BTreeMap::from([("commit".to_owned(), json!("abc"))]),
        plugins: BTreeMap::from([("build-image".to_owned(), Digest::of(b"plugin"))]),
        files: BTreeMap::new(),
        engine: "engine".to_owned(),
        account: "111111111111".parse().unwrap(),
        region: "us-west-2".parse().unwrap(),
        clock_scale: 1.0,
        clock_origin: 1_790_000_000_000,
        store: None,
        at: 1_790_000_000_000,
    }
}

pub(super) fn key(seq: u64) -> CallKey {
    CallKey { stage: "build".parse().unwrap(), attempt: 1, phase: Phase::Run, seq }
}

pub(super) fn local_read(seq: u64, value: impl Into<Value>) -> Record {
    Record::LocalRead(LocalRead { call: key(seq), what: "clock".to_owned(), value: Sealed::structure(value.into()) })
}

/// A run's directory in a temporary state directory.
pub(super) fn run_directory() -> (tempfile::TempDir, PathBuf) {
    let state = tempfile::tempdir().unwrap();
    let dir = run_dir(state.path(), &RUN.parse::<RunId>().unwrap());
    (state, dir)
}

/// A finished journal with some records, one of them in a blob, and what they are.
pub(super) fn sample(dir: &Path) -> Vec<Record> {
    let first = start(dir, RUN);
    let journal = Journal::create(dir, &first).unwrap();
    let mut records = vec![Record::RunStart(first)];
    for seq in 0..12 {
        let record = match seq {
            5 => local_read(seq, "large ".repeat(20_000)),
            7 => local_read(seq, ""),
            _ => local_read(seq, format!("{seq}: \u{1f525} \"quoted\"")),
        };
        journal.append(&record).unwrap();
        records.push(record);
    }
    records
}

pub(super) fn records_of(recording: &Recording) -> Vec<Record> {
    recording.entries.iter().map(|entry| entry.record.clone()).collect()
}

/// A small generator of random numbers (splitmix64), so that a seed that was printed gives the same test again.
pub(super) struct Random(u64);

impl Random {
    /// From the environment variable `KILN_SEED`, or this seed. Printed, and shown where the test fails.
    #[expect(clippy::print_stderr, reason = "the seed must be seen where the test fails")]
    pub(super) fn seeded(default: u64) -> Self {
        let seed = std::env::var("KILN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
        eprintln!("KILN_SEED={seed}");
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

#[test]
fn a_run_is_written_reopened_and_read() {
    let (_state, dir) = run_directory();
    let mut records = sample(&dir);
    let read_back = read(&dir.join("journal")).unwrap();
    assert_eq!(records_of(&read_back), records);
    assert_eq!(read_back.tail, Tail::Clean);
    assert_eq!(read_back.start().unwrap().run.as_str(), RUN);
    assert_eq!(attached(&dir, &read_back.start().unwrap().source).unwrap(), b"[pipeline]\nname = \"web\"\n");

    let (journal, recording) = Journal::reopen(&dir).unwrap();
    assert_eq!(recording, read_back);
    let resumed = Record::RunResume(RunResume { kiln_version: "0.2.0".to_owned(), truncated: 0, at: 1 });
    assert_eq!(journal.append(&resumed).unwrap(), records.len() as u64);
    records.push(resumed);
    let read_back = read(&dir.join("journal")).unwrap();
    assert_eq!(records_of(&read_back), records);
    assert!(read_back.entries.iter().zip(0..).all(|(entry, seq)| entry.seq == seq));
}

#[test]
fn a_journal_is_made_once_and_only_with_its_pipeline_file() {
    let (_state, dir) = run_directory();
    let first = start(&dir, RUN);
    let journal = Journal::create(&dir, &first).unwrap();
    drop(journal);
    assert!(matches!(Journal::create(&dir, &first), Err(JournalError::Exists { .. })));

    let (_state, other) = run_directory();
    let error = Journal::create(&other, &first).unwrap_err();
    assert!(matches!(&error, JournalError::Blob { digest, .. } if *digest == first.source), "{error}");
    assert!(!other.join("journal").exists(), "nothing is made where the run could not be resumed");
}

#[test]
fn only_one_process_writes_a_journal() {
    let (_state, dir) = run_directory();
    let journal = Journal::create(&dir, &start(&dir, RUN)).unwrap();
    let clone = journal.clone();
    let refused = Journal::reopen(&dir).unwrap_err();
    assert!(matches!(refused, JournalError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("another kiln process"), "{refused}");
    assert!(read(&dir.join("journal")).is_ok(), "reading needs no lock");
    drop(journal);
    assert!(Journal::reopen(&dir).is_err(), "a clone still holds it");
    clone.append(&local_read(0, 1)).unwrap();
    drop(clone);
    Journal::reopen(&dir).unwrap();
}

#[test]
fn runs_are_listed_as_they_stand() {
    use crate::event::{Failure, RunOutcome};

    let state = tempfile::tempdir().unwrap();
    assert_eq!(list_runs(state.path()).unwrap(), Vec::new(), "no runs yet");
    let id = |number: u32| format!("01890a5d-ac96-774b-bcce-b302099a80{number:02}");
    let journal = |number: u32| {
        let dir = run_dir(state.path(), &id(number).parse().unwrap());
        Journal::create(&dir, &start(&dir, &id(number))).unwrap()
    };
    let ended = |outcome| Record::RunEnd(RunEnd { outcome, at: 99 });
    let stuck = Record::Stuck(Stuck {
        stage: "build".parse().unwrap(),
        call: Some(key(0)),
        failure: Failure { kind: "failed".to_owned(), message: "m".to_owned(), help: None, details: Vec::new() },
        at: 98,
    });
    let resumed = Record::RunResume(RunResume { kiln_version: "0.1.0".to_owned(), truncated: 0, at: 100 });

    journal(10).append(&ended(RunOutcome::Failed)).unwrap();
    drop(journal(11));
    let running = journal(12);
    let one = journal(13);
    one.append(&stuck).unwrap();
    one.append(&ended(RunOutcome::Failed)).unwrap();
    drop(one);
    let one = journal(14);
    one.append(&ended(RunOutcome::Interrupted)).unwrap();
    one.append(&resumed).unwrap();
    drop(one);
    drop(journal(15));
    let damaged = run_dir(state.path(), &id(15).parse().unwrap()).join("journal");
    std::fs::write(&damaged, "not a journal at all, but long enough").unwrap();
    std::fs::create_dir(state.path().join("runs/not-a-run")).unwrap();

    let runs = list_runs(state.path()).unwrap();
    let states: Vec<(String, RunState)> =
        runs.iter().map(|run| (run.run.as_str()[34..].to_owned(), run.state.clone())).collect();
    let RunState::Unreadable(reason) = &states[0].1 else { panic!("{states:?}") };
    assert!(reason.contains("is not a journal"), "{reason}");
    let expected = [
        ("14", RunState::Unfinished),
        ("13", RunState::Stuck),
        ("12", RunState::Running),
        ("11", RunState::Unfinished),
        ("10", RunState::Ended(RunOutcome::Failed)),
    ];
    assert_eq!(states[1..], expected.map(|(id, state)| (id.to_owned(), state)));
    assert_eq!(runs[5].ended, Some(99));
    assert_eq!(runs[1].ended, None, "it goes on");
    assert_eq!(runs[1].pipeline.as_ref().unwrap().as_str(), "web");
    drop(running);
}
