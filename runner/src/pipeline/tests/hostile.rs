//! Files that nobody wrote by hand: huge, deep, random.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::fake::{FakeCatalog, checked, codes, source, with_stage};
use crate::diagnostic::{render, to_json};
use crate::pipeline::check;

const PIPELINE: &str = "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n";

#[test]
fn a_file_over_a_mebibyte_is_refused_unread() {
    assert_eq!(codes(&"#".repeat((1 << 20) + 1)), ["file-too-large"]);
    assert!(!codes(&"#".repeat(1 << 20)).contains(&"file-too-large"));
}

#[test]
fn nesting_of_200_000_is_a_diagnostic_and_no_overflow() {
    let depth = 200_000;
    for text in [
        format!("a = {}", "[".repeat(depth)),
        format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("{PIPELINE}[stages.a]\nwith = {}", "{a=".repeat(depth)),
    ] {
        assert_eq!(codes(&text), ["nested-too-deep"]);
    }
    // Dots nest as well, and the parser guards them itself.
    let dotted = "a.".repeat(depth);
    for text in [format!("{dotted}a = 1"), format!("[{dotted}a]"), format!("a = {{ {dotted}a = 1 }}")] {
        let found = checked(&text).err().unwrap_or_default();
        assert!(found.iter().any(|diagnostic| diagnostic.code == "syntax"), "{:?}", found.first());
    }
}

#[test]
fn deep_headers_below_each_limit_are_no_matter() {
    let dotted = |name: &str| vec![name; 79].join(".");
    let text = format!("[{}]\n{} = {}1{}", dotted("a"), dotted("b"), "[".repeat(30), "]".repeat(30));
    assert!(codes(&text).contains(&"unknown-field"));
}

#[test]
fn a_config_that_could_not_be_read_again_is_refused() {
    let stage = |levels| {
        let inner = vec!["a"; levels].join(".");
        codes(&with_stage(&format!(
            "[stages.s]\nplugin = \"p\"\n[stages.s.with.{inner}]\nx = 1\n[plugins.p]\npath = \"p.wasm\"\n"
        )))
    };
    assert_eq!(stage(47), [""; 0]);
    assert_eq!(stage(48), ["too-much"]);
}

#[test]
fn expressions_at_every_limit_fit_on_the_stack() {
    let chain = "true ? true : ".repeat(60);
    let texts = [
        format!("{}true{}", "(".repeat(8), ")".repeat(8)),
        format!("{}true{}", "(".repeat(9), ")".repeat(9)),
        format!("{}true{}", "[1].all(x, ".repeat(8), ")".repeat(8)),
        format!("{}[0]", "[".repeat(24)),
        format!("{}true", "!".repeat(250)),
        format!("{}1 > 0", "-".repeat(250)),
        format!("{}1 > 0", "1 + ".repeat(120)),
        format!("{chain}true"),
        format!("{}true{}", "(true ? true : ".repeat(8), ")".repeat(8)),
        format!("{}{chain}true{}", "(true ? true : ".repeat(8), ")".repeat(8)),
        format!("{}true{}", "(true ? true : true && !".repeat(8), ")".repeat(8)),
        format!("{}true", "true && ".repeat(120)),
        format!("has({}c)", "stages.a.kept.".to_owned() + &"b.".repeat(120)),
        "[".repeat(1000),
        "{".repeat(1000),
        "a?".repeat(500),
    ];
    for text in texts {
        let _ = checked(&with_stage(&format!(
            "[stages.a]\nplugin = \"cleanup-images\"\nwith = {{ repository = \"r\", keep = 1 }}\n\
             [stages.b]\nplugin = \"cleanup-images\"\nwhen = \"{text}\"\nwith = {{ repository = \"r\", keep = 1 }}"
        )));
    }
}

