//! How much a journal takes, and how few syncs it needs.

use super::super::frame::MAX_INLINE;
use super::super::writer::{MAX_RECORD, MAX_RUN, WARN_AT};
use super::*;
use crate::event::RunOutcome;

#[test]
fn a_record_is_inline_or_a_blob_or_refused() {
    let (_state, dir) = run_directory();
    let journal = Journal::create(&dir, &start(&dir, RUN)).unwrap();
    let around = serde_json::to_vec(&local_read(0, "")).unwrap().len();
    let blobs = || std::fs::read_dir(dir.join("blobs")).unwrap().count();
    let before = blobs();

    journal.append(&local_read(0, "x".repeat(MAX_INLINE - around))).unwrap();
    assert_eq!(blobs(), before);
    journal.append(&local_read(0, "x".repeat(MAX_INLINE - around + 1))).unwrap();
    assert_eq!(blobs(), before + 1);
    journal.append(&local_read(0, "x".repeat(MAX_RECORD as usize - around))).unwrap();
    let error = journal.append(&local_read(0, "x".repeat(MAX_RECORD as usize - around + 1))).unwrap_err();
    assert!(matches!(error, JournalError::RecordTooLarge { size, .. } if size == MAX_RECORD + 1), "{error}");
    // Nothing of the refused one is left, and the journal goes on.
    assert_eq!(journal.append(&local_read(1, "after")).unwrap(), 4);
    drop(journal);
    assert_eq!(read(&dir.join("journal")).unwrap().entries.len(), 5);
}

#[test]
fn a_run_warns_once_then_takes_no_new_work_but_can_still_end() {
    let (_state, dir) = run_directory();
    let mut journal = Journal::create(&dir, &start(&dir, RUN)).unwrap();
    let large = local_read(0, "x".repeat(60_000));
    assert_eq!(journal.size_warning(), None);
    let mut warnings = 0;
    let mut reopened = false;
    let error = loop {
        let size = journal.size();
        if let Err(error) = journal.append(&large) {
            break error;
        }
        if let Some(warning) = journal.size_warning() {
            assert!(warning.bytes >= WARN_AT && size < WARN_AT, "{warning:?}");
            warnings += 1;
        }
        if journal.size() > MAX_RUN / 2 && !reopened {
            let before = journal.size();
            drop(journal);
            journal = Journal::reopen(&dir).unwrap().0;
            assert_eq!(journal.size(), before, "a resume counts on");
            assert!(journal.size_warning().is_some(), "a resume warns again");
            reopened = true;
        }
    };
    assert_eq!(warnings, 1);
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    assert!(journal.size() > MAX_RUN - 70_000 && journal.size() <= MAX_RUN);

    // What was begun is brought to its end: a write that was sent, an undo, the run.
    let result = |seq, phase, request: Option<Body>| {
        Record::Result(CallResult {
            call: CallKey { phase, ..key(seq) },
            action: "ecr:PutImage".to_owned(),
            request_hash: Digest::of(b""),
            request,
            outcome: CallOutcome::Ok(Body::Plain(Value::from("x".repeat(60_000)))),
            request_id: None,
            millis: 1,
            at: 1,
        })
    };
    let read_of_a_stage = result(1, Phase::Run, Some(Body::Plain(json!({}))));
    assert!(matches!(journal.append(&read_of_a_stage), Err(JournalError::Full { .. })));
    journal.append(&result(2, Phase::Run, None)).unwrap();
    journal.append(&result(0, Phase::Undo, Some(Body::Plain(json!({}))))).unwrap();
    journal.append(&Record::RunEnd(RunEnd { outcome: RunOutcome::Failed, at: 1 })).unwrap();
}

