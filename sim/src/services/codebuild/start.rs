//! Starting builds.
//!
//! The main functions are [`start_build`] and [`retry_build`].

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::builds::BuildOutput;
use super::projects::{check_minutes, check_variable};
use super::shapes::{Cache, Environment, LogsConfig, LogsStatus, PhaseName, Source, SourceType, Status, Variable};
use super::state::{Build, BuildArtifacts, Logs, find, find_build, invalid};
use super::walk;
use crate::ctx::Ctx;
use crate::error::AwsError;

/// How long a client token means the build that it started.
const TOKEN: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartBuild {
    project_name: String,
    source_version: Option<String>,
    idempotency_token: Option<String>,
    #[serde(default)]
    environment_variables_override: Vec<Variable>,
    source_type_override: Option<SourceType>,
    source_location_override: Option<String>,
    source_auth_override: Option<Value>,
    git_clone_depth_override: Option<u32>,
    git_submodules_config_override: Option<Value>,
    insecure_ssl_override: Option<bool>,
    report_build_status_override: Option<bool>,
    build_status_config_override: Option<Value>,
    buildspec_override: Option<String>,
    environment_type_override: Option<String>,
    image_override: Option<String>,
    compute_type_override: Option<String>,
    certificate_override: Option<String>,
    registry_credential_override: Option<Value>,
    image_pull_credentials_type_override: Option<String>,
    fleet_override: Option<Value>,
    privileged_mode_override: Option<bool>,
    cache_override: Option<Cache>,
    service_role_override: Option<String>,
    timeout_in_minutes_override: Option<u32>,
    queued_timeout_in_minutes_override: Option<u32>,
    encryption_key_override: Option<String>,
    logs_config_override: Option<LogsConfig>,
}

/// What was said, or else what there was.
fn or<T: Clone>(said: &Option<T>, was: &Option<T>) -> Option<T> {
    said.clone().or_else(|| was.clone())
}

impl StartBuild {
    fn source(&self, of: &Source) -> Source {
        Source {
            kind: self.source_type_override.unwrap_or(of.kind),
            location: or(&self.source_location_override, &of.location),
            git_clone_depth: self.git_clone_depth_override.or(of.git_clone_depth),
            git_submodules_config: or(&self.git_submodules_config_override, &of.git_submodules_config),
            buildspec: or(&self.buildspec_override, &of.buildspec),
            auth: or(&self.source_auth_override, &of.auth),
            report_build_status: self.report_build_status_override.or(of.report_build_status),
            build_status_config: or(&self.build_status_config_override, &of.build_status_config),
            insecure_ssl: self.insecure_ssl_override.or(of.insecure_ssl),
            source_identifier: of.source_identifier.clone(),
        }
    }

    fn environment(&self, of: &Environment) -> Environment {
        let overridden =
            |variable: &&Variable| self.environment_variables_override.iter().all(|other| other.name != variable.name);
        let kept = of.environment_variables.iter().filter(overridden).cloned();
        Environment {
            kind: self.environment_type_override.clone().unwrap_or_else(|| of.kind.clone()),
            image: self.image_override.clone().unwrap_or_else(|| of.image.clone()),
            compute_type: self.compute_type_override.clone().unwrap_or_else(|| of.compute_type.clone()),
            compute_configuration: of.compute_configuration.clone(),
            fleet: or(&self.fleet_override, &of.fleet),
            environment_variables: kept.chain(self.environment_variables_override.iter().cloned()).collect(),
            privileged_mode: self.privileged_mode_override.unwrap_or(of.privileged_mode),
            certificate: or(&self.certificate_override, &of.certificate),
            registry_credential: or(&self.registry_credential_override, &of.registry_credential),
            image_pull_credentials_type: or(
                &self.image_pull_credentials_type_override,
                &of.image_pull_credentials_type,
            ),
            docker_server: of.docker_server.clone(),
        }
    }
}

