//! What IAM says of the permissions that a run will need, as a plan shows it.
//!
//! The main type is [`RoleAccess`].

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fit;
use super::style::{Style, Symbol, Tone};
use crate::harmless;
use crate::types::{Arn, EnvironmentName};

/// What IAM says of what one principal needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAccess {
    /// The environment whose role it is; none for the runner itself.
    pub environment: Option<EnvironmentName>,
    /// The user or role whose policies were asked.
    pub principal: Option<Arn>,
    /// How many combinations of an action and a resource IAM decided.
    pub asked: u64,
    /// Those that it does not allow.
    pub denied: Vec<DeniedAccess>,
    /// Why not all were asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<String>,
}

/// An action that a run needs and that IAM does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedAccess {
    /// The action.
    pub action: String,
    /// The resource: an ARN, perhaps with wildcards, or `*`.
    pub resource: String,
    /// Whether a statement denies it; otherwise none allows it.
    pub explicit: bool,
    /// Whether the organization's policies do not allow it.
    #[serde(default)]
    pub by_organization: bool,
    /// Whether the permissions boundary does not allow it.
    #[serde(default)]
    pub by_boundary: bool,
    /// Keys of conditions that the policies ask for and that are not known before the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_context: Vec<String>,
    /// The stages that need it; none where kiln itself does.
    pub stages: Vec<String>,
    /// The statement that would allow it.
    pub statement: Value,
}

impl RoleAccess {
    /// Nothing was asked yet.
    pub(crate) fn of(environment: Option<EnvironmentName>) -> Self {
        Self { environment, principal: None, asked: 0, denied: Vec::new(), unasked: None }
    }
}

impl DeniedAccess {
    /// Why, as a clause.
    fn because(&self) -> String {
        let mut because = match (self.explicit, self.by_organization, self.by_boundary) {
            (_, true, _) => "the organization's policies do not allow it".to_owned(),
            (true, ..) => "a statement denies it".to_owned(),
            (false, _, true) => "the permissions boundary does not allow it".to_owned(),
            (false, ..) => "no statement allows it".to_owned(),
        };
        if !self.missing_context.is_empty() {
            because.push_str(&format!("; a condition asks for {}", self.missing_context.join(", ")));
        }
        because
    }

    /// The resource, for people. A pattern may reach further than what the run will touch.
    fn on(&self) -> String {
        match self.resource.as_str() {
            "*" => "on *".to_owned(),
            pattern if pattern.contains(['*', '?']) => format!("on all of {pattern}"),
            arn => format!("on {arn}"),
        }
    }
}

/// So many denials of a principal are shown.
const LINES: usize = 40;

/// Write what IAM says for people.
pub(super) fn render(all: &[RoleAccess], style: Style, writer: &mut impl Write) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(writer)?;
    writeln!(writer, "{}", style.paint(Tone::Strong, "what IAM allows"))?;
    for access in all {
        let who = match &access.environment {
            None => "the runner".to_owned(),
            Some(environment) => format!("the role of {environment}"),
        };
        let principal = access.principal.as_ref().map(|arn| format!("  {arn}")).unwrap_or_default();
        let decided = match (access.asked, access.denied.len() as u64) {
            (0, _) => String::new(),
            (asked, 0) => format!(": all of {}", fit::count(asked, "permission")),
            (asked, denied) => format!(": not {} of {}", fit::grouped(denied), fit::count(asked, "permission")),
        };
        let symbol = match (access.denied.is_empty(), access.asked) {
            (true, 0) => Symbol::Idle,
            (true, _) => Symbol::Done,
            (false, _) => Symbol::Warning,
        };
        let principal = style.paint(Tone::Faint, &harmless::line(&principal));
        writeln!(writer, "  {} {who}{decided}{principal}", style.symbol(symbol))?;
        for denied in access.denied.iter().take(LINES) {
            render_denied(denied, style, writer)?;
        }
        if let Some(more) = access.denied.len().checked_sub(LINES).filter(|more| *more > 0) {
            writeln!(writer, "    {} more; `--output json` has them all", fit::grouped(more as u64))?;
        }
        if let Some(why) = &access.unasked {
            writeln!(
                writer,
                "    not asked{}: {}",
                if access.asked > 0 { " about the rest" } else { "" },
                harmless::line(why)
            )?;
        }
    }
    Ok(())
}

fn render_denied(denied: &DeniedAccess, style: Style, writer: &mut impl Write) -> io::Result<()> {
    let by = if denied.stages.is_empty() { "kiln".to_owned() } else { denied.stages.join(", ") };
    let line = format!("{} {} for {by}: {}", denied.action, denied.on(), denied.because());
    writeln!(writer, "    {} {}", style.symbol(Symbol::Warning), harmless::line(&line))?;
    if !denied.explicit {
        let statement = denied.statement.to_string();
        writeln!(writer, "      {} {}", style.paint(Tone::Accent, "allow:"), harmless::line(&statement))?;
    }
    Ok(())
}
