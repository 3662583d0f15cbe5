//! What a pipeline would do, for a person to read before it does it.
//!
//! The main type is [`PlanView`].

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::access::{self, RoleAccess};
use super::fit;
use super::style::{Style, Symbol, Tone};
use crate::event::Failure;
use crate::harmless;
use crate::types::{EnvironmentName, PipelineName, StageName};

/// What a pipeline would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What should be known before it is run: sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Its stages, in an order in which each comes after those that it depends on.
    pub stages: Vec<StagePlan>,
    /// What IAM says of what the run will need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<RoleAccess>,
}

/// What a stage would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Its name.
    pub name: StageName,
    /// Its plugin.
    pub plugin: String,
    /// Its environment.
    pub environment: Option<EnvironmentName>,
    /// One sentence of the plugin. Empty where there is no plan.
    pub summary: String,
    /// In the order in which it would happen.
    pub changes: Vec<ChangeLine>,
    /// What whoever reads it should know besides: the stage's own warnings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What is not known before the run: JSON pointers into the config.
    pub unknown: Vec<String>,
    /// Why the stage could not be planned.
    pub failure: Option<Failure>,
    /// Why the stage would not run: the `when` that is false.
    pub skipped: Option<String>,
}

/// What would happen to one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    /// What.
    pub action: ChangeAction,
    /// To what.
    pub subject: String,
    /// Why, or from what to what.
    pub detail: String,
}

/// What would happen, as `change-action` of the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeAction {
    /// It would be made.
    Create,
    /// It would be changed in place.
    Update,
    /// It would be replaced by a new one.
    Replace,
    /// It would be deleted.
    Delete,
    /// It would be started.
    Start,
    /// It would be looked at or waited for.
    Read,
    /// It is kept.
    Keep,
}

impl ChangeAction {
    /// All that change something, in the order of the totals, with their words.
    const CHANGING: [(ChangeAction, &'static str); 5] = [
        (ChangeAction::Start, "to start"),
        (ChangeAction::Create, "to create"),
        (ChangeAction::Update, "to update"),
        (ChangeAction::Replace, "to replace"),
        (ChangeAction::Delete, "to delete"),
    ];

    fn sign(self) -> (&'static str, Tone) {
        match self {
            ChangeAction::Create => ("+", Tone::Good),
            ChangeAction::Update => ("~", Tone::Caution),
            ChangeAction::Replace => ("+-", Tone::Caution),
            ChangeAction::Delete => ("-", Tone::Bad),
            ChangeAction::Start => (">", Tone::Accent),
            ChangeAction::Read => ("?", Tone::Faint),
            ChangeAction::Keep => ("=", Tone::Faint),
        }
    }

    fn word(self) -> &'static str {
        match self {
            ChangeAction::Create => "create",
            ChangeAction::Update => "update",
            ChangeAction::Replace => "replace",
            ChangeAction::Delete => "delete",
            ChangeAction::Start => "start",
            ChangeAction::Read => "read",
            ChangeAction::Keep => "keep",
        }
    }
}

impl PlanView {
    /// How often `action` would happen.
    pub fn count(&self, action: ChangeAction) -> usize {
        self.stages.iter().flat_map(|stage| &stage.changes).filter(|change| change.action == action).count()
    }

    /// Whether a stage could not be planned.
    pub fn failed(&self) -> bool {
        self.stages.iter().any(|stage| stage.failure.is_some())
    }
}

/// Beyond so many lines of one action in a stage the rest is counted: nobody reads thousands. All of them are in the JSON.
const LINES: usize = 40;

/// Write `plan` for people.
pub fn render(plan: &PlanView, style: Style, writer: &mut impl Write) -> io::Result<()> {
    writeln!(writer, "plan of {}", style.paint(Tone::Strong, plan.pipeline.as_str()))?;
    for warning in &plan.warnings {
        writeln!(writer, "  {} {}", style.symbol(Symbol::Warning), harmless::line(warning))?;
    }
    for stage in &plan.stages {
        writeln!(writer)?;
        render_stage(stage, style, writer)?;
    }
    access::render(&plan.access, style, writer)?;
    writeln!(writer)?;
    writeln!(writer, "{}", totals(plan))
}

