//! What a plan and a run see before anything is changed, and what follows from it.
//! The main type is [`Prepared`], the same for both: what a run would refuse, the plan says.

use kiln_plugin::aws::ecs::{Service, TaskDefinition};
use kiln_plugin::{Failure, log};

use crate::config::{Base, Config};
use crate::revision::{self, Revision, short};
use crate::settings::{Members, Settings};
use crate::{alarms, between, cluster, rollout, tasks};

/// The service, and what is made of it.
pub(crate) struct Prepared {
    pub(crate) service: Service,
    /// The revision that serves.
    pub(crate) serving: TaskDefinition,
    /// The revision that is copied.
    pub(crate) base: TaskDefinition,
    /// The newest active revision of the family, if it has one.
    newest: Option<TaskDefinition>,
    /// How deployments go.
    pub(crate) settings: Settings,
    /// What of that the config changes.
    pub(crate) wanted: Members,
}

/// What has to be done, so that the service runs the image as the config says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing.
    Nothing,
    /// It runs it, and settings of it are to be sent. That starts no deployment.
    Settings,
    /// The revision that is copied has the image. `again` where it serves already by its name, and its tasks do not run the image.
    Deploy {
        /// Whether a deployment has to be asked for although nothing changes.
        again: bool,
    },
    /// This document has to be registered, and deployed.
    Register(String),
}

impl Need {
    /// Whether a deployment follows.
    pub(crate) fn deploys(&self) -> bool {
        match self {
            Self::Nothing | Self::Settings => false,
            Self::Deploy { .. } | Self::Register(_) => true,
        }
    }
}

/// Whether somebody is changing the service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Occupied {
    /// Nobody.
    Free,
    /// There is a deployment in progress that can never settle.
    ByFailures,
    /// There is a deployment in progress.
    ByDeployment,
}

impl Prepared {
    /// Look at what there is besides `service`. A failure where no revision could be made of it.
    pub(crate) fn of(config: &Config, service: Service) -> Result<Self, Failure> {
        let serving = cluster::task_definition(&service.task_definition)?;
        let newest = cluster::newest(&serving.family)?;
        let base = match (config.base, &newest) {
            (Base::Serving, _) => serving.clone(),
            (Base::Latest, Some(newest)) => newest.clone(),
            (Base::Latest, None) => {
                return Err(Failure::not_found(format!("the family {} has no active revision", serving.family))
                    .help("Register one, or copy the one that serves: `base = \"serving\"`."));
            }
        };
        revision::check_named(&base, &config.named())?;
        check_roles(config, &base)?;
        if serving.status != "ACTIVE" {
            // An undo registers it anew.
            check_roles(config, &serving)?;
        }
        let settings = Settings::of(&service)?;
        let wanted = settings.wanted(config);
        settings.check_limits(&wanted, &config.subject())?;
        Ok(Self { service, serving, base, newest, settings, wanted })
    }

    /// How deployments will go.
    pub(crate) fn settings_after(&self) -> Settings {
        self.settings.with(&self.wanted)
    }

    /// Look at the alarms that will watch the deployment, and say what whoever reads the plan or the run should know of them. A failure
    /// where one of them can see nothing.
    pub(crate) fn watch(&self, config: &Config) -> Result<(), Failure> {
        alarms::ready(config, &self.settings_after())?.into_iter().for_each(log::warn);
        Ok(())
    }

    /// What has to be done to bring the image of these digests, whose next revision is `next`.
    pub(crate) fn need(&self, config: &Config, digests: &[String], next: &Revision) -> Result<Need, Failure> {
        if let Some(document) = &next.document {
            return Ok(Need::Register(document.clone()));
        }
        let same = self.base.arn == self.serving.arn;
        let runs = same && runs(config, &self.service, &next.containers, digests)?;
        Ok(match (runs, self.wanted.is_empty()) {
            (true, true) => Need::Nothing,
            // No service can be updated to a revision that is INACTIVE.
            _ if self.base.status != "ACTIVE" => Need::Register(self.base.document.clone()),
            (true, false) => Need::Settings,
            (false, _) => Need::Deploy { again: same },
        })
    }

