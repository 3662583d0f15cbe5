//! What the tests of everything that is shown share: text that would act, how it comes into a value, and whether anything of it acts.
//!
//! The main functions are [`poisoned`] and [`acts`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Texts of which each would do something to a terminal, a reader or a CI service.
pub(crate) const HOSTILE: [&str; 18] = [
    "\u{1b}[2Jcleared",
    "\u{1b}]0;title\u{7}set",
    "\u{1b}]8;;http://elsewhere\u{1b}\\link",
    "\u{9b}31mred\u{9d}0;title\u{9c}",
    "gone\rback\u{8}\u{7f}",
    "user\u{202e}gpj.exe\u{2066}x",
    "left\u{200e}\u{200f}\u{61c}",
    "zero\u{200b}width\u{200d}\u{2060}\u{feff}",
    "soft\u{ad}hyphen\u{34f}\u{180e}",
    "line\u{2028}paragraph\u{2029}next\u{85}\u{b}\u{c}",
    "annotated\u{fff9}x\u{fffb}\u{e0041}\u{e007f}",
    "::error::x",
    "first\n::set-output name=a::b\n \t::stop-commands::c",
    "first\r\n::add-mask::d",
    "a ##vso[task.setvariable variable=a]b",
    "##[error]x ###[group]",
    "#\u{1b}[0m#teamcity[buildStop]",
    ":\u{200b}:warning::y",
];

/// The characters of [`HOSTILE`] that act by themselves: a list of its own, so that one that is forgotten there is missed here.
const ACTING: &str = "\u{0}\u{7}\u{8}\u{b}\u{c}\r\u{1b}\u{7f}\u{85}\u{9b}\u{9c}\u{9d}\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}\u{200d}\u{200e}\
                      \u{200f}\u{2028}\u{2029}\u{202e}\u{2060}\u{2066}\u{feff}\u{fff9}\u{fffb}\u{e0041}\u{e007f}";

/// What in `text` acts: a character, or a command to a CI service.
pub(crate) fn acts(text: &str) -> Option<String> {
    if let Some(c) = text.chars().find(|c| ACTING.contains(*c)) {
        return Some(format!("U+{:04X} in {text:?}", c as u32));
    }
    let command = |line: &&str| {
        let heads = ["##[", "##vso[", "##teamcity["];
        line.trim_start().starts_with("::") || heads.iter().any(|head| line.contains(head))
    };
    text.lines().find(command).map(|line| format!("a command in {line:?}"))
}

/// `value` with `hostile` in each of its texts that may be anything: those in whose place the value can still be read.
pub(crate) fn poisoned<T: Serialize + DeserializeOwned>(value: &T, hostile: &str) -> T {
    let sound = serde_json::to_value(value).unwrap_or_default();
    let mut places = Vec::new();
    texts(&sound, &mut String::new(), &mut places);
    let mut poisoned = sound;
    for place in places {
        let Some(text) = poisoned.pointer_mut(&place) else { continue };
        let before = std::mem::replace(text, Value::from(hostile));
        if T::deserialize(&poisoned).is_err()
            && let Some(text) = poisoned.pointer_mut(&place)
        {
            *text = before;
        }
    }
    T::deserialize(&poisoned).unwrap_or_else(|error| unreachable!("each text was tried: {error}"))
}

/// Where the texts of a value are. What tells one kind of a thing from another is none.
fn texts(value: &Value, place: &mut String, found: &mut Vec<String>) {
    let length = place.len();
    match value {
        Value::String(_) if !place.ends_with("/type") => found.push(place.clone()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                place.push_str(&format!("/{index}"));
                texts(item, place, found);
                place.truncate(length);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                place.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                texts(member, place, found);
                place.truncate(length);
            }
        }
        _ => {}
    }
}

#[test]
fn each_of_the_hostile_texts_acts_and_harmless_ones_do_not() {
    for text in HOSTILE {
        assert!(acts(text).is_some(), "{text:?}");
    }
    for text in ["plain", "a::b and [::1]:80", "# heading", "## heading", "naïve 漢字\ttab\nline", "#[derive]"] {
        assert_eq!(acts(text), None);
    }
}

#[test]
fn every_text_that_may_be_anything_is_poisoned_and_no_other() {
    let sound: (String, bool, Vec<crate::types::StageName>) = ("free".to_owned(), true, vec!["build".parse().unwrap()]);
    let (free, kept, names) = poisoned(&sound, "::x\u{1b}");
    assert_eq!((free.as_str(), kept, names[0].as_str()), ("::x\u{1b}", true, "build"));
}
