//! Short forms of what happens often: a build that fails, tasks that crash, findings, alarms.
//!
//! The main function is [`expand`]: it answers the same as pieces of a world file.

use serde_json::{Map, Value, json};

use super::file::{AlarmTable, BuildFails, Capacity, FindingTable, Outcomes, Tasks};
use super::world::Piece;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::pipeline::{Places, did_you_mean_in};

/// An alarm at a share of a rollout, whose length only a rehearsal tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AtShare {
    pub(super) alarm: String,
    pub(super) cluster: String,
    pub(super) service: String,
    pub(super) nth: u64,
    /// Between 0 and 1.
    pub(super) share: f64,
    /// Where the alarm and the service are, where it is not the world's own account and region.
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    /// The step of the alarm's script, but for its `at`.
    pub(super) step: Map<String, Value>,
}

/// What short forms stand for.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) pieces: Vec<Piece>,
    pub(super) shares: Vec<AtShare>,
}

/// The pieces that short forms stand for, in the world `base`.
pub(super) fn expand(
    outcomes: &Outcomes,
    base: &Map<String, Value>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Expanded {
    let mut expanded = Expanded::default();
    if let Some(fails) = &outcomes.build
        && let Some(piece) = build(fails, base, places, diagnostics)
    {
        expanded.pieces.push(piece);
    }
    if let Some(tasks) = &outcomes.tasks {
        expanded.pieces.push(Piece::item(&["outcomes", "tasks"], "task-behaviours", behaviour(tasks)));
    }
    if let Some(capacity) = &outcomes.capacity
        && let Some(piece) = room(capacity, base, places, diagnostics)
    {
        expanded.pieces.push(piece);
    }
    for (index, table) in outcomes.findings.iter().enumerate() {
        let at = ["outcomes", "findings", &index.to_string()];
        expanded.pieces.push(Piece::item(&at, "findings", finding(table)));
    }
    for (index, table) in outcomes.alarms.iter().enumerate() {
        alarm(table, index, base, places, &mut expanded, diagnostics);
    }
    expanded
}

/// Members that are there.
fn members<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn text(text: &Option<String>) -> Option<Value> {
    text.clone().map(Value::from)
}

fn names(base: &Map<String, Value>, list: &str) -> Vec<String> {
    let things = base.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    things.iter().filter_map(|thing| thing.get("name")?.as_str().map(str::to_owned)).collect()
}

fn build(
    fails: &BuildFails,
    base: &Map<String, Value>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Piece> {
    let at = ["outcomes", "build"];
    let project = choose(fails.project.as_ref(), "project", "projects", at, base, places, diagnostics)?;
    let fail = members([
        ("phase", text(&fails.fails_in)),
        ("status", text(&fails.status)),
        ("code", text(&fails.code)),
        ("message", text(&fails.message)),
        ("log", fails.log.clone().map(Value::from)),
        ("times", fails.times.map(Value::from)),
    ]);
    Some(Piece::item(&at, "projects", json!({ "name": project, "fail": fail })))
}

fn room(
    capacity: &Capacity,
    base: &Map<String, Value>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Piece> {
    let at = ["outcomes", "capacity"];
    let cluster = choose(capacity.cluster.as_ref(), "cluster", "clusters", at, base, places, diagnostics)?;
    let change = members([
        ("name", Some(Value::from(cluster))),
        ("account", text(&capacity.account)),
        ("region", text(&capacity.region)),
        ("capacity", Some(Value::from(capacity.tasks?))),
    ]);
    Some(Piece::item(&at, "clusters", Value::Object(change)))
}

/// The thing of a list of the world that is meant: the named one, or the only one.
fn choose(
    named: Option<&String>,
    what: &str,
    list: &str,
    at: [&str; 2],
    base: &Map<String, Value>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let all = names(base, list);
    match (named, all.as_slice()) {
        (Some(named), _) if all.contains(named) => return Some(named.clone()),
        (Some(named), _) => {
            let [outcomes, field] = at;
            diagnostics.push(
                Diagnostic::error("unknown-name", format!("`{list}` of the world has no `{named}`"))
                    .at(places.value(&[outcomes, field, what]), "there is none of this name")
                    .maybe_help(did_you_mean_in(named, all.iter().map(String::as_str), "it has", &places.suggestions)),
            );
        }
        (None, [only]) => return Some(only.clone()),
        (None, several) => {
            let help = match several {
                [] => format!("add one by `[[change.{list}]]`"),
                several => format!("add `{what}`: one of {}", several.join(", ")),
            };
            let message = format!("the world has {} {list}, and nothing says which one is meant", several.len());
            diagnostics.push(Diagnostic::error("missing-field", message).at(places.key(&at), "").help(help));
        }
    }
    None
}

fn behaviour(tasks: &Tasks) -> Value {
    let behaviour = members([
        ("image", Some(Value::from("built"))),
        ("crash-after", text(&tasks.crash_after)),
        ("exit-code", tasks.exit_code.map(Value::from)),
        ("reason", text(&tasks.reason)),
        ("unhealthy", tasks.unhealthy.map(Value::from)),
        ("never-starts", tasks.never_start.map(Value::from)),
        ("probability", tasks.share.map(Value::from)),
        ("container", text(&tasks.container)),
        ("account", text(&tasks.account)),
        ("region", text(&tasks.region)),
        ("log", tasks.log.clone().map(Value::from)),
    ]);
    Value::Object(behaviour)
}

fn finding(table: &FindingTable) -> Value {
    let repository = table.repository.clone().unwrap_or_else(|| "*".to_owned());
    let finding = members([
        ("repository", Some(Value::from(repository))),
        ("tag", Some(Value::from("built"))),
        ("severity", text(&table.severity)),
        ("id", text(&table.id)),
        ("package", text(&table.package)),
        ("version", text(&table.version)),
        ("fixed-in", text(&table.fixed_in)),
        ("title", text(&table.title)),
    ]);
    Value::Object(finding)
}

fn alarm(
    table: &AlarmTable,
    index: usize,
    base: &Map<String, Value>,
    places: &Places<'_>,
    expanded: &mut Expanded,
    diagnostics: &mut Diagnostics,
) {
    let index = index.to_string();
    let path = |field: &'static str| ["outcomes".to_owned(), "alarms".to_owned(), index.clone(), field.to_owned()];
    let place = |field: &'static str| {
        let path = path(field);
        places.value(&path.each_ref().map(String::as_str))
    };
    let (Some(name), Some(at)) = (&table.name, &table.at) else { return };
    let known = names(base, "alarms");
    if !known.contains(name) {
        diagnostics.push(
            Diagnostic::error("unknown-alarm", format!("the world has no alarm `{name}`"))
                .at(place("name"), "there is none of this name")
                .maybe_help(did_you_mean_in(name, known.iter().map(String::as_str), "it has", &places.suggestions)),
        );
        return;
    }
    let state = table.state.clone().or_else(|| table.evaluation.is_none().then(|| "ALARM".to_owned()));
    let mut step =
        members([("state", text(&state)), ("evaluation", text(&table.evaluation)), ("reason", text(&table.reason))]);
    let service = table.of.as_deref().map(|of| (of, of.split_once('/')));
    match service {
        Some((of, None)) => {
            diagnostics.push(
                Diagnostic::error("invalid-value", format!("`{of}` does not name a service"))
                    .at(place("of"), "")
                    .help("write it as `CLUSTER/SERVICE`"),
            );
            return;
        }
        Some((of, Some(_))) => {
            step.insert("after-deployment-of".to_owned(), Value::from(of));
            step.insert("nth".to_owned(), Value::from(table.nth.unwrap_or(1)));
        }
        None => {}
    }
    let Some(percent) = at.strip_suffix('%') else {
        let when = if service.is_some() { "at" } else { "after" };
        step.insert(when.to_owned(), Value::from(at.as_str()));
        let at = ["outcomes", "alarms", index.as_str()];
        let mut change = members([
            ("name", Some(Value::from(name.as_str()))),
            ("account", text(&table.account)),
            ("region", text(&table.region)),
        ]);
        change.insert("script".to_owned(), json!([step]));
        expanded.pieces.push(Piece::item(&at, "alarms", Value::Object(change)).appending());
        return;
    };
    let share = percent.trim().parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
    let Some(share) = share else {
        diagnostics.push(
            Diagnostic::error("invalid-value", format!("`{at}` is not a share"))
                .at(place("at"), "")
                .help("write a number from 0 to 100 before the `%`"),
        );
        return;
    };
    let Some((_, Some((cluster, service)))) = service else {
        diagnostics.push(
            Diagnostic::error("missing-field", "a share of a rollout needs the service that is rolled out")
                .at(place("at"), "a share of what?")
                .help("add `of = \"CLUSTER/SERVICE\"`"),
        );
        return;
    };
    expanded.shares.push(AtShare {
        alarm: name.clone(),
        cluster: cluster.to_owned(),
        service: service.to_owned(),
        nth: table.nth.unwrap_or(1),
        share: share / 100.0,
        account: table.account.clone(),
        region: table.region.clone(),
        step,
    });
}
