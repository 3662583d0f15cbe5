//! The stack that a group belongs to: what its parameter has, and how it replaces instances.
//! The main type is [`Owned`], the same for a plan and a run.

use kiln_plugin::aws::autoscaling::AutoScalingGroup;
use kiln_plugin::aws::cloudformation::Stack;
use kiln_plugin::{ChangeAction, Failure, Known, Plan, log};
use kiln_stack::forecast;
use kiln_stack::recover::{WayOut, way_out};
use kiln_stack::{
    Owner, Protect, Recovery, Side, State, WhenBusy as StackBusy, guard as stack_guard, look, show, side,
};
use kiln_template::{Evaluation, Node, Template};
use serde_json::Value;

use crate::config::{Config, RefreshBy, WhenBusy};
use crate::guard::Pace;
use crate::prepared::{Need, Prepared};
use crate::replacing::Replacing;
use crate::{alarms, fleet, guard, outline};

/// The type of groups.
const GROUP: &str = "AWS::AutoScaling::AutoScalingGroup";

/// The stack of a group.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) stack: Stack,
    /// What the parameter has.
    pub(crate) has: String,
    /// The group's name in the template.
    pub(crate) logical: String,
    /// The stack's template; none where kiln cannot read it.
    template: Option<Template>,
    /// How the stack replaces instances; none where kiln cannot read its template.
    replacing: Option<Replacing>,
}

impl Owned {
    /// Look at the stack. A failure where the AMI cannot go in by it as the config says.
    pub(crate) fn of(config: &Config, by: Owner<'_>, stack: Stack, group: &AutoScalingGroup) -> Result<Self, Failure> {
        let has = by.has(&stack)?;
        if let Some(resolved) = &has.resolved {
            return Err(Failure::config(format!(
                "the parameter {} of the stack {} names a parameter of SSM ({}, which is {resolved}), and no AMI",
                by.parameter, by.stack, has.value
            ))
            .help("Let its type be `AWS::EC2::Image::Id`."));
        }
        let has = has.value.clone();
        let resource = by.resource(&stack, GROUP, &format!("group {}", config.group), |name| name == config.group)?;
        let text = look::template(&stack.id)?;
        let template = kiln_template::check(&text).ok();
        let replacing = match &template {
            Some(template) => Some(replacing(&stack, template, &resource.logical, group)?),
            None => None,
        };
        let owned = Self { stack, has, logical: resource.logical, template, replacing };
        owned.fits(config)?;
        Ok(owned)
    }

    /// Who replaces the instances must be one of both.
    fn fits(&self, config: &Config) -> Result<(), Failure> {
        let name = &self.stack.name;
        match (config.refresh_by(), &self.replacing) {
            (RefreshBy::Stack, None) => Err(Failure::config(format!(
                "kiln cannot read the template that the stack {name} has, and so cannot tell how many instances its refresh leaves"
            ))
            .help("Let the stage refresh: `refresh = \"stage\"`.")),
            (RefreshBy::Stack, Some(Replacing::Never)) => Err(Failure::config(format!(
                "the stack {name} replaces no instance of {} when its AMI changes: the group has no `UpdatePolicy` that does",
                config.group
            ))
            .help("Give it `AutoScalingInstanceRefresh` (`RefreshBy = \"stack\"` of `fleet.yaml`), or let the stage refresh: `refresh = \"stage\"`.")),
            (RefreshBy::Stage, Some(how)) if *how != Replacing::Never => Err(Failure::config(format!(
                "the stack {name} itself replaces the instances of {} when its AMI changes, {}: the percentages and checkpoints of the stage would not hold",
                config.group,
                how.told(0).split(',').next().unwrap_or_default()
            ))
            .help("Say `refresh = \"stack\"`, or take that from the group's `UpdatePolicy` (`RefreshBy = \"stage\"` of `fleet.yaml`).")),
            (RefreshBy::Stage | RefreshBy::Stack, _) => Ok(()),
        }
    }

