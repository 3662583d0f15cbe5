//! Crashes, rot and meddling: a journal is whole, or ends in a torn tail, or is refused.

use std::fs;

use super::super::frame::{FRAME_HEADER_LEN, HEADER_LEN};
use super::super::reader::parse;
use super::*;

/// A journal's bytes, its records, and where the frame of each begins and ends.
struct Original {
    _state: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
    records: Vec<Record>,
    ends: Vec<usize>,
}

fn original() -> Original {
    let (state, dir) = run_directory();
    let records = sample(&dir);
    let path = dir.join("journal");
    let bytes = fs::read(&path).unwrap();
    let recording = parse(&path, &bytes).unwrap();
    let mut ends: Vec<usize> = recording.entries.iter().skip(1).map(|entry| entry.offset as usize).collect();
    ends.push(bytes.len());
    Original { _state: state, path, bytes, records, ends }
}

#[test]
fn a_journal_that_is_cut_anywhere_gives_back_every_whole_record_and_goes_on() {
    let original = original();
    for cut in 0..original.bytes.len() {
        let bytes = &original.bytes[..cut];
        if cut < HEADER_LEN {
            let error = parse(&original.path, bytes).unwrap_err();
            assert!(matches!(error, JournalError::Header { .. }), "cut at {cut}: {error}");
            continue;
        }
        let recording = parse(&original.path, bytes).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let whole = original.ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(records_of(&recording), original.records[..whole], "cut at {cut}");
        let end = if whole == 0 { HEADER_LEN } else { original.ends[whole - 1] };
        let tail = if end == cut { Tail::Clean } else { Tail::Torn { at: end as u64 } };
        assert_eq!(recording.tail, tail, "cut at {cut}");

        // A sync for each byte would take minutes.
        let near = original.ends.iter().any(|end| end.abs_diff(cut) <= 1);
        if whole > 0 && (near || cut % 97 == 0) {
            fs::write(&original.path, bytes).unwrap();
            let (journal, again) = Journal::reopen(original.path.parent().unwrap()).unwrap();
            assert_eq!(again, recording, "cut at {cut}");
            assert_eq!(fs::metadata(&original.path).unwrap().len(), end as u64, "cut at {cut}: the torn tail stays");
            assert_eq!(journal.append(&local_read(99, "after")).unwrap(), whole as u64);
            drop(journal);
            let after = read(&original.path).unwrap();
            assert_eq!(after.tail, Tail::Clean);
            assert_eq!(after.entries.len(), whole + 1);
            assert_eq!(after.entries[whole].record, local_read(99, "after"));
        }
    }
}