#[test]
fn a_thousand_errors_are_told_in_good_time() {
    let mut text = PIPELINE.to_owned();
    for stage in 0..1000 {
        text.push_str(&format!("[stages.s{stage}]\nplugin = \"nope\"\nfield = 1\nafter = [\"t{stage}\"]\n"));
    }
    let begin = Instant::now();
    let found = checked(&text).err().unwrap_or_default();
    assert_eq!(found.len(), 1001);
    let shown = render(&found, &source(&text), false);
    assert!(shown.contains("and 900 more"));
    assert!(shown.contains("there are 2000 more problems, which are not listed"));
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn a_thousand_stages_are_checked_in_good_time() {
    let mut text = PIPELINE.to_owned();
    for stage in 0..1000 {
        let after = if stage == 0 { String::new() } else { format!("after = [\"s{}\"]\n", stage - 1) };
        text.push_str(&format!(
            "[stages.s{stage}]\nplugin = \"cleanup-images\"\nwith = {{ repository = \"${{region}}\", keep = 1 }}\n{after}"
        ));
    }
    let begin = Instant::now();
    let pipeline = checked(&text).map_err(|found| render(&found, &source(&text), false));
    assert_eq!(pipeline.map(|pipeline| pipeline.stages.len()), Ok(1000));
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn thousands_of_hidden_characters_are_summed_up() {
    let found = checked(&format!("{PIPELINE}# {}", "\u{202E}".repeat(5000))).err().unwrap_or_default();
    assert!(found.iter().filter(|diagnostic| diagnostic.labels.is_empty()).any(|d| d.message.contains("4990 more")));
}

/// Pieces of pipelines, so that random texts get further than the first line.
fn piece() -> impl Strategy<Value = String> {
    let fixed = [
        PIPELINE,
        "[stages.a]\n",
        "[stages.b]\n",
        "[[stages]]\n",
        "[inputs.x]\n",
        "[secrets.s]\n",
        "[environments.e]\n",
        "[plugins.p]\n",
        "plugin = \"build-image\"\n",
        "plugin = \"p\"\n",
        "path = \"x\"\n",
        "with = { ",
        " }\n",
        "tag = ",
        "\"${stages.a.image}\"",
        "\"${stages.b.tag + 1}\"",
        "\"${inputs.x}\"",
        "\"${secrets.s}\"",
        "default = ",
        "id = ",
        "when = ",
        "after = [",
        "]",
        "timeout = ",
        "\"5m\"",
        "nan",
        "1",
        "'''",
        "\"\"\"",
        "\"",
        "{",
        "}",
        "[",
        ",",
        "\n",
        "=",
        "a.b.c",
        "\u{FEFF}",
        "\u{202E}",
        "\u{0}",
        "\\u0007",
        "AKIAIOSFODNN7EXAMPLE",
        "${",
        "$${",
        "#",
        "\r\n",
        "1979-05-27",
    ];
    prop_oneof![4 => proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_the_checks(pieces in proptest::collection::vec(piece(), 0..24)) {
        let text = pieces.concat();
        let source = source(&text);
        if let Err(found) = check(&source, &FakeCatalog) {
            prop_assert!(!found.is_empty());
            let shown = render(&found, &source, false);
            prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            prop_assert!(!shown.contains("AKIAIOSFODNN7EXAMPLE"));
            prop_assert!(!found.iter().any(|diagnostic| diagnostic.code == "internal"), "{shown}");
            for label in found.iter().flat_map(|diagnostic| &diagnostic.labels) {
                prop_assert!(label.span.start <= label.span.end && label.span.end <= text.len() + 1, "{label:?}");
            }
            let _ = to_json(&found, &source);
        }
    }

    #[test]
    fn no_expression_breaks_the_checks(text in "[\\$\\{\\}a-c.'()\\[\\]?:&|!=<>+*/%0-9 ,-]{0,30}") {
        let _ = checked(&with_stage(&format!(
            "[stages.a]\nplugin = \"cleanup-images\"\nwhen = \"{text}\"\nwith = {{ repository = \"${{{text}}}\", keep = 1 }}"
        )));
    }
}
