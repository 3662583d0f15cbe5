//! Every record survives the file.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;
use crate::event::{Failure, RunOutcome, StageOutcome};
use crate::types::StageName;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has finite numbers", |f| f.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn stage() -> impl Strategy<Value = StageName> {
    "[a-z][a-z0-9_-]{0,12}".prop_map(|name| name.parse().unwrap())
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<u64>().prop_map(|seed| Digest::of(&seed.to_le_bytes()))
}

fn call() -> impl Strategy<Value = CallKey> {
    (stage(), any::<u32>(), prop_oneof![Just(Phase::Run), Just(Phase::Undo)], any::<u64>())
        .prop_map(|(stage, attempt, phase, seq)| CallKey { stage, attempt, phase, seq })
}

fn sealed() -> impl Strategy<Value = Sealed> {
    value().prop_map(Sealed::structure)
}

/// What was seen before a write: never `null`, which reads as nothing seen.
fn object() -> impl Strategy<Value = Sealed> {
    value().prop_map(|value| Sealed::structure(json!({ "seen": value })))
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        sealed().prop_map(Body::Sealed),
        sealed().prop_map(Body::Withheld),
        value().prop_map(Body::Plain),
        digest().prop_map(Body::Hashed)
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    ("[a-z]{1,8}", any::<String>(), option::of(any::<String>()), vec(any::<String>(), 0..3))
        .prop_map(|(kind, message, help, details)| Failure { kind, message, help, details })
}

fn run_outcome() -> impl Strategy<Value = RunOutcome> {
    prop_oneof![
        Just(RunOutcome::Done),
        Just(RunOutcome::Failed),
        Just(RunOutcome::Interrupted),
        Just(RunOutcome::Detached),
        Just(RunOutcome::Stuck),
        Just(RunOutcome::Undone)
    ]
}

fn stage_outcome() -> impl Strategy<Value = StageOutcome> {
    prop_oneof![
        Just(StageOutcome::Done),
        Just(StageOutcome::Failed),
        Just(StageOutcome::Skipped),
        Just(StageOutcome::NotRun),
        Just(StageOutcome::Interrupted),
        Just(StageOutcome::Stuck),
    ]
}

/// Records of calls.
fn calls() -> impl Strategy<Value = Record> {
    let retry = prop_oneof![Just(RetryClass::Token), Just(RetryClass::Natural), Just(RetryClass::Unsafe)];
    let outcome = prop_oneof![body().prop_map(CallOutcome::Ok), sealed().prop_map(CallOutcome::Err)];
    let verdict = prop_oneof![Just(Verdict::Happened), Just(Verdict::NotHappened), Just(Verdict::SendAgain)];
    let by = prop_oneof![Just(Decider::Lookup), Just(Decider::Person)];
    prop_oneof![
        (
            call(),
            any::<String>(),
            body(),
            digest(),
            retry,
            option::of(any::<String>()),
            option::of(object()),
            any::<u64>()
        )
            .prop_map(|(call, action, request, request_hash, retry, token, before, at)| {
                Record::Intent(Intent { call, action, request, request_hash, retry, token, before, at })
            }),
        (
            call(),
            any::<String>(),
            digest(),
            option::of(body()),
            outcome,
            option::of(any::<String>()),
            any::<[u64; 2]>()
        )
            .prop_map(|(call, action, request_hash, request, outcome, request_id, [millis, at])| {
                Record::Result(CallResult { call, action, request_hash, request, outcome, request_id, millis, at })
            }),
        (call(), any::<String>(), sealed()).prop_map(|(call, what, value)| Record::LocalRead(LocalRead {
            call,
            what,
            value
        })),
        (call(), any::<u64>(), any::<u64>()).prop_map(|(call, millis, until)| Record::Timer(Timer {
            call,
            millis,
            until
        })),
        (call(), sealed(), sealed()).prop_map(|(call, name, value)| Record::Remember(Remember { call, name, value })),
        (call(), verdict, by, any::<String>(), any::<u64>()).prop_map(|(call, verdict, by, evidence, at)| {
            Record::Reconciled(Reconciled { call, verdict, by, evidence, at })
        }),
    ]
}