fn render_stage(stage: &StagePlan, style: Style, writer: &mut impl Write) -> io::Result<()> {
    let environment = stage.environment.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
    let of = style.paint(Tone::Faint, &format!("{}{environment}", harmless::line(&stage.plugin)));
    writeln!(writer, "{}  {of}", style.paint(Tone::Strong, stage.name.as_str()))?;
    if let Some(why) = &stage.skipped {
        writeln!(writer, "  {} skipped: {}", style.symbol(Symbol::Idle), harmless::line(why))?;
    }
    if !stage.summary.is_empty() {
        writeln!(writer, "  {}", harmless::line(&stage.summary))?;
    }
    render_changes(&stage.changes, style, writer)?;
    for note in &stage.notes {
        writeln!(writer, "    {} {}", style.symbol(Symbol::Warning), harmless::line(note))?;
    }
    if !stage.unknown.is_empty() {
        let names: Vec<String> = stage.unknown.iter().map(|pointer| config_name(pointer)).collect();
        let line = format!("not known before the run: {}", names.join(", "));
        writeln!(writer, "    {}", style.paint(Tone::Faint, &line))?;
    }
    if let Some(failure) = &stage.failure {
        writeln!(writer, "  {} cannot be planned: {}", style.symbol(Symbol::Failed), harmless::line(&failure.message))?;
        for line in failure.details.iter().flat_map(|detail| harmless::lines(detail)) {
            writeln!(writer, "    {} {line}", style.margin())?;
        }
        if let Some(help) = &failure.help {
            writeln!(writer, "    {} {}", style.paint(Tone::Accent, "help:"), harmless::line(help))?;
        }
    }
    Ok(())
}

fn render_changes(changes: &[ChangeLine], style: Style, writer: &mut impl Write) -> io::Result<()> {
    let mut told: BTreeMap<&'static str, usize> = BTreeMap::new();
    let shown: Vec<&ChangeLine> = changes
        .iter()
        .filter(|change| {
            let told = told.entry(change.action.word()).or_default();
            *told += 1;
            *told <= LINES
        })
        .collect();
    let subjects =
        shown.iter().map(|change| fit::width(&harmless::line(&change.subject))).max().unwrap_or_default().min(60);
    let mut lines = shown.into_iter().peekable();
    while let Some(change) = lines.next() {
        let (sign, tone) = change.action.sign();
        let head = format!(
            "    {} {}",
            style.paint(tone, &fit::pad(sign, 2)),
            style.paint(tone, &fit::pad(change.action.word(), 7))
        );
        let subject = fit::pad(&harmless::line(&change.subject), subjects);
        let line = format!("{head}  {subject}  {}", harmless::line(&change.detail));
        writeln!(writer, "{}", line.trim_end())?;
        let all = told.get(change.action.word()).copied().unwrap_or_default();
        if all > LINES && lines.peek().is_none_or(|next| next.action != change.action) {
            writeln!(writer, "{head}  {} more; `--output json` has them all", fit::grouped((all - LINES) as u64))?;
        }
    }
    Ok(())
}

/// `with.environment.TAG` for `/environment/TAG`: as the pipeline file names it.
fn config_name(pointer: &str) -> String {
    let path = pointer.replace('/', ".").replace("~1", "/").replace("~0", "~");
    harmless::line(&format!("with{path}")).into_owned()
}

