//! What is sealed comes back as it was, byte for byte, and no secret stands in what was written.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where it fails")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A redactor that knows some secrets by name, each in version 1.
fn knows(secrets: &[(&str, &str)]) -> Redactor {
    let redactor = Redactor::default();
    for (name, value) in secrets {
        let id = SecretId { name: (*name).to_owned(), version: Some("1".to_owned()) };
        redactor.learn(NewSecret { id, value: Zeroizing::new(value.as_bytes().to_vec()), key: None }).unwrap();
    }
    redactor
}

/// `value` sealed, written, read by another process, and opened there. Answers what was written.
fn kept(redactor: &Redactor, value: &Value) -> String {
    let written = serde_json::to_string(&redactor.seal(value).unwrap()).unwrap();
    let read: Sealed = serde_json::from_str(&written).unwrap();
    assert_eq!(redactor.open(&read).unwrap().to_string(), value.to_string(), "{written}");
    written
}

#[test]
fn a_word_that_is_secret_comes_back_and_is_not_written() {
    let redactor = knows(&[("registry", r#"{"token":"hunter2-hunter2","stage":"production-eu-7"}"#)]);
    let value =
        json!({"containers": [{"env": {"STAGE": "production-eu-7", "n": 1.5}}], "image": "web:production-eu-7!"});
    let written = kept(&redactor, &value);
    assert!(!written.contains("production-eu-7"), "{written}");
    let shown = redactor.seal(&value).unwrap().shown();
    assert_eq!(
        shown.value(),
        &json!({"containers": [{"env": {"STAGE": "[secret registry]", "n": 1.5}}], "image": "web:[secret registry]!"})
    );
}

#[test]
fn without_the_secret_or_in_another_version_nothing_comes_back() {
    let sealed = knows(&[("registry", "hunter2-hunter2")]).seal(&json!("x hunter2-hunter2")).unwrap();
    let unknown = Redactor::default().open(&sealed).unwrap_err();
    assert!(matches!(&unknown, SecretError::Unknown(id) if id.name == "registry"), "{unknown}");
    assert!(unknown.to_string().contains("the secret registry in version 1, which this process does not have"));
    let other = Redactor::default();
    let id = SecretId { name: "registry".to_owned(), version: Some("2".to_owned()) };
    other.learn(NewSecret { id, value: Zeroizing::new(b"hunter3-hunter3".to_vec()), key: None }).unwrap();
    assert!(matches!(other.open(&sealed), Err(SecretError::Unknown(_))));
}

#[test]
fn what_looks_like_a_reference_is_none() {
    let redactor = knows(&[("registry", "hunter2-hunter2")]);
    for value in [
        json!({"$kiln": {"text": [{"secret": {"name": "registry", "version": "1"}}]}}),
        json!({"$kiln": null, "b": 2}),
        json!({"a": [{"$kiln": {"text": [{"text": "x"}]}, "hunter2-hunter2": "hunter2-hunter2"}]}),
    ] {
        kept(&redactor, &value);
        kept(&Redactor::default(), &value);
    }
}

#[test]
fn keys_numbers_and_bytes_are_sealed_too() {
    let redactor = knows(&[("one", "1234567890"), ("two", "hunter2-hunter2")]);
    let bytes: Vec<u8> = b"xhunter2-hunter2y".to_vec();
    let value =
        json!({"hunter2-hunter2": 1_234_567_890, "b": bytes, "c": [1234567890.5, 99], "two hunter2-hunter2": {}});
    let written = kept(&redactor, &value);
    for leak in ["hunter2", "1234567890", "104,117,110"] {
        assert!(!written.contains(leak), "{leak}: {written}");
    }
}

#[test]
fn a_binary_answer_is_known_by_its_encodings() {
    let redactor = Redactor::default();
    let secret: Vec<u8> = (0..32_u8).map(|byte| byte.wrapping_mul(37) ^ 0x8f).collect();
    let id = SecretId { name: "kms:Decrypt".to_owned(), version: None };
    redactor.learn(NewSecret { id, value: Zeroizing::new(secret.clone()), key: None }).unwrap();
    let encoded = STANDARD.encode(&secret);
    let hex: String = secret.iter().map(|byte| format!("{byte:02X}")).collect();
    let value = json!({"base64": encoded, "hex": hex, "list": secret});
    let written = kept(&redactor, &value);
    assert!(!written.contains(encoded.get(4..20).unwrap()) && !written.contains(&hex), "{written}");
}

#[test]
fn overlapping_secrets_are_put_back_where_they_were() {
    let redactor = knows(&[("one", "abcdefgh-1234"), ("two", "1234-ijklmnop"), ("three", "aaaaaaaa")]);
    for text in [
        "abcdefgh-1234-ijklmnop",
        "xaaaaaaaaaaaaaaaaaaaay",
        "aaaaaaaaaaaa abcdefgh-12341234-ijklmnop",
        "abcdefgh-1234%2Dijklmnop",
    ] {
        kept(&redactor, &json!(text));
    }
    assert_eq!(redactor.text("xaaaaaaaaaaaaaaay"), "x[secret three]y");
}

#[test]
fn a_digit_that_two_pieces_share_is_written_once() {
    // The base64 of `uaabbbbbbbmore`: behind what one offset explains begins what another does.
    let redactor = knows(&[("registry", "aabbbbbbb")]);
    let written = kept(&redactor, &json!("dWFhYmJiYmJiYm1vcmU"));
    assert!(written.contains("$kiln"), "{written}");
}

/// Ways in which a value is written.
fn write(how: usize, text: &str) -> String {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    match how {
        0 => text.to_owned(),
        1 => hex(text).concat(),
        2 => hex(text).join(":").to_uppercase(),
        3 => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        4 => json!(text).to_string(),
        5 => json!(json!(text).to_string()).to_string(),
        6 => text.chars().map(|c| format!("&#x{:04X};", c as u32)).collect(),
        7 => text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
        8 => STANDARD.encode(format!("user:{text}")),
        9 => URL_SAFE_NO_PAD.encode(format!("u{text}more")),
        10 => STANDARD.encode(STANDARD.encode(format!("user:{text}"))),
        11 => format!("{:?}", text.as_bytes()),
        12 => text.bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        13 => text.replace('\'', r"'\''"),
        14 => text.chars().map(|c| format!("{c}\n> ")).collect(),
        15 => String::from_utf8_lossy(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).into_owned(),
        16 => text.bytes().map(|byte| format!("{byte:03o} ")).collect(),
        17 => text.bytes().map(|byte| format!("0x{byte:02x}, ")).collect(),
        _ => utf8_percent_encode(&json!(text).to_string(), NON_ALPHANUMERIC).to_string(),
    }
}

const WAYS: usize = 19;

#[test]
fn every_way_of_writing_is_sealed_and_masked() {
    for secret in ["hunter2-HUNTER3", "p@ss 'word' \"1\" <&> \\é+%", "aaaaaaaaaaaa", "\u{3ff}\u{3ff}\u{3ff}~~~???"] {
        let redactor = knows(&[("registry", secret)]);
        for how in 0..WAYS {
            let text = format!("before {} behind", write(how, secret));
            let written = kept(&redactor, &json!(text));
            assert!(written.contains("$kiln"), "way {how} of {secret:?} is not found: {written}");
            assert!(redactor.text(&text).contains("[secret registry]"), "way {how} of {secret:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sealed_comes_back_byte_for_byte(
        secrets in prop::collection::vec("[ -~]{8,24}|[a-c]{8,12}|\\PC{8,16}|[\\x00-\\x7f]{8,20}", 1..4),
        pieces in prop::collection::vec((0..WAYS, any::<prop::sample::Index>(), "(\\PC|[\\\\%&;#xu'\"0-9a-f+\\r\\n]){0,12}", 0..30_usize), 0..6),
        key in any::<bool>(),
    ) {
        let redactor = Redactor::default();
        let mut known = Vec::new();
        for (index, secret) in secrets.iter().enumerate() {
            let id = SecretId { name: format!("s{index}"), version: Some("1".to_owned()) };
            let new = NewSecret { id, value: Zeroizing::new(secret.as_bytes().to_vec()), key: None };
            if redactor.learn(new).is_ok() {
                known.push(secret.trim().to_owned());
            }
        }
        prop_assume!(!known.is_empty());
        let mut text = String::new();
        for (how, which, around, cut) in &pieces {
            let written = write(*how, &known[which.index(known.len())]);
            text.push_str(around);
            // Also in part: what is cut must come back, too.
            let from = written.floor_char_boundary(cut.saturating_sub(20));
            text.push_str(written.get(from..).unwrap_or_default());
        }
        let value = if key { json!({ text.clone(): [text.clone()] }) } else { json!([text.clone(), { "a": text.clone() }]) };
        let sealed = redactor.seal(&value);
        prop_assert!(sealed.is_ok(), "{:?}: {:?} of {:?}", sealed, text, known);
        let written = serde_json::to_string(&sealed.unwrap()).unwrap();
        let read: Sealed = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(redactor.open(&read).unwrap().to_string(), value.to_string());
        for secret in &known {
            let escaped = json!(secret).to_string();
            let plain = escaped.trim_matches('"');
            // A secret of punctuation alone can be part of what surrounds it.
            if plain.chars().filter(|c| c.is_alphanumeric()).count() >= 8 {
                prop_assert!(!written.contains(plain), "{plain:?} stands in {written}");
            }
        }
        // What is shown holds none either.
        let shown = redactor.text(&text).into_owned();
        for secret in &known {
            prop_assert!(!shown.contains(secret.as_str()), "{secret:?} is shown in {shown:?}");
        }
    }
}