    /// What whoever reads the plan or the run should know besides.
    pub(crate) fn notes(&self, config: &Config) -> Vec<String> {
        let Self { service, serving, newest, .. } = self;
        let subject = config.subject();
        let mut notes = Vec::new();
        let stack = service.tags.iter().find(|tag| tag.name == "aws:cloudformation:stack-name");
        if let Some(stack) = stack {
            notes.push(format!(
                "the service {subject} is of the CloudFormation stack {}: this deployment makes it differ from its template, and the \
                 stack's next update of it may go back to what the template names; `stack` and `parameter` deploy by the stack",
                stack.value
            ));
        }
        let now = short(&serving.arn);
        if serving.status != "ACTIVE" {
            notes.push(format!(
                "{now}, which serves, is {}: no service can be updated to it any more; an undo registers it anew and goes back to that",
                serving.status
            ));
        }
        if let Some(newest) = newest.as_ref().filter(|newest| newest.revision > serving.revision) {
            let between = between::differences(&serving.document, &newest.document);
            let newest = short(&newest.arn);
            notes.push(match config.base {
                Base::Serving => format!(
                    "{newest} is newer than {now}, which serves and is copied: what it changes is left out ({between}); \
                     `base = \"latest\"` takes it"
                ),
                Base::Latest => {
                    format!("{newest} is copied, which is newer than {now}, which serves; it changes {between}")
                }
            });
        }
        let settings = self.settings_after();
        if service.desired > 0 && !settings.can_move(service.desired) {
            notes.push(format!(
                "the limits of {subject} let no task be replaced: with {} desired, ECS may neither start one more nor stop one \
                 first; raise `maximum-percent` or lower `minimum-healthy-percent`",
                service.desired
            ));
        }
        if !settings.is_guarded() && settings.alarms().is_empty() {
            notes.push(format!(
                "nothing ends a deployment to {subject} whose tasks crash before the stage's `timeout`: \
                 `circuit-breaker = {{}}` lets ECS end it and go back"
            ));
        }
        notes
    }
}

/// Whether somebody is changing the service. Two deployments at once would undo each other; but one that can never settle is no
/// reason to wait.
pub(crate) fn occupied(config: &Config, service: &Service) -> Result<Occupied, Failure> {
    let current = service.current_service_deployment.as_deref().map(cluster::deployment).transpose()?.flatten();
    Ok(match rollout::is_busy(service, current.as_ref()) {
        false => Occupied::Free,
        true if rollout::is_hopeless(service, config.replace_failed) => Occupied::ByFailures,
        true => Occupied::ByDeployment,
    })
}

impl Occupied {
    /// Where a run goes on nevertheless, what it says.
    pub(crate) fn replaced(&self, config: &Config, service: &Service) -> Option<String> {
        let (subject, now) = (config.subject(), short(&service.task_definition));
        (*self == Self::ByFailures).then(|| {
            format!("the deployment of {now} to {subject} that is in progress has only failed tasks: it is replaced")
        })
    }

    /// Where a run does not go on, why.
    pub(crate) fn refusal(&self, config: &Config, service: &Service) -> Option<Failure> {
        let (subject, now) = (config.subject(), short(&service.task_definition));
        (*self == Self::ByDeployment).then(|| {
            Failure::conflict(format!("a deployment of {now} to {subject} is in progress")).help(
                "Wait until it has ended, or stop it; two deployments at once would undo each other. If its tasks fail and it \
                 never ends, `replace-failed = true` replaces it.",
            )
        })
    }
}

/// Whoever registers a revision must be allowed to pass its roles, and this stage asks only for those that its config lists.
fn check_roles(config: &Config, definition: &TaskDefinition) -> Result<(), Failure> {
    let missing = revision::unlisted_roles(definition, &config.roles);
    if missing.is_empty() {
        return Ok(());
    }
    let mut roles = config.roles.clone();
    roles.extend(missing.clone());
    let roles: Vec<String> = roles.iter().map(|role| format!("{role:?}")).collect();
    Err(Failure::config(format!(
        "{} names the {} {}, which the stage's `roles` does not list",
        short(&definition.arn),
        if missing.len() == 1 { "role" } else { "roles" },
        missing.join(" and ")
    ))
    .help(format!(
        "Say `roles = [{}]`: they are the only ones that the stage may pass on, and without them the revision cannot be \
         registered.",
        roles.join(", ")
    )))
}

/// The service must be one that this stage can deploy to.
pub(crate) fn check(config: &Config, service: &Service) -> Result<(), Failure> {
    let subject = config.subject();
    if service.status != "ACTIVE" {
        return Err(Failure::conflict(format!("the service {subject} is {}", service.status))
            .help("Only an ACTIVE service can be deployed to."));
    }
    if service.deployment_controller != "ECS" {
        return Err(Failure::config(format!("the service {subject} is deployed by {}", service.deployment_controller))
            .help(
                "This plugin deploys by ECS itself. Change the service's deployment controller, or use another plugin.",
            ));
    }
    if service.strategy != "ROLLING" {
        return Err(Failure::config(format!("the service {subject} deploys by {}", service.strategy)).help(
            "This plugin would turn it to rolling deployments. Change the service's strategy first, if you want that.",
        ));
    }
    if service.desired == 0 && !config.allow_zero {
        return Err(Failure::config(format!(
            "the service {subject} is to have 0 tasks: nothing would run that is deployed"
        ))
        .help("Give it tasks first, or say `allow-zero = true`: then a revision is deployed that nothing has tried."));
    }
    Ok(())
}

/// Whether the service runs the image already, not only by name.
fn runs(config: &Config, service: &Service, containers: &[String], digests: &[String]) -> Result<bool, Failure> {
    if rollout::judge(service, None, &service.task_definition, &service.task_definition) != rollout::Stand::Settled {
        return Ok(false);
    }
    let tasks = cluster::running(config)?;
    Ok(tasks::look(&tasks, &service.task_definition, containers, Some(digests)) == tasks::Running::Ours)
}
