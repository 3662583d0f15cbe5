//! What became of calls of Inspector whose answers never came.

use serde_json::{Value, json};

use super::canned::{Answer, SENT, TOKEN, fate, fate_given_up, hermetic, in_words};
use crate::contract::bindings::kiln::aws_inspector2::inspector2::StartOnDemandScanRequest;

fn request() -> StartOnDemandScanRequest {
    StartOnDemandScanRequest { machine_image: "ami-0123456789abcdef0".to_owned() }
}

fn scan(id: &str, started: u64) -> Value {
    json!({
        "scanId": id, "resourceId": "ami-0123456789abcdef0", "resourceType": "AMI", "scanStatus": "IN_PROGRESS",
        "startedAt": format!("2025-11-24T16:{:02}:{:02}Z", started / 60, started % 60),
    })
}

fn scans(scans: &[Value]) -> Answer {
    Answer::ok(json!({ "items": scans }))
}

#[test]
fn while_the_token_is_trusted_a_scan_is_started_with_it_again() {
    hermetic(async {
        assert_eq!(in_words(fate(&request(), None, 239, []).await).0, "send again");
        let none = "not happened: no scan of ami-0123456789abcdef0 was started since";
        assert_eq!(in_words(fate(&request(), None, 240, [scans(&[])]).await).0, none);
        assert_eq!(in_words(fate_given_up(&request(), 1, [scans(&[])]).await).0, none);
    });
}

#[test]
fn the_one_scan_since_is_the_call_s() {
    hermetic(async {
        // SENT is at 16:00:00.
        assert_eq!(SENT % 3600, 0);
        let (told, output) = in_words(fate(&request(), None, 300, [scans(&[scan("ours", 1)])]).await);
        assert_eq!(told, "happened: the scan ours of ami-0123456789abcdef0 was started then, and no other");
        assert_eq!(output.unwrap().scan, "ours");
        let both = [scan("one", 1), scan("two", 200)];
        let (told, _) = in_words(fate(&request(), None, 300, [scans(&both)]).await);
        let expected = format!(
            "unknown: 2 scans of ami-0123456789abcdef0 were started since; see in CloudTrail which of them has the \
             token {TOKEN}"
        );
        assert_eq!(told, expected);
    });
}