    /// What must hold before anything is changed, whoever replaces the instances: the traffic guard, alarms that can see.
    pub(crate) fn admit(&self, config: &Config, prepared: &Prepared) -> Result<(), Failure> {
        let (RefreshBy::Stack, Some(replacing)) = (config.refresh_by(), &self.replacing) else {
            return prepared.guard(config);
        };
        alarms::ready_of(config, replacing.alarms())?.into_iter().for_each(log::warn);
        let least = replacing.least(prepared.group.desired);
        guard::check_least(config, &prepared.group, least, &prepared.healthy).map_err(|failure| {
            failure
                .help(
                    "Let the `UpdatePolicy` of the group's template launch instances before others go (`MinHealthyPercentage` 100 and \
                     `MaxHealthyPercentage` above it), or say a lower `keep-healthy`.",
                )
                .detail(format!("the stack replaces instances {}", replacing.told(prepared.group.desired)))
        })
    }

    /// The config with the name that the group has now: a stack may have put another in its place.
    pub(crate) fn renamed(&self, config: &Config) -> Result<Config, Failure> {
        Self::named(config, &self.stack.id, &self.logical)
    }

    /// The same by the stack's id and the group's name in the template.
    pub(crate) fn named(config: &Config, stack: &str, logical: &str) -> Result<Config, Failure> {
        let found = look::resources(stack)?.into_iter().find(|one| one.logical == logical);
        let name = found.and_then(|one| one.physical).unwrap_or_else(|| config.group.clone());
        if name != config.group {
            log::info(format!("the stack gave {} the name {name}", config.group));
        }
        Ok(Config { group: name, ..config.clone() })
    }

    /// What would become of the stack where the parameter gets a value; nothing where kiln cannot read its template.
    fn forecast(&self, by: Owner<'_>, value: &str) -> Vec<kiln_plugin::aws::cloudformation::ResourceChange> {
        let Some(template) = &self.template else { return Vec::new() };
        let values = side::values(by.stack, template, &self.stack);
        let mut next = values.clone();
        next.insert(by.parameter.to_owned(), Value::from(value));
        forecast::changes(Some(&Side { template, values }), &Side { template, values: next })
    }
}

/// How the stack replaces instances, by its template with the stack's own parameters.
fn replacing(
    stack: &Stack,
    template: &Template,
    logical: &str,
    group: &AutoScalingGroup,
) -> Result<Replacing, Failure> {
    let mut values = side::values(&stack.name, template, stack);
    for resource in look::resources(&stack.id)? {
        if let Some(physical) = resource.physical {
            values.entry(resource.logical).or_insert_with(|| Value::from(physical));
        }
    }
    let side = Side { template, values };
    let resource = template.resources.get(logical);
    let told = |node: Option<&Node>, what: &str| -> Result<Option<Value>, Failure> {
        let value = node.map(|node| Evaluation::new(template, &side).value(node)).transpose();
        let value = value.map_err(|finding| {
            Failure::config(format!("the `{what}` of {logical} in the stack {} cannot be told: {finding}", stack.name))
        })?;
        Ok(value.flatten())
    };
    let policy = told(resource.and_then(|resource| resource.update_policy.as_ref()), "UpdatePolicy")?;
    let creation = told(resource.and_then(|resource| resource.creation_policy.as_ref()), "CreationPolicy")?;
    Ok(Replacing::of(policy.as_ref(), creation.as_ref(), group))
}

/// Whether a group that has too many instances ends old ones first. After a refresh that fails it does have too many, and names the new AMI
/// already.
fn ends_old_ones(group: &AutoScalingGroup) -> bool {
    let document: Value = serde_json::from_str(&group.document).unwrap_or_default();
    let first = document.pointer("/TerminationPolicies/0").and_then(Value::as_str);
    first != Some("NewestInstance")
}

