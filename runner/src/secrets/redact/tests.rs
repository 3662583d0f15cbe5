//! A row for each way in which a secret leaks, and a few for text that must stay as it is.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const VALUE: &str = "p@ss 'word' \"1\" <&> \\é+%";
const MASK: &str = "[secret registry]";

fn redactor(value: &str) -> Redactor {
    Redactor::new([("registry", value)]).unwrap()
}

/// `leak` is masked as a whole.
fn masked(value: &str, leak: &str) {
    let redactor = redactor(value);
    let text = format!("before {leak} behind");
    assert_eq!(redactor.text(&text), format!("before {MASK} behind"), "{leak:?}");
    assert_eq!(redactor.text(leak), MASK, "{leak:?} alone");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn raw() {
    masked(VALUE, VALUE);
    masked("hunter2hunter2", "hunter2hunter2");
}

#[test]
fn base64_at_each_shift() {
    for value in [VALUE, "hunter2!", "hunter2!!", "hunter2!!!", "\u{3ff}\u{3ff}\u{3ff}~~~???"] {
        for prefix in ["", "u", "us", "user:", "user:1", "user:12"] {
            let redactor = redactor(value);
            for suffix in ["", "\n", ":x", "abc"] {
                for engine in [&STANDARD, &URL_SAFE] {
                    let bytes = format!("{prefix}{value}{suffix}");
                    let encoded = engine.encode(&bytes);
                    let text = format!("Authorization: Basic {encoded}");
                    let redacted = redactor.text(&text).into_owned();
                    assert!(redacted.contains(MASK), "{bytes:?}: {redacted}");
                    // What is left are characters that hold bits of the prefix and the suffix alone.
                    let left = redacted.replace(MASK, "").replace("Authorization: Basic ", "");
                    let allowed = (prefix.len() * 8).div_ceil(6) + (suffix.len() * 8).div_ceil(6) + 2;
                    assert!(left.len() <= allowed, "{bytes:?}: {left:?} is left");
                }
            }
        }
    }
}

#[test]
fn hex_in_both_cases() {
    masked(VALUE, &hex(VALUE.as_bytes()));
    masked(VALUE, &hex(VALUE.as_bytes()).to_uppercase());
}

#[test]
fn percent() {
    masked(VALUE, &utf8_percent_encode(VALUE, NON_ALPHANUMERIC).to_string());
    masked(VALUE, &utf8_percent_encode(VALUE, NON_ALPHANUMERIC).to_string().to_lowercase());
    masked(VALUE, &VALUE.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>());
    // As forms write it, with `+` for a space.
    let form: String = utf8_percent_encode(VALUE, NON_ALPHANUMERIC).to_string().replace("%20", "+");
    masked(VALUE, &form);
    // A URL within a URL.
    let twice = utf8_percent_encode(&form, NON_ALPHANUMERIC).to_string();
    masked(VALUE, &twice);
}

#[test]
fn json_escaped() {
    let once = serde_json::to_string(VALUE).unwrap();
    masked(VALUE, once.trim_matches('"'));
    let ascii: String = VALUE.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    masked(VALUE, &ascii);
    masked("flames \u{1f525}\u{1f525}", "flames \\ud83d\\udd25\\uD83D\\uDD25");
    // JSON that is logged within JSON.
    let inner = json!({"token": VALUE, "next": 1}).to_string();
    let outer = json!({ "message": inner }).to_string();
    let redacted = redactor(VALUE).text(&outer).into_owned();
    assert!(redacted.contains(MASK) && !redacted.contains("word") && redacted.contains("next"), "{redacted}");
    masked("line one\nline two\tend", "line one\\nline two\\tend");
    // Quotes and backslashes at the edges belong to the value, and are masked with it.
    for value in ["\"quoted\"", "\\path\\name\\", "\\\"\\\"\\\"\\\""] {
        let inner = json!(value).to_string();
        masked(value, &inner[1..inner.len() - 1]);
        let outer = json!(inner).to_string();
        assert_eq!(redactor(value).text(&outer), format!(r#""\"{MASK}\"""#), "{value}");
    }
}

#[test]
fn xml_escaped() {
    masked(VALUE, "p@ss &apos;word&apos; &quot;1&quot; &lt;&amp;&gt; \\é+%");
    masked(VALUE, "p@ss &#39;word&#39; &#34;1&#34; &lt;&amp;&gt; \\&#233;+%");
    masked(VALUE, "p@ss &#x27;word&#x27; &quot;1&quot; &lt;&amp;&gt; \\&#xE9;+%");
}

#[test]
fn shell_quoted() {
    masked(VALUE, &VALUE.replace('\'', r"'\''"));
    masked(VALUE, &VALUE.replace('\'', r#"'"'"'"#));
    masked(VALUE, r#"p@ss 'word' \"1\" <&> \\é+%"#);
    masked(VALUE, r#"p@ss\ \'word\'\ \"1\"\ \<\&\>\ \\é+%"#);
    masked("hunter$2`hunter`", r"hunter\$2\`hunter\`");
}

#[test]
fn utf16() {
    for value in [VALUE, "hunter2hunter2"] {
        let low: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let high: Vec<u8> = value.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [low, high] {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let redacted = redactor(value).text(&text).replace('\0', "");
            assert_eq!(redacted, MASK, "{text:?}");
            masked(value, &hex(&bytes));
            let encoded = STANDARD.encode(&bytes);
            let redacted = redactor(value).text(&encoded).replace('=', "");
            assert_eq!(redacted, MASK, "{encoded}");
        }
    }
}

#[test]
fn split_over_lines_of_one_text() {
    masked("hunter2hunter2", "hunter2\nhunter2");
    masked("hunter2hunter2", "hun\r\nter2hun\r\nter2");
    let long = "correct horse battery staple ".repeat(5);
    let long = long.trim();
    let encoded = STANDARD.encode(long);
    let wrapped: Vec<&str> = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let redacted = redactor(long).text(&wrapped.join("\n")).replace('=', "");
    assert_eq!(redacted, MASK);
}

const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R\n-----END PRIVATE KEY-----\n";

#[test]
fn each_line_of_a_pem() {
    let redactor = redactor(PEM);
    assert_eq!(redactor.text(PEM.trim()), MASK);
    for line in PEM.lines() {
        let redacted = redactor.text(line);
        if line.starts_with("-----") {
            assert_eq!(redacted, line, "the frame is no secret");
        } else {
            assert_eq!(redacted, MASK);
            assert_eq!(redactor.text(&format!("| {line} |")), format!("| {MASK} |"));
        }
    }
    let inline = PEM.replace('\n', "\\n");
    let redacted = redactor.text(&inline).into_owned();
    assert!(!redacted.contains("MII") && !redacted.contains("WA4R"), "{redacted}");
    let indented: String = PEM.lines().map(|line| format!("    {line}\n")).collect();
    let redacted = redactor.text(&indented).into_owned();
    assert!(!redacted.contains("MII") && !redacted.contains("WA4R"), "{redacted}");
}

#[test]
fn each_leaf_of_a_json_secret() {
    let value = r#"{"user": "admin", "password": "hunter2\"hunter2", "keys": ["first-key-0001", 1234567890], "port": 5432, "tls": true}"#;
    let redactor = Redactor::default();
    let added = redactor.add("registry", value).unwrap();
    assert_eq!(added.short, ["/user", "/port"]);
    for leak in ["hunter2\"hunter2", "first-key-0001", "1234567890", r#"hunter2\"hunter2"#, value] {
        assert_eq!(redactor.text(leak), MASK, "{leak}");
    }
    let encoded = STANDARD.encode("first-key-0001!!");
    assert!(redactor.text(&encoded).contains(MASK));
    assert_eq!(redactor.text("admin 5432"), "admin 5432", "too short to be told from other text");
    let mut json = json!({"first-key-0001": [1_234_567_890, "x hunter2\"hunter2"], "[secret registry]": 1, "n": 5432});
    redactor.json(&mut json);
    assert_eq!(json, json!({MASK: [MASK, format!("x {MASK}")], format!("{MASK} (2)"): 1, "n": 5432}));
}

#[test]
fn a_short_value_is_refused_and_said_so() {
    for value in ["", "1234567", "  pass  \n", "äöüäöüä"] {
        let error = Redactor::new([("registry", value)]).unwrap_err();
        assert!(matches!(error, RedactError::TooShort { .. }));
        assert!(error.to_string().contains("the secret registry has only"), "{error}");
        assert!(value.trim().is_empty() || !error.to_string().contains(value.trim()), "{error}");
    }
    assert!(Redactor::new([("registry", "12345678")]).is_ok());
}

#[test]
fn other_text_stays_as_it_is() {
    let redactor = redactor(VALUE);
    for text in ["", "p@ss", "nothing 100% \\o/ & 'quoted' + more\r\n", "%", "&#;&#x;&bogus;", "\\u12", "\\ud83d", "é"]
    {
        assert!(matches!(redactor.text(text), Cow::Borrowed(same) if same == text), "{text:?}");
    }
    let none = Redactor::default();
    assert!(matches!(none.text(VALUE), Cow::Borrowed(_)));
}

#[test]
fn several_secrets_each_under_its_name() {
    let redactor = Redactor::new([("one", "first-value"), ("two", "second-value")]).unwrap();
    let clone = redactor.clone();
    redactor.add("three", "third-value").unwrap();
    redactor.add("three", "third-value").unwrap();
    assert_eq!(clone.text("first-value second-value third-value."), "[secret one] [secret two] [secret three].");
    assert_eq!(format!("{clone:?}"), r#"Redactor { secrets: ["one", "two", "three"] }"#);
}

fn lines(redactor: &Redactor, input: &[&str]) -> Vec<String> {
    let mut stream = redactor.stream();
    let mut shown = Vec::new();
    for (number, line) in input.iter().enumerate() {
        shown.extend(stream.line(number, line));
    }
    shown.extend(stream.finish());
    let (numbers, lines): (Vec<usize>, Vec<String>) = shown.into_iter().unzip();
    assert_eq!(numbers, (0..input.len()).collect::<Vec<_>>(), "every line once and in order");
    lines
}

#[test]
fn split_over_two_writes_at_any_place() {
    let value = "hunter2-HUNTER3";
    let redactor = redactor(value);
    for at in 1..value.len() {
        let (one, two) = value.split_at(at);
        let shown = lines(&redactor, &[&format!("a {one}"), &format!("{two} b"), "c"]);
        assert_eq!(shown, [format!("a {MASK}"), format!("{MASK} b"), "c".to_owned()], "at {at}");
    }
    // One character a line, and empty lines between.
    let characters: Vec<String> = value.chars().flat_map(|c| [c.to_string(), String::new()]).collect();
    let input: Vec<&str> = characters.iter().map(String::as_str).collect();
    let shown = lines(&redactor, &input).concat();
    assert_eq!(shown.replace(MASK, ""), "");
    // In other encodings too, and split within an escape.
    let percent: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let base64 = STANDARD.encode(format!("user:{value}!"));
    for encoded in [percent, base64] {
        for at in 1..encoded.len() {
            let (one, two) = encoded.split_at(at);
            let shown = lines(&redactor, &[one, two]).concat();
            assert!(shown.contains(MASK), "at {at}: {shown}");
            assert!(shown.replace(MASK, "").len() <= 14, "at {at}: {shown}");
        }
    }
}

#[test]
fn a_stream_holds_back_only_what_may_be_a_beginning() {
    let mut stream = redactor("hunter2-HUNTER3").stream();
    assert_eq!(stream.line(1, "building"), [(1, "building".to_owned())]);
    assert_eq!(stream.line(2, "token: hunter2-HUNTER3."), [(2, format!("token: {MASK}."))]);
    assert_eq!(stream.line(3, "the hunter"), []);
    assert_eq!(stream.line(4, "went home"), [(3, "the hunter".to_owned()), (4, "went home".to_owned())]);
    // What is found at once with the beginning of another waits for it.
    assert_eq!(stream.line(5, "hunter2-"), []);
    assert_eq!(stream.line(6, "HUNTER3 hunter2"), []);
    let shown = stream.line(7, "-HUNTER3 done");
    assert_eq!(shown, [(5, MASK.to_owned()), (6, format!("{MASK} {MASK}")), (7, format!("{MASK} done"))]);
    assert_eq!(stream.line(8, "hun"), []);
    assert_eq!(stream.finish(), [(8, "hun".to_owned())]);
    // A flood of beginnings is not held for ever.
    let held = (0..10_000).map(|_| 1 - stream.line(0, "").len().min(1)).sum::<usize>();
    assert!(held < 200, "{held}");
    let mut shown = stream.line(0, "h").len();
    for _ in 0..1_000 {
        shown += stream.line(0, "").len();
    }
    assert!(shown > 800, "{shown}");
}

#[test]
fn what_would_hide_a_secret_is_taken_away_before_it_is_masked() {
    let redactor = redactor("hunter2-HUNTER3");
    assert_eq!(redactor.untrusted("hun\u{1b}[0mter2\u{200b}-HUN\u{0}TER3"), MASK);
    assert_eq!(redactor.untrusted("plain\u{7}"), "plain");
}

#[test]
fn what_is_made_harmless_for_display_is_known_in_that_form_too() {
    for value in [
        "\u{feff}hunter2-HUNTER3",
        "hunter2\u{200b}-HUNTER3",
        "hunter2\u{ad}-HUNTER3\u{202e}x",
        "hunter2\0-HUNTER3",
        "hunter2\u{7f}-HUNTER3",
        "hunter2\u{b}-HUNTER3",
        "hunter2\u{85}-HUNTER3",
        "hunter2\u{2028}-HUNTER3",
        "hunter2\u{1b}[31m-HUNTER3",
        "::hunter2::HUNTER3",
        "##vso[hunter2]HUNTER3",
    ] {
        let redactor = redactor(value);
        for text in
            [value.to_owned(), format!("token: {value}."), format!("before\n{value}\nbehind"), format!("a{value}b")]
        {
            let shown = redactor.untrusted(&text);
            assert!(shown.contains(MASK), "{value:?} in {text:?}: {shown:?}");
            assert!(!shown.contains("HUNTER3"), "{value:?} in {text:?}: {shown:?}");
        }
        // Line by line, as a log is written: what is sanitised is what comes in.
        let log: Vec<String> = sanitise(&format!("before\n{value}\nbehind")).split('\n').map(str::to_owned).collect();
        let shown = lines(&redactor, &log.iter().map(String::as_str).collect::<Vec<_>>()).concat();
        assert!(shown.contains(MASK) && !shown.contains("HUNTER3"), "{value:?}: {shown:?}");
    }
}

#[test]
fn the_parts_of_a_secret_are_masked_in_forms_that_tools_write() {
    let dsn = redactor("postgres://web:p%40ss-word-9@db.example.com:5432/web");
    for leak in ["p%40ss-word-9", "p@ss-word-9", "cGFzcw==p@ss-word-9"] {
        assert!(dsn.text(leak).contains(MASK), "{leak}");
    }
    let dotenv = redactor("USER=web\nexport API_TOKEN=\"hunter2-HUNTER3\"\n");
    assert_eq!(dotenv.text("hunter2-HUNTER3"), MASK);
    let nested = redactor(r#"{"docker": "{\"auths\":{\"registry.example.com\":{\"auth\":\"dXNlcjpodW50ZXIy\"}}}"}"#);
    assert_eq!(nested.text("auth dXNlcjpodW50ZXIy."), format!("auth {MASK}."));
    // A docker config, whole, in base64: the token is in base64 within.
    let token = redactor("hunter2-HUNTER3");
    let auth = STANDARD.encode("user:hunter2-HUNTER3");
    let config = STANDARD.encode(format!(r#"{{"auths":{{"x":{{"auth":"{auth}"}}}}}}"#));
    assert!(token.text(&config).contains(MASK), "{config}");
    // The last line of a PEM is short.
    let pem = redactor(PEM.trim_end().replace("MzEfYyjiWA4R", "MzEf==").as_str());
    let quoted: String = PEM.replace("MzEfYyjiWA4R", "MzEf==").lines().map(|line| format!("> {line}\n")).collect();
    let shown = pem.text(&quoted).into_owned();
    assert!(!shown.contains("MzEf"), "{shown}");
}

#[test]
fn the_work_grows_with_the_text_and_not_with_what_overlaps_in_it() {
    // Each is the beginning of the next: at each place of the text all of them end.
    let leaves: Vec<String> = (8..100).map(|length| "a".repeat(length)).collect();
    let redactor = redactor(&json!(leaves).to_string());
    let text = "a".repeat(64 << 10);
    assert_eq!(redactor.text(&text).replace(MASK, ""), "");
    let matcher = redactor.matcher();
    let pieces = matcher.pieces(&text);
    assert!(pieces.iter().map(|piece| piece.spans.len()).sum::<usize>() <= text.len(), "each byte counts once");
    // The largest that Secrets Manager keeps.
    let leaves: Vec<String> = (0..1_000).map(|number| format!("leaf-{number:055}")).collect();
    let large = json!(leaves).to_string();
    assert!(large.len() > 60_000);
    let redactor = Redactor::new([("large", large.as_str())]).unwrap();
    assert_eq!(redactor.text(&format!("x leaf-{:055} y", 17)), "x [secret large] y");
}

/// Some ways to write a text.
fn encode(how: usize, text: &str) -> String {
    match how {
        0 => text.to_owned(),
        1 => hex(text.as_bytes()),
        2 => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        // Without JSON's own quotes, but with those of the text.
        3 => serde_json::to_string(text).unwrap().strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned(),
        4 => text.chars().map(|c| format!("&#{};", c as u32)).collect(),
        5 => text.replace('\'', r"'\''"),
        6 => json!(json!(text).to_string()).to_string(),
        _ => STANDARD.encode(text),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_gets_through(
        value in "[!-~]{1}[ -~é🔥]{8,30}[!-~]{1}",
        around in "[ -~é]{0,20}",
        how in 0usize..8,
        cut in 0.0f64..1.0,
    ) {
        let redactor = redactor(&value);
        let encoded = encode(how, &value);
        // A text can hold the value already, or make another of it.
        prop_assume!(!around.contains(&encoded));
        let text = format!("{around} {encoded} {around}");
        let redacted = redactor.text(&text).into_owned();
        // Exactly what is around the value is left: JSON's own quotes, base64's padding.
        let expected = match how {
            6 => format!(r#"{around} "\"{MASK}\"" {around}"#),
            7 => format!("{around} {MASK}{} {around}", "=".repeat(encoded.matches('=').count())),
            _ => format!("{around} {MASK} {around}"),
        };
        prop_assert_eq!(redacted, expected, "{}: {:?}", how, text);

        let at = encoded.floor_char_boundary((encoded.len() as f64 * cut) as usize);
        let (one, two) = encoded.split_at(at);
        let shown = lines(&redactor, &[one, two]);
        let shown = shown.concat();
        // JSON's own quotes, padding, and up to three characters of an encoding that was split there.
        let left = shown.replace(MASK, "");
        prop_assert!(shown.contains(MASK) && left.len() <= 9, "{how}: {shown:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_searched_without_a_fault(value in "\\PC{8,20}", text in "(\\PC|[\\\\%&;#xu'\"0-9a-f+\\r\\n]){0,200}") {
        if let Ok(redactor) = Redactor::new([("registry", value.as_str())]) {
            let redacted = redactor.text(&text).into_owned();
            prop_assert!(!redacted.contains(value.trim()));
            let _ = redactor.untrusted(&text);
            let input: Vec<&str> = text.split('\n').collect();
            lines(&redactor, &input);
        }
    }
}