/// `2 to start, 1 to update, 5 to delete; nothing was changed`.
fn totals(plan: &PlanView) -> String {
    let counts: Vec<String> = ChangeAction::CHANGING
        .iter()
        .map(|(action, word)| (plan.count(*action), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", fit::grouped(count as u64)))
        .collect();
    let changes = if counts.is_empty() { "nothing to do".to_owned() } else { counts.join(", ") };
    let failed = plan.stages.iter().filter(|stage| stage.failure.is_some()).count();
    let failed = match failed {
        0 => String::new(),
        number => format!("; {} could not be planned", fit::count(number as u64, "stage")),
    };
    format!("{changes}{failed}; nothing was changed")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts, poisoned};
    use crate::report::access::DeniedAccess;

    fn stage(name: &str, plugin: &str, summary: &str, changes: &[(ChangeAction, &str, &str)]) -> StagePlan {
        StagePlan {
            name: name.parse().unwrap(),
            plugin: plugin.to_owned(),
            environment: None,
            summary: summary.to_owned(),
            changes: changes
                .iter()
                .map(|(action, subject, detail)| ChangeLine {
                    action: *action,
                    subject: (*subject).to_owned(),
                    detail: (*detail).to_owned(),
                })
                .collect(),
            notes: Vec::new(),
            unknown: Vec::new(),
            failure: None,
            skipped: None,
        }
    }

    fn web() -> PlanView {
        use ChangeAction::{Create, Delete, Keep, Read, Start, Update};
        PlanView {
            pipeline: "web".parse().unwrap(),
            warnings: vec!["parts of the secret `registry` are too short to be masked by themselves: /pin".to_owned()],
            access: access(),
            stages: vec![
                stage(
                    "build",
                    "build-image",
                    "build web:4f5c2a1 with the CodeBuild project web-image",
                    &[
                        (Start, "build of project web-image", "source version 4f5c2a1"),
                        (Read, "image web:4f5c2a1", "its digest"),
                    ],
                ),
                StagePlan {
                    unknown: vec!["/image".to_owned()],
                    ..stage(
                        "scan",
                        "scan-image",
                        "gate the image at severity high",
                        &[(Start, "scan of the image", "unless ECR has one")],
                    )
                },
                StagePlan {
                    environment: Some("production".parse().unwrap()),
                    notes: vec!["web:14 is newer than web:12, which serves".to_owned()],
                    unknown: vec!["/image".to_owned()],
                    ..stage(
                        "deploy",
                        "deploy-ecs",
                        "replace the tasks of service web, 50 to 200 percent at a time",
                        &[
                            (Create, "task definition web:43", "container app: image (known after build)"),
                            (Update, "service web/web", "web:42 → web:43"),
                        ],
                    )
                },
                StagePlan {
                    skipped: Some("env.BAKE == \"yes\" is false".to_owned()),
                    ..stage("verify", "verify-alarms", "", &[])
                },
                stage(
                    "cleanup",
                    "cleanup-images",
                    "delete 2 of 13 images of repository web",
                    &[
                        (Delete, "web@sha256:1111", "pushed 2026-08-01, beyond the 10 newest"),
                        (Delete, "web@sha256:2222", "pushed 2026-08-02, beyond the 10 newest"),
                        (
                            Keep,
                            "web@sha256:3333",
                            "beyond the 10 newest, but task definition web:42 of service web uses it",
                        ),
                    ],
                ),
            ],
        }
    }

    /// One principal to whom all is allowed, one to whom some is not, and one that was not asked about.
    fn access() -> Vec<RoleAccess> {
        let denied = |action: &str, resource: &str, explicit| DeniedAccess {
            action: action.to_owned(),
            resource: resource.to_owned(),
            explicit,
            by_organization: false,
            by_boundary: false,
            missing_context: Vec::new(),
            stages: vec!["deploy".to_owned()],
            statement: serde_json::json!({ "Effect": "Allow", "Action": action, "Resource": resource }),
        };
        let role = "arn:aws:iam::111111111111:role/deployer";
        let named = |name: &str| RoleAccess { principal: role.parse().ok(), ..RoleAccess::of(name.parse().ok()) };
        vec![
            RoleAccess { asked: 23, principal: role.parse().ok(), ..RoleAccess::of(None) },
            RoleAccess {
                asked: 12,
                denied: vec![
                    denied("ecs:UpdateService", "arn:aws:ecs:us-west-2:111111111111:service/web/web", false),
                    denied(
                        "ecs:RegisterTaskDefinition",
                        "arn:aws:ecs:us-west-2:111111111111:task-definition/*:*",
                        false,
                    ),
                    DeniedAccess {
                        missing_context: vec!["aws:SourceIp".to_owned()],
                        ..denied("ecs:TagResource", "arn:aws:ecs:us-west-2:111111111111:task-definition/*:*", true)
                    },
                ],
                ..named("production")
            },
            RoleAccess { unasked: Some("IAM did not answer in time".to_owned()), ..named("staging") },
        ]
    }

    fn rendered(plan: &PlanView, style: Style) -> String {
        let mut text = Vec::new();
        render(plan, style, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn foreign_text_cannot_act() {
        let mut plan = web();
        plan.stages[0].failure = Some(Failure {
            kind: String::new(),
            message: String::new(),
            help: Some(String::new()),
            details: vec![String::new()],
        });
        plan.warnings.push(String::new());
        for text in HOSTILE {
            assert_eq!(acts(&rendered(&poisoned(&plan, text), Style::ASCII)), None);
        }
    }

    #[test]
    fn a_plan() {
        insta::assert_snapshot!(rendered(&web(), Style::UNICODE));
    }

    #[test]
    fn a_plan_with_a_stage_that_cannot_be_planned() {
        let failed = StagePlan {
            failure: Some(Failure {
                kind: "not-found".to_owned(),
                message: "the service web of cluster web does not exist".to_owned(),
                help: Some("check `with.cluster` and the region us-west-2".to_owned()),
                details: vec!["services of the cluster: api, worker".to_owned()],
            }),
            ..stage("deploy", "deploy-ecs", "", &[])
        };
        let plan = PlanView {
            pipeline: "web".parse().unwrap(),
            warnings: Vec::new(),
            stages: vec![failed],
            access: Vec::new(),
        };
        insta::assert_snapshot!(rendered(&plan, Style::ASCII));
        assert!(plan.failed());
    }

    #[test]
    fn a_plan_reads_back_from_its_json() {
        let json = serde_json::to_string(&web()).unwrap();
        assert!(json.contains(r#"{"action":"start","subject":"build of project web-image""#), "{json}");
        assert_eq!(serde_json::from_str::<PlanView>(&json).unwrap(), web());
    }

    #[test]
    fn thousands_of_lines_are_counted_and_the_totals_are_of_all() {
        let line = |action, number: usize| ChangeLine {
            action,
            subject: format!("web:release-{number}"),
            detail: "why".to_owned(),
        };
        let mut plan = web();
        let mut stage = plan.stages.pop().unwrap();
        stage.changes = (1..=2776).map(|number| line(ChangeAction::Delete, number)).collect();
        stage.changes.extend((1..=3).map(|number| line(ChangeAction::Keep, number)));
        plan.stages = vec![stage];
        plan.access.clear();
        let mut text = Vec::new();
        render(&plan, Style::ASCII, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("release-40 ") && !text.contains("release-41 "), "{text}");
        assert!(text.contains("-  delete   2,736 more; `--output json` has them all\n    =  keep "), "{text}");
        assert!(text.contains("2,776 to delete; nothing was changed"), "{text}");
        assert!(text.lines().count() < 60, "{text}");
    }

    #[test]
    fn pointers_read_as_the_pipeline_file_has_them() {
        assert_eq!(config_name("/environment/IMAGE~1TAG"), "with.environment.IMAGE/TAG");
        assert_eq!(config_name("/image"), "with.image");
    }
}
