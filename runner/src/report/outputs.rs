//! The outputs of a stage in a few words.

use serde_json::Value;

use super::fit;
use super::style::Style;
use crate::harmless;

/// How many columns the words may take together.
const COLUMNS: usize = 96;
/// How many columns one value may take.
const VALUE_COLUMNS: usize = 48;

/// `image web@sha256:3f1c9a2b7d10, tag 4f5c2a1`: images first, then the rest in the plugin's own order, as much as fits.
/// What an output shown before already says (the digest of an image) is left out.
pub(crate) fn in_short(outputs: &Value, style: Style) -> String {
    let Value::Object(members) = outputs else { return String::new() };
    let (images, rest): (Vec<_>, Vec<_>) = members.iter().partition(|(_, value)| value.as_str().is_some_and(is_image));
    let mut shown: Vec<&str> = Vec::new();
    let mut words = String::new();
    for (name, value) in images.into_iter().chain(rest) {
        let Some(value) = value_in_short(value, &shown, style) else { continue };
        if let Some(raw) = members.get(name).and_then(Value::as_str) {
            shown.push(raw);
        }
        let separator = if words.is_empty() { "" } else { ", " };
        let more = format!("{separator}{} {value}", harmless::line(name));
        if !words.is_empty() && fit::width(&words) + fit::width(&more) > COLUMNS {
            break;
        }
        words.push_str(&more);
    }
    words
}

/// The output `image`, where the stage also names a `service` that is not `idle`: such a stage says that the service runs the image.
pub(crate) fn served(outputs: &Value) -> Option<(&str, &str)> {
    let member = |name: &str| outputs.get(name).and_then(Value::as_str);
    let image = member("image").filter(|image| is_image(image))?;
    let idle = outputs.get("idle").and_then(Value::as_bool).unwrap_or(false);
    if idle {
        return None;
    }
    Some((last_part(member("service")?), image))
}

/// All outputs that name an image by digest.
pub(crate) fn images(outputs: &Value) -> impl Iterator<Item = &str> {
    outputs.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str()).filter(|value| is_image(value))
}

fn value_in_short(value: &Value, shown: &[&str], style: Style) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => match items.as_slice() {
            [only @ (Value::String(_) | Value::Number(_))] => value_in_short(only, &[], style),
            _ => Some(fit::count(items.len() as u64, "item")),
        },
        Value::String(string) if string.is_empty() || shown.iter().any(|earlier| says(earlier, string)) => None,
        Value::String(string) => Some(string_in_short(string, style)),
    }
}

/// Whether `earlier` is `value`, or an image whose digest or repository is `value`.
fn says(earlier: &str, value: &str) -> bool {
    let part_of_image = |(repository, digest): (&str, &str)| {
        digest == value
            || repository.strip_suffix(value).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    earlier == value || earlier.split_once('@').is_some_and(part_of_image)
}

/// Images and digests by their first 12 digits, ARNs by the end of their resource, the rest cut.
fn string_in_short(string: &str, style: Style) -> String {
    let short = match string.rsplit_once("sha256:") {
        Some((before, hex)) if is_sha256(hex) => {
            let digits = hex.get(..12).unwrap_or(hex);
            let name = before.rsplit('/').next().unwrap_or(before);
            format!("{name}sha256:{digits}")
        }
        _ if string.starts_with("arn:") => last_part(string).to_owned(),
        _ => string.to_owned(),
    };
    fit::cut(&harmless::line(&short), VALUE_COLUMNS, style).into_owned()
}

/// `web:43` of `arn:aws:ecs:us-west-2:111111111111:task-definition/web:43`.
fn last_part(string: &str) -> &str {
    if string.starts_with("arn:") { string.rsplit('/').next().unwrap_or(string) } else { string }
}

fn is_image(string: &str) -> bool {
    string.rsplit_once("@sha256:").is_some_and(|(name, hex)| !name.is_empty() && is_sha256(hex))
}

fn is_sha256(hex: &str) -> bool {
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HEX: &str = "3f1c9a2b7d10aabbccddeeff00112233445566778899aabbccddeeff00112233";

    #[test]
    fn images_come_first_and_nothing_is_said_twice() {
        let image = format!("111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:{HEX}");
        let build = json!({
            "tag": "4f5c2a1", "image": image, "repository": "web", "digest": format!("sha256:{HEX}"),
            "build-id": "web-image:77", "extra": {"a": 1}, "nothing": null,
        });
        assert_eq!(in_short(&build, Style::ASCII), "image web@sha256:3f1c9a2b7d10, tag 4f5c2a1, build-id web-image:77");
        let deploy = json!({
            "task-definition": "arn:aws:ecs:us-west-2:111111111111:task-definition/web:43", "image": image, "service": "web",
        });
        assert_eq!(in_short(&deploy, Style::ASCII), "image web@sha256:3f1c9a2b7d10, task-definition web:43");
        assert_eq!(served(&deploy), Some(("web", image.as_str())));
        assert_eq!(served(&build), None);
        assert_eq!(served(&json!({ "image": image, "service": "web", "idle": true })), None, "nothing runs it");
        assert_eq!(images(&build).collect::<Vec<_>>(), [image.as_str()]);
    }

    #[test]
    fn lists_are_counted_and_long_values_are_cut() {
        let outputs = json!({ "deleted": ["a", "b"], "alarms": ["web-5xx"], "kept": 10, "note": "x".repeat(200) });
        let words = in_short(&outputs, Style::UNICODE);
        assert!(words.starts_with("deleted 2 items, alarms web-5xx, kept 10, note xxx"), "{words}");
        assert!(words.ends_with("x…"), "{words}");
        assert_eq!(in_short(&json!("no object"), Style::ASCII), "");
    }
}