pub(super) fn start_build(ctx: &mut Ctx<'_>, input: StartBuild) -> Result<BuildOutput, AwsError> {
    let token = input.idempotency_token.as_deref();
    if let Some(known) = known(ctx, token)? {
        return Ok(known);
    }
    check_queue(ctx)?;
    check_minutes("timeoutInMinutes", input.timeout_in_minutes_override, 2160)?;
    check_minutes("queuedTimeoutInMinutes", input.queued_timeout_in_minutes_override, 480)?;
    input.environment_variables_override.iter().try_for_each(check_variable)?;
    let project = find(ctx, &input.project_name)?.clone();
    let (id, number) = number(ctx, &project.name);
    let artifacts = &project.artifacts;
    let location = match (&artifacts.location, &artifacts.name) {
        (Some(bucket), name) => {
            let name = name.as_deref().unwrap_or(&project.name);
            format!("arn:{}:s3:::{bucket}/{name}", ctx.at.partition())
        }
        (None, _) => String::new(),
    };
    let logs_config = input.logs_config_override.clone().or_else(|| project.logs_config.clone());
    let build = Build {
        arn: ctx.arn("codebuild", &format!("build/{id}")),
        id,
        build_number: number,
        start_time: ctx.now(),
        end_time: None,
        current_phase: PhaseName::Submitted,
        build_status: Status::InProgress,
        source_version: or(&input.source_version, &project.source_version),
        resolved_source_version: None,
        phases: Vec::new(),
        source: input.source(&project.source),
        artifacts: BuildArtifacts { location },
        cache: input.cache_override.clone().unwrap_or_else(|| project.cache.clone()),
        environment: input.environment(&project.environment),
        service_role: input.service_role_override.clone().unwrap_or_else(|| project.service_role.clone()),
        logs: no_logs(ctx, logs_config.as_ref()),
        timeout_in_minutes: input.timeout_in_minutes_override.unwrap_or(project.timeout_in_minutes),
        queued_timeout_in_minutes: input
            .queued_timeout_in_minutes_override
            .unwrap_or(project.queued_timeout_in_minutes),
        build_complete: false,
        initiator: initiator(ctx),
        vpc_config: project.vpc_config,
        encryption_key: input.encryption_key_override.clone().unwrap_or(project.encryption_key),
        exported_environment_variables: Vec::new(),
        behaviour: ctx.place().codebuild.behaviours.get(&project.name).cloned().unwrap_or_default(),
        trouble: None,
        pushed: None,
        logs_config,
        project_name: project.name,
    };
    begin(ctx, token, build)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetryBuild {
    id: Option<String>,
    idempotency_token: Option<String>,
}

/// Another build with all the settings of an earlier one.
pub(super) fn retry_build(ctx: &mut Ctx<'_>, input: RetryBuild) -> Result<BuildOutput, AwsError> {
    let token = input.idempotency_token.as_deref();
    if let Some(known) = known(ctx, token)? {
        return Ok(known);
    }
    let id = input.id.ok_or_else(|| invalid("Build id is required"))?;
    let earlier = find_build(ctx, &id)?.clone();
    find(ctx, &earlier.project_name)?;
    check_queue(ctx)?;
    let (id, number) = number(ctx, &earlier.project_name);
    let build = Build {
        arn: ctx.arn("codebuild", &format!("build/{id}")),
        id,
        build_number: number,
        start_time: ctx.now(),
        end_time: None,
        current_phase: PhaseName::Submitted,
        build_status: Status::InProgress,
        resolved_source_version: None,
        phases: Vec::new(),
        logs: no_logs(ctx, earlier.logs_config.as_ref()),
        build_complete: false,
        initiator: initiator(ctx),
        exported_environment_variables: Vec::new(),
        trouble: None,
        pushed: None,
        ..earlier
    };
    begin(ctx, token, build)
}

/// The build that the token started before.
fn known(ctx: &mut Ctx<'_>, token: Option<&str>) -> Result<Option<BuildOutput>, AwsError> {
    let mismatch = || {
        invalid(
            "Idempotency token mismatch: the parameters of this request are not those of the request that used the \
             token before",
        )
    };
    let Some(id) = ctx.made(token, mismatch)? else { return Ok(None) };
    Ok(Some(BuildOutput { build: find_build(ctx, &id)?.clone() }))
}

/// Whether the account may have one more build.
fn check_queue(ctx: &mut Ctx<'_>) -> Result<(), AwsError> {
    let codebuild = &ctx.place().codebuild;
    let at_work = codebuild.builds.iter().filter(|build| !build.build_complete).count();
    match codebuild.concurrent_builds {
        Some(most) if at_work >= most => {
            let message = format!("Cannot have more than {most} builds in queue for the account");
            Err(AwsError::new("AccountLimitExceededException", message))
        }
        Some(_) | None => Ok(()),
    }
}

fn number(ctx: &mut Ctx<'_>, project: &str) -> (String, u64) {
    let kind = format!("codebuild/build/{}/{project}", ctx.at);
    let uuid = ctx.world.ids.uuid(&kind);
    let number = ctx.place().codebuild.numbers.entry(project.to_owned()).or_default();
    *number += 1;
    (format!("{project}:{uuid}"), *number)
}

/// What AWS tells of the logs before the stream is there.
fn no_logs(ctx: &Ctx<'_>, config: Option<&LogsConfig>) -> Logs {
    let cloud_watch_logs = config.and_then(|config| config.cloud_watch_logs.clone());
    let disabled = cloud_watch_logs.as_ref().is_some_and(|logs| logs.status == LogsStatus::Disabled);
    let link = format!(
        "https://console.aws.amazon.com/cloudwatch/home?region={}#logsV2:log-groups/log-group/null/log-events/null",
        ctx.at.region
    );
    Logs {
        group_name: None,
        stream_name: None,
        deep_link: (!disabled).then_some(link),
        cloud_watch_logs_arn: None,
        cloud_watch_logs,
    }
}

/// The session of a role as `ROLE/SESSION`, a user by its name.
fn initiator(ctx: &Ctx<'_>) -> String {
    let arn = &ctx.caller.arn;
    match arn.split_once(":assumed-role/").or_else(|| arn.split_once(":user/")) {
        Some((_, name)) => name.to_owned(),
        None => arn.clone(),
    }
}

fn begin(ctx: &mut Ctx<'_>, token: Option<&str>, build: Build) -> Result<BuildOutput, AwsError> {
    let (id, arn) = (build.id.clone(), build.arn.clone());
    ctx.place().codebuild.builds.push(build);
    walk::begin(ctx, &id);
    ctx.remember(token, TOKEN, &id);
    ctx.touch(arn);
    Ok(BuildOutput { build: find_build(ctx, &id)?.clone() })
}
