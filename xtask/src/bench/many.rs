//! Stacks of many resources, made and changed in rehearsals: what a resource costs, and whether that grows with their number.
//! The main function is [`measure`].

use serde_json::{Map, Value, json};

use super::Extent;
use super::alone::Figure;
use super::contest::{events, kind};
use super::series::Series;
use super::workbench::{Workbench, text};
use crate::error::TaskError;
use crate::step::Terminal;

/// How many resources the smaller and the larger stack have: the most that a template may have.
const FEW: usize = 50;
const MANY: usize = 500;

/// How many topics hang together in a chain.
const CHAIN: usize = 10;

/// What is measured of a stack of so many resources.
#[derive(Default)]
struct Measured {
    wall: Series,
    cpu: Series,
    memory: Series,
}

/// Chains of topics, each of which is named in the one behind it; in few words, for a request takes 51,200 bytes.
fn template(count: usize) -> Value {
    let resources: Map<String, Value> = (0..count)
        .map(|number| {
            let name = match number % CHAIN {
                0 => json!({ "Ref": "L" }),
                _ => json!({ "Fn::Sub": format!("${{L}}${{T{}.TopicName}}", number - 1) }),
            };
            (format!("T{number}"), json!({ "Type": "AWS::SNS::Topic", "Properties": { "DisplayName": name } }))
        })
        .collect();
    let parameters = json!({ "L": { "Type": "String", "Description": "What the topics are called." } });
    json!({ "Parameters": parameters, "Resources": resources })
}

fn pipeline(name: &str) -> String {
    format!(
        "[pipeline]\nname = \"{name}\"\nregion = \"us-west-2\"\n\n[stages.stack]\nplugin = \"deploy-stack\"\ntimeout = \"4h\"\n\n\
         [stages.stack.with]\nstack = \"many\"\ntemplate = \"{name}.json\"\nparameters = {{ L = \"new\" }}\n"
    )
}

fn world(changed: Option<&Value>) -> String {
    let account = "account = \"111111111111\"\nregion = \"us-west-2\"\n";
    match changed {
        Some(template) => format!(
            "{account}\n[[stacks]]\nname = \"many\"\ntemplate = '''{template}'''\nparameters = {{ L = \"old\" }}\n"
        ),
        None => account.to_owned(),
    }
}

/// Rehearse a deployment, so often.
fn rehearsed(bench: &Workbench, count: usize, changes: bool, rounds: usize) -> Result<Measured, TaskError> {
    let name = format!("stack-{}-{count}", if changes { "changed" } else { "made" });
    let template = template(count);
    bench.write(&format!("{name}.json"), template.to_string())?;
    bench.write(&format!("{name}.world.toml"), world(changes.then_some(&template)))?;
    let pipeline = text(&bench.write(&format!("{name}.toml"), pipeline(&name))?);
    let kiln = text(&bench.kiln);
    let command = [kiln.as_str(), "rehearse", &pipeline, "--seed", "7", "--output", "json"];
    let mut measured = Measured::default();
    for _ in 0..rounds {
        let taken = bench.measure(&command)?;
        if changed(&taken.output) != Some(count) {
            return Err(TaskError::other(
                format!("the rehearsal of a stack of {count} resources did not change {count}"),
                format!("run it by hand: {}", command.join(" ")),
            ));
        }
        measured.wall.push(taken.wall);
        measured.cpu.push(taken.cpu);
        measured.memory.push(taken.memory);
    }
    Ok(measured)
}

/// How many resources a deployment says that it changed.
fn changed(output: &str) -> Option<usize> {
    let finished = events(output).find(|event| kind(event) == Some("stage-finished"))?;
    let changes = finished.get("outputs")?.get("changes")?.as_u64()?;
    usize::try_from(changes).ok()
}

/// The figures of a stack of many resources, and how much more it takes than one of a tenth of them.
pub(super) fn measure(bench: &Workbench, terminal: &Terminal, extent: Extent) -> Result<Vec<Figure>, TaskError> {
    let mut figures = Vec::new();
    let names = [
        [
            "a stack of 500 resources is made, in a rehearsal",
            "the same, of the processor",
            "the same, of memory",
            "the same, over a stack of 50, of the processor",
        ],
        [
            "a stack of 500 resources is changed, in a rehearsal",
            "the same, of the processor",
            "the same, of memory",
            "the same, over a stack of 50, of the processor",
        ],
    ];
    for ([whole, processor, memory, growth], changes) in names.into_iter().zip([false, true]) {
        let few = rehearsed(bench, FEW, changes, extent.long_rounds)?;
        let many = rehearsed(bench, MANY, changes, extent.long_rounds)?;
        let grown = many.cpu.over(&few.cpu);
        figures.push(Figure { name: whole, unit: "ms", series: many.wall });
        figures.push(Figure { name: processor, unit: "ms", series: many.cpu });
        figures.push(Figure { name: memory, unit: "MiB", series: many.memory });
        figures.push(Figure { name: growth, unit: "times", series: grown });
    }
    for figure in &figures {
        terminal.line(format_args!("{}: {} {}", figure.name, figure.series.text(), figure.unit));
    }
    Ok(figures)
}