#[test]
fn a_bit_that_flips_is_found_or_costs_the_last_record_alone() {
    let original = original();
    let last = original.ends[original.ends.len() - 2];
    let mut random = Random::seeded(20_261_123);
    let mut refused = 0;
    for _ in 0..5_000 {
        let bit = random.below(original.bytes.len() * 8);
        let mut bytes = original.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match parse(&original.path, &bytes) {
            Err(JournalError::Header { .. }) => assert!(bit / 8 < HEADER_LEN, "bit {bit}"),
            Err(JournalError::Damaged { frame, offset, later_offset, .. }) => {
                refused += 1;
                let hit = original.ends.iter().position(|end| bit / 8 < *end).unwrap();
                assert_eq!(frame, hit as u64, "bit {bit}: the wrong frame is named");
                let begin = if hit == 0 { HEADER_LEN } else { original.ends[hit - 1] };
                assert_eq!(offset, begin as u64, "bit {bit}");
                assert!(later_offset > offset, "bit {bit}");
            }
            Err(other) => panic!("bit {bit}: {other}"),
            Ok(recording) => {
                assert!(bit / 8 >= last, "bit {bit}: damage in front of a valid frame was not found");
                assert_eq!(recording.tail, Tail::Torn { at: last as u64 }, "bit {bit}");
                assert_eq!(records_of(&recording), original.records[..original.records.len() - 1], "bit {bit}");
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn a_sector_that_is_lost_is_found() {
    let original = original();
    let last = original.ends[original.ends.len() - 2];
    let mut random = Random::seeded(7);
    for _ in 0..1_000 {
        let from = random.below(original.bytes.len());
        let to = (from + 1 + random.below(512)).min(original.bytes.len());
        let mut bytes = original.bytes.clone();
        bytes[from..to].fill(0);
        if bytes == original.bytes {
            continue;
        }
        match parse(&original.path, &bytes) {
            Err(JournalError::Header { .. } | JournalError::Damaged { .. }) => {}
            Err(other) => panic!("{from}..{to}: {other}"),
            Ok(recording) => {
                assert!(to > last, "{from}..{to}: damage in front of a valid frame was not found");
                assert!(original.records.starts_with(&records_of(&recording)), "{from}..{to}");
                assert!(matches!(recording.tail, Tail::Torn { .. }), "{from}..{to}");
            }
        }
    }
}

#[test]
fn a_frame_that_is_removed_repeated_or_taken_from_another_run_is_refused() {
    let original = original();
    let (from, to) = (original.ends[3], original.ends[4]);
    let frame = &original.bytes[from..to];
    let refused = |bytes: Vec<u8>| parse(&original.path, &bytes).unwrap_err();

    let removed = [&original.bytes[..from], &original.bytes[to..]].concat();
    let JournalError::Damaged { frame: 4, reason, .. } = refused(removed) else { panic!("not refused") };
    assert_eq!(reason, "is missing");

    let repeated = [&original.bytes[..to], frame, &original.bytes[to..]].concat();
    assert!(matches!(refused(repeated), JournalError::Damaged { frame: 5, .. }));

    let (_state, dir) = run_directory();
    let other = "01890a5d-ac96-774b-bcce-b302099a8058";
    let journal = Journal::create(&dir, &start(&dir, other)).unwrap();
    for seq in 0..12 {
        journal.append(&local_read(seq, "other")).unwrap();
    }
    let foreign = fs::read(dir.join("journal")).unwrap();
    let offset = parse(&dir.join("journal"), &foreign).unwrap().entries[4].offset as usize;
    let grafted = [&original.bytes[..from], &foreign[offset..]].concat();
    let JournalError::Damaged { frame: 4, reason, .. } = refused(grafted) else { panic!("not refused") };
    assert_eq!(reason, "does not continue the frame before it");

    // The header of one run in front of the frames of another.
    let beheaded = [&foreign[..HEADER_LEN], &original.bytes[HEADER_LEN..]].concat();
    assert!(matches!(refused(beheaded), JournalError::Damaged { frame: 0, .. }));
}

#[test]
fn the_refusal_says_which_frame_and_which_byte() {
    let original = original();
    let mut bytes = original.bytes.clone();
    bytes[original.ends[2] + FRAME_HEADER_LEN] ^= 1;
    let message = parse(&original.path, &bytes).unwrap_err().to_string();
    assert!(message.contains(&format!("frame 3, which begins at byte {}", original.ends[2])), "{message}");
    assert!(message.contains(&format!("(4) follows at byte {}", original.ends[3])), "{message}");
}

#[test]
fn a_payload_that_looks_like_a_frame_is_none() {
    let (_state, dir) = run_directory();
    let journal = Journal::create(&dir, &start(&dir, RUN)).unwrap();
    // What a text can hold that is nearest to a frame's beginning.
    let text = "\u{ff}KLN".repeat(50);
    journal.append(&local_read(0, text.clone())).unwrap();
    journal.append(&local_read(1, text)).unwrap();
    let bytes = fs::read(dir.join("journal")).unwrap();
    let torn = parse(&dir.join("journal"), &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(torn.tail, Tail::Torn { .. }));
    assert_eq!(torn.entries.len(), 2);
}

#[test]
fn a_kill_between_blob_and_frame_leaves_only_a_blob() {
    let (_state, dir) = run_directory();
    let large = local_read(0, "large ".repeat(20_000));
    let journal = Journal::create(&dir, &start(&dir, RUN)).unwrap();
    // The process got as far as the blob, and another as far as half a blob.
    let digest = attach(&dir, &serde_json::to_vec(&large).unwrap()).unwrap();
    fs::write(dir.join("blobs/0000.partial"), "half").unwrap();
    drop(journal);

    let (journal, recording) = Journal::reopen(&dir).unwrap();
    assert_eq!(recording.entries.len(), 1);
    assert_eq!(journal.append(&large).unwrap(), 1);
    drop(journal);
    assert_eq!(read(&dir.join("journal")).unwrap().entries[1].record, large);

    let blob = dir.join("blobs").join(digest.as_str().trim_start_matches("sha256:"));
    let mut bytes = fs::read(&blob).unwrap();
    bytes[100] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let error = read(&dir.join("journal")).unwrap_err();
    assert!(matches!(&error, JournalError::Blob { .. }) && error.to_string().contains("is damaged"), "{error}");
    // Writing the same again mends it.
    attach(&dir, &serde_json::to_vec(&large).unwrap()).unwrap();
    assert_eq!(read(&dir.join("journal")).unwrap().entries[1].record, large);
    fs::remove_file(&blob).unwrap();
    let error = read(&dir.join("journal")).unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}
