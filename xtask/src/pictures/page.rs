//! A picture of the page that kiln writes about a run: its head and its timeline, drawn from the events of the run.
//! The main function is [`picture`].

use serde_json::Value;

use super::drawing::{Drawing, SANS, Theme, Type};
use crate::error::TaskError;

const WIDTH: u32 = 960;
const MARGIN: u32 = 24;
/// Where the bars begin and end.
const BARS: [u32; 2] = [216, 840];
const ROW: u32 = 34;
const HEAD: u32 = 190;

/// A stage of the run.
struct Bar {
    name: String,
    plugin: String,
    /// In milliseconds since the run began.
    from: u64,
    took: u64,
    calls: Vec<Tick>,
}

/// A call of AWS.
struct Tick {
    at: u64,
    write: bool,
    failed: bool,
}

/// The picture of the page about the run of these events.
pub(super) fn picture(events: &[Value], theme: &Theme) -> Result<String, TaskError> {
    let missing =
        |what: &str| TaskError::other(format!("the rehearsal says nothing of {what}"), "this is a defect of kiln");
    let start = of_type(events, "run-started").next().ok_or_else(|| missing("its start"))?;
    let end = of_type(events, "run-finished").next().ok_or_else(|| missing("its end"))?;
    let span = number(end, "/event/millis").max(1);
    let bars = bars(events, start);
    let height = HEAD + 44 + ROW * bars.len() as u32 + MARGIN;
    let about = format!("The page about a run of {}: its stages in time", text(start, "/event/pipeline"));
    let mut drawing = Drawing::new(WIDTH, height, SANS, &about);
    drawing.rectangle([0, 0, WIDTH, height], 10, theme.paper, Some(theme.line));
    head(&mut drawing, start, end, bars.len(), theme);
    timeline(&mut drawing, &bars, span, theme);
    Ok(drawing.finish())
}

fn head(drawing: &mut Drawing, start: &Value, end: &Value, stages: usize, theme: &Theme) {
    let set = |colour, size, bold| Type { colour, size, bold, anchor: "start" };
    let outcome = text(end, "/event/outcome");
    drawing.text(MARGIN, 46, set(theme.ink, 22, true), text(start, "/event/pipeline"));
    drawing.rectangle([82, 28, 60, 24], 12, theme.line, None);
    let middle = |colour| Type { colour, size: 13, bold: true, anchor: "middle" };
    drawing.text(112, 45, middle(if outcome == "done" { theme.good_ink } else { theme.bad_ink }), outcome);
    drawing.rectangle([150, 28, 92, 24], 12, theme.paper, Some(theme.line));
    drawing.text(196, 45, Type { bold: false, ..middle(theme.soft) }, "rehearsal");
    drawing.text(MARGIN, 76, set(theme.soft, 14, false), &format!("{stages} stages, {outcome}"));
    drawing.rectangle([MARGIN, 92, WIDTH - 2 * MARGIN, 62], 8, theme.card, Some(theme.line));
    let facts = [
        ("Duration", kiln_span::human(number(end, "/event/millis")) + " (simulated)"),
        ("Account", text(start, "/event/account").to_owned()),
        ("Region", text(start, "/event/region").to_owned()),
        ("AWS calls", number(end, "/event/calls").to_string()),
        ("Pipeline", text(start, "/event/file").to_owned()),
    ];
    for (place, (name, value)) in facts.iter().enumerate() {
        let x = MARGIN + 16 + place as u32 * 172;
        drawing.text(x, 116, set(theme.soft, 12, false), name);
        drawing.text(x, 138, set(theme.ink, 14, false), value);
    }
}

fn timeline(drawing: &mut Drawing, bars: &[Bar], span: u64, theme: &Theme) {
    let set = |colour, size, anchor| Type { colour, size, bold: false, anchor };
    let bottom = HEAD + 40 + ROW * bars.len() as u32;
    drawing.text(MARGIN, HEAD, Type { bold: true, ..set(theme.ink, 16, "start") }, "Timeline");
    drawing.rectangle([MARGIN, HEAD + 12, WIDTH - 2 * MARGIN, bottom - HEAD - 8], 8, theme.card, Some(theme.line));
    for minute in (0..=span / 60_000).step_by(5) {
        let x = place(minute * 60_000, span);
        drawing.upright(x, HEAD + 36, bottom, theme.line);
        let label = if minute == 0 { "0s".to_owned() } else { format!("{minute}m") };
        drawing.text(x, HEAD + 30, set(theme.soft, 12, "middle"), &label);
    }
    for (row, bar) in bars.iter().enumerate() {
        let middle = HEAD + 40 + ROW * row as u32 + ROW / 2;
        drawing.dot(MARGIN + 16, middle - 4, 4, theme.good);
        drawing.text(MARGIN + 28, middle, Type { bold: true, ..set(theme.ink, 14, "start") }, &bar.name);
        drawing.text(MARGIN + 100, middle, set(theme.soft, 11, "start"), &bar.plugin);
        let (from, to) = (place(bar.from, span), place(bar.from + bar.took, span));
        // What takes no time is seen all the same.
        drawing.rectangle([from, middle - 11, (to - from).max(3), 13], 3, theme.good, None);
        for call in &bar.calls {
            let colour = match call {
                Tick { failed: true, .. } => theme.bad_ink,
                Tick { write: true, .. } => theme.accent,
                Tick { .. } => theme.soft,
            };
            drawing.upright(place(call.at, span), middle + 5, middle + 11, colour);
        }
        let took = set(theme.soft, 13, "end");
        drawing.text(WIDTH - MARGIN - 14, middle, took, &kiln_span::human(bar.took));
    }
}

/// Where an instant is, in pixels.
fn place(at: u64, span: u64) -> u32 {
    let [from, to] = BARS;
    from + u32::try_from(u64::from(to - from) * at / span).unwrap_or(to - from)
}

fn bars(events: &[Value], start: &Value) -> Vec<Bar> {
    let began = number(start, "/at");
    let outlines = start.pointer("/event/stages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let plugin = |name: &str| {
        let outline = outlines.iter().find(|outline| text(outline, "/name") == name);
        outline.map_or("", |outline| text(outline, "/plugin")).to_owned()
    };
    of_type(events, "stage-finished")
        .map(|event| {
            let (name, took) = (text(event, "/stage").to_owned(), number(event, "/event/millis"));
            let from = number(event, "/at").saturating_sub(began).saturating_sub(took);
            let of_stage = of_type(events, "call").filter(|call| text(call, "/stage") == name);
            let calls = of_stage.map(|call| Tick {
                at: number(call, "/at").saturating_sub(began),
                write: call.pointer("/event/write") == Some(&Value::Bool(true)),
                failed: call.pointer("/event/error").is_some_and(|error| !error.is_null()),
            });
            Bar { plugin: plugin(&name), calls: calls.collect(), name, from, took }
        })
        .collect()
}

fn of_type<'a>(events: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| text(event, "/event/type") == kind)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