#[tokio::test]
async fn writers_that_wait_together_share_a_sync() {
    const WRITERS: u64 = 64;
    let (_state, dir) = run_directory();
    let journal = Journal::create(&dir, &start(&dir, RUN)).unwrap();
    let before = journal.syncs();
    let mut writers = tokio::task::JoinSet::new();
    for seq in 0..WRITERS {
        let journal = journal.clone();
        writers.spawn(async move { journal.append_durable(&local_read(seq, seq)).await.unwrap() });
    }
    let mut seqs = writers.join_all().await;
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=WRITERS).collect::<Vec<_>>());
    let syncs = journal.syncs() - before;
    // The first goes alone at worst; all others came while it was under way.
    assert!((1..=3).contains(&syncs), "{syncs} syncs for {WRITERS} records");

    // What is durable already needs none.
    journal.sync().await.unwrap();
    assert_eq!(journal.syncs() - before, syncs);
    // One after the other, each needs its own.
    for seq in 0..5 {
        journal.append_durable(&local_read(seq, seq)).await.unwrap();
    }
    assert_eq!(journal.syncs() - before, syncs + 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_on_several_threads_lose_nothing() {
    let (_state, dir) = run_directory();
    let journal = Journal::create(&dir, &start(&dir, RUN)).unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for stage in 0..8 {
        let journal = journal.clone();
        writers.spawn(async move {
            for seq in 0..40 {
                let text = if seq % 13 == 0 { "x".repeat(70_000) } else { "x".to_owned() };
                let record = local_read(seq, json!([stage, text]));
                if seq % 2 == 0 {
                    journal.append_durable(&record).await.unwrap();
                } else {
                    journal.append(&record).unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    drop(journal);
    let recording = read(&dir.join("journal")).unwrap();
    assert_eq!(recording.entries.len(), 1 + 8 * 40);
    for stage in 0..8 {
        let order: Vec<u64> = recording
            .entries
            .iter()
            .filter_map(|entry| match &entry.record {
                Record::LocalRead(read) if read.value.written()[0] == stage => Some(read.call.seq),
                _ => None,
            })
            .collect();
        assert_eq!(order, (0..40).collect::<Vec<_>>(), "the records of a stage stay in their order");
    }
}

/// A value of so many levels, with something at each.
fn nested(levels: usize) -> Value {
    (1..levels)
        .fold(json!("x"), |inner, level| if level % 2 == 0 { json!([inner, level]) } else { json!({ "a": inner }) })
}

#[test]
fn records_at_their_limits_are_read_back() {
    let redactor = crate::secrets::redact::Redactor::default();
    let deepest = (1..).take_while(|levels| redactor.seal(&nested(*levels)).is_ok()).last().unwrap();
    assert!(deepest >= 100, "{deepest}");
    let sealed = redactor.seal(&nested(deepest)).unwrap();
    let (_state, dir) = run_directory();
    let journal = Journal::create(&dir, &start(&dir, RUN)).unwrap();
    let records = [
        Record::StageEnd(StageEnd {
            stage: "build".parse().unwrap(),
            attempt: 1,
            outcome: crate::event::StageOutcome::Done,
            outputs: Some(sealed.clone()),
            failure: None,
            skipped: None,
            retry_at: None,
            at: 1,
        }),
        Record::Intent(Intent {
            call: key(0),
            action: "ecs:RegisterTaskDefinition".to_owned(),
            request: Body::Sealed(sealed.clone()),
            request_hash: Digest::of(b""),
            retry: RetryClass::Unsafe,
            token: None,
            before: Some(sealed.clone()),
            at: 1,
        }),
        Record::Result(CallResult {
            call: key(0),
            action: "ecs:RegisterTaskDefinition".to_owned(),
            request_hash: Digest::of(b""),
            request: Some(Body::Withheld(sealed.clone())),
            outcome: CallOutcome::Err(sealed.clone()),
            request_id: None,
            millis: 1,
            at: 1,
        }),
        Record::Remember(Remember { call: key(1), name: sealed.clone(), value: sealed }),
    ];
    for record in &records {
        journal.append(record).unwrap();
    }
    drop(journal);
    let read = read(&dir.join("journal")).unwrap();
    assert_eq!(records_of(&read)[1..], records);
}

#[test]
fn what_would_be_too_deep_to_read_is_not_sealed() {
    let redactor = crate::secrets::redact::Redactor::default();
    assert!(redactor.seal(&nested(127)).is_err());
    // With a secret in each key every level takes several.
    redactor.add("registry", "hunter2-hunter2").unwrap();
    let keys = (0..60).fold(json!(1), |inner, _| json!({ "hunter2-hunter2": inner }));
    let error = redactor.seal(&keys).unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}