/// What whoever reads the plan or the run should know of a group that its stack lets name the AMI before its instances are replaced.
pub(crate) fn notes(config: &Config, prepared: &Prepared) -> Vec<String> {
    let ahead = Pace::of(config, &prepared.group).most(prepared.group.desired) > prepared.group.desired;
    let mut notes = prepared.notes(config);
    if ends_old_ones(&prepared.group) && (ahead || config.refresh_by() == RefreshBy::Stack) {
        notes.push(format!(
            "where the refresh of {} fails after instances were launched ahead, the group ends old ones first: \
             `TerminationPolicies: [NewestInstance]` in its template keeps what serves",
            config.group
        ));
    }
    notes
}

/// What a run would do. A change set would be a write, so that this is a forecast.
pub(crate) fn plan(config: &Config, by: Owner<'_>) -> Result<Plan, Failure> {
    let prepared = Prepared::of(config, fleet::group(config)?)?;
    let stack = look::existing(by.stack)?;
    busy(config, by, &stack);
    let owned = Owned::of(config, by, stack, &prepared.group)?;
    let subject = format!("group {}", config.group);
    let need = prepared.need(config)?;
    if let (Known::Now(image), Need::Nothing) = (&config.image, need)
        && owned.has == image.0
    {
        let plan = Plan::new(format!("{} runs {} already", config.group, image.0));
        return Ok(plan.change(
            ChangeAction::Keep,
            subject,
            format!("{} has {} for {}", by.stack, image.0, by.parameter),
        ));
    }
    let busy = outline::busy(config)?;
    prepared.admit(config)?;
    // While somebody else replaces instances, fewer are healthy than when that is over.
    match (owned.admit(config, &prepared), busy) {
        (Err(failure), true) => log::warn(format!("{}, as it is now; a run looks again", failure.message)),
        (admitted, _) => admitted?,
    }
    notes(config, &prepared).into_iter().for_each(log::warn);
    let (wanted, summary) = match &config.image {
        Known::Now(image) => {
            (image.0.clone(), format!("deploys {} to {} by the stack {}", image.0, config.group, by.stack))
        }
        Known::After(stage) => (
            format!("(known after {stage})"),
            format!("deploys the AMI that stage {stage} makes to {} by the stack {}", config.group, by.stack),
        ),
    };
    by.note(&owned.stack).into_iter().for_each(log::warn);
    let given = format!("{} from {} to {wanted}", by.parameter, show::shown(&owned.has));
    let mut plan =
        Plan::new(format!("{summary} (a forecast)")).change(ChangeAction::Update, format!("stack {}", by.stack), given);
    let changes = owned.forecast(by, &wanted);
    if let Some(refusal) = stack_guard::refusal(by.stack, stack_guard::breaches(&changes, &Protect::default(), None)) {
        log::warn(format!("a run that comes here would be refused: {}", refusal.message));
    }
    for change in &changes {
        plan = plan.change(show::action(change), format!("{} {}", change.type_, change.logical), show::why(change));
    }
    let desired = prepared.group.desired;
    let (what, how) = match (config.refresh_by(), &owned.replacing) {
        (RefreshBy::Stack, Some(replacing)) => ("replacement by the stack of", replacing.told(desired)),
        (RefreshBy::Stage | RefreshBy::Stack, _) => ("refresh of", outline::pace(config, &prepared.group)),
    };
    outline::kept(plan.change(ChangeAction::Start, format!("{what} {}", config.group), how), config, &prepared)
}

/// Say where a run would be refused, or wait, for what is going on with the stack.
fn busy(config: &Config, by: Owner<'_>, stack: &Stack) {
    let when_busy = match config.when_busy {
        WhenBusy::Refuse => StackBusy::Refuse,
        WhenBusy::Wait => StackBusy::Wait,
    };
    let recovery = Recovery { recover: &[], skip: &[], retain: &[], role: None, when_busy, every: config.poll };
    match way_out(State::of(&stack.status), &recovery) {
        WayOut::Refuse { why, help } => {
            log::warn(format!("{} is {}: {why}; a run that comes here is refused. {help}", by.stack, stack.status));
        }
        WayOut::Wait => log::warn(format!("{} is {}: a run waits for the end of that", by.stack, stack.status)),
        WayOut::None | WayOut::Delete | WayOut::Continue | WayOut::Rollback => {}
    }
}