/// Records of stages and of the run.
fn steps() -> impl Strategy<Value = Record> {
    prop_oneof![
        (any::<String>(), any::<u64>(), any::<u64>())
            .prop_map(|(kiln_version, truncated, at)| { Record::RunResume(RunResume { kiln_version, truncated, at }) }),
        (stage(), any::<u32>(), sealed(), digest(), any::<u64>(), any::<u64>()).prop_map(
            |(stage, attempt, config, plugin, deadline, at)| {
                let (account, region) = ("111111111111".parse().unwrap(), "us-west-2".parse().unwrap());
                Record::StageStart(StageStart { stage, attempt, config, plugin, account, region, deadline, at })
            }
        ),
        (any::<u64>(), any::<String>(), any::<String>(), option::of(stage()), any::<u64>()).prop_map(
            |(fence, owner, nonce, environment, at)| {
                let environment = environment.map(|name| name.as_str().parse().unwrap());
                Record::Fence(Fence { fence, owner, nonce, environment, at })
            }
        ),
        (stage(), any::<u32>(), sealed(), digest(), any::<u64>(), any::<u64>()).prop_map(
            |(stage, attempt, config, plugin, deadline, at)| {
                Record::UndoStart(UndoStart { stage, attempt, config, plugin, deadline, at })
            }
        ),
        (stage(), any::<u32>(), prop_oneof![any::<String>().prop_map(Ok), failure().prop_map(Err)], any::<u64>())
            .prop_map(|(stage, attempt, result, at)| Record::UndoEnd(UndoEnd { stage, attempt, result, at })),
        (
            stage(),
            any::<u32>(),
            stage_outcome(),
            option::of(btree_map(any::<String>(), value(), 0..3)),
            option::of(failure()),
            option::of(any::<u64>()),
            any::<u64>()
        )
            .prop_map(|(stage, attempt, outcome, outputs, failure, retry_at, at)| {
                let outputs = outputs.map(|members| Sealed::structure(Value::Object(members.into_iter().collect())));
                Record::StageEnd(StageEnd { stage, attempt, outcome, outputs, failure, skipped: None, retry_at, at })
            }),
        (stage(), option::of(call()), failure(), any::<u64>())
            .prop_map(|(stage, call, failure, at)| Record::Stuck(Stuck { stage, call, failure, at })),
        (run_outcome(), any::<u64>()).prop_map(|(outcome, at)| Record::RunEnd(RunEnd { outcome, at })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_read_back_as_it_was_written(
        inputs in btree_map(any::<String>(), value(), 0..3),
        scale in 0.001f64..10_000.0,
        records in vec(prop_oneof![calls(), steps()], 0..12),
    ) {
        let (_state, dir) = run_directory();
        let first = RunStart { inputs, clock_scale: scale, ..start(&dir, RUN) };
        let journal = Journal::create(&dir, &first).unwrap();
        for record in &records {
            journal.append(record).unwrap();
        }
        drop(journal);
        let recording = read(&dir.join("journal")).unwrap();
        prop_assert_eq!(recording.tail, Tail::Clean);
        let read_back = records_of(&recording);
        prop_assert_eq!(&read_back[0], &Record::RunStart(first));
        prop_assert_eq!(&read_back[1..], &records[..]);
    }
}

#[test]
fn the_bytes_of_a_record_are_part_of_the_format() {
    let intent = Record::Intent(Intent {
        call: key(3),
        action: "codebuild:StartBuild".to_owned(),
        request: Body::Plain(json!({"project": "web-image"})),
        request_hash: Digest::of(b""),
        retry: RetryClass::Token,
        token: Some("t".to_owned()),
        before: None,
        at: 5,
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&intent).unwrap());
    let result = Record::Result(CallResult {
        call: CallKey { phase: Phase::Undo, ..key(4) },
        action: "kms:Decrypt".to_owned(),
        request_hash: Digest::of(b""),
        request: None,
        outcome: CallOutcome::Ok(Body::Hashed(Digest::of(b"secret"))),
        request_id: Some("r".to_owned()),
        millis: 12,
        at: 6,
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&result).unwrap());
}

#[test]
fn every_kind_has_a_number_and_the_name_that_its_json_has() {
    let mut numbers = std::collections::BTreeSet::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..2_000 {
        let record = prop_oneof![calls(), steps()].new_tree(&mut runner).unwrap().current();
        let (number, name) = record.kind();
        assert_eq!(serde_json::to_value(&record).unwrap()["record"], name);
        assert!((2..=15).contains(&number), "{number} {name}");
        numbers.insert(number);
    }
    assert_eq!(numbers.len(), 14, "all kinds but run-start, which is 1: {numbers:?}");
}
