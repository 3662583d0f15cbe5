//! CodeBuild: projects and their builds.
//!
//! Every request record of the interface `codebuild` is an [`Operation`]; [`StartBuildRequest`] is the one that changes most.

use std::borrow::Cow;
use std::time::Duration;

use aws_sdk_codebuild::types as sdk;

use super::clients::Clients;
use super::error::{AwsError, from_sdk, invalid};
use super::limits::{batch, first};
use super::look::Look;
use super::names::{self, Given, ResourceKind};
use super::operation::{Fate, Operation, Read, RetryClass, Token, Unanswered, Write, heads};
use super::values::{count, incomplete, is_since, list, millis, optional_word, signed, size, word};
use crate::contract::bindings::kiln::aws_codebuild::codebuild::{
    BatchGetBuildsRequest, BatchGetBuildsResponse, BatchGetProjectsRequest, BatchGetProjectsResponse, Build, Cache,
    EnvironmentVariable, ExportedVariable, ListBuildsForProjectRequest, ListBuildsForProjectResponse, Phase, Project,
    StartBuildRequest, StartBuildResponse, StopBuildRequest, StopBuildResponse, VariableSource,
};
use crate::types::Arn;
use crate::types::Place;

/// The most builds or projects that one request may name.
const MOST: usize = 100;

const PROJECT: ResourceKind = ResourceKind::new("codebuild", "a project", "project/", "-_");

/// The project of a build: IAM knows no permission on a single build. A build's id is `PROJECT:UUID`, the resource of
/// its ARN `build/PROJECT:UUID`.
fn project_of_build(at: &Place, build: &str) -> Arn {
    let project = |id: &str| format!("project/{}", id.rsplit_once(':').map_or(id, |(project, _)| project));
    match Given::from(build) {
        Given::Name(id) => names::here(at, "codebuild", &project(id)),
        Given::Arn(arn) => match arn.resource().strip_prefix("build/") {
            Some(id) => names::beside(&arn, &project(id)),
            None => arn,
        },
    }
}

fn check_build(given: &str) -> Result<(), AwsError> {
    names::check("a build", given, "-_:")?;
    let arn = Given::from(given);
    let id = match &arn {
        Given::Name(id) => Some(*id),
        Given::Arn(arn) => arn.resource().strip_prefix("build/"),
    };
    match id.and_then(|id| id.split_once(':')) {
        Some((project, uuid)) if !project.is_empty() && !uuid.is_empty() && !uuid.contains(':') => Ok(()),
        _ => Err(invalid(format_args!("{given:?} is not the id of a build: those are PROJECT:UUID"))),
    }
}

impl Operation for StartBuildRequest {
    type Output = StartBuildResponse;
    const ACTION: &'static str = "codebuild:StartBuild";

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![PROJECT.arn(at, &self.project)]
    }

    fn secret_references(&self) -> Vec<Cow<'_, str>> {
        let by_reference = |variable: &&EnvironmentVariable| variable.source == VariableSource::SecretsManager;
        self.environment.iter().filter(by_reference).map(|variable| variable.value.as_str().into()).collect()
    }
}

impl Write for StartBuildRequest {
    const RETRY: RetryClass = RetryClass::Token;
    // CodeBuild knows one for five minutes; some of them may pass on the way.
    const TOKEN_LASTS: Duration = Duration::from_secs(240);
    const LOOKS: &'static [&'static str] = &["codebuild:ListBuildsForProject", "codebuild:BatchGetBuilds"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        PROJECT.check(&self.project)?;
        let timeout = match self.timeout_minutes {
            Some(minutes) if !(5..=2160).contains(&minutes) => {
                return Err(invalid(format_args!("a build may take 5 to 2160 minutes, not {minutes}")));
            }
            minutes => minutes.map(|minutes| signed("the build's time", minutes)).transpose()?,
        };
        let variables = self.environment.iter().map(variable).collect::<Result<Vec<_>, _>>()?;
        let output = aws
            .codebuild()
            .start_build()
            .project_name(&self.project)
            .idempotency_token(token.as_str())
            .set_source_version(self.source_version.clone())
            .set_environment_variables_override((!variables.is_empty()).then_some(variables))
            .set_cache_override(self.cache.as_ref().map(cache_override).transpose()?)
            .set_buildspec_override(self.buildspec.clone())
            .set_timeout_in_minutes_override(timeout)
            .send()
            .await
            .map_err(from_sdk)?;
        Ok(StartBuildResponse { build: answered(output.build_value)? })
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        if unanswered.age < Self::TOKEN_LASTS && !unanswered.given_up {
            return Ok(Fate::SendAgain);
        }
        let newest = ListBuildsForProjectRequest { project: self.project.clone(), limit: LOOKED_AT };
        let ids = look.read(&newest).await?.ids;
        if ids.is_empty() {
            return Ok(Fate::NotHappened { evidence: format!("{} has no builds", self.project) });
        }
        // More of a build is told than stages are.
        let aws = look.clients_for(&BatchGetBuildsRequest { ids: ids.clone() })?;
        let output = aws.codebuild().batch_get_builds().set_ids(Some(ids)).send().await.map_err(from_sdk)?;
        let mut recent = output.builds.unwrap_or_default();
        recent.retain(|build| is_since(millis(build.start_time), unanswered.sent));
        let all_are_recent = recent.len() >= LOOKED_AT as usize;
        recent.retain(|build| self.may_be(build));
        let is_sure = recent.iter().all(|build| build.source_version == self.source_version);
        let mut ours: Vec<Build> = recent.into_iter().map(build).collect();
        let (project, version) = (&self.project, self.source_version.as_deref().unwrap_or("the default version"));
        Ok(match (ours.pop(), ours.len()) {
            (None, _) if all_are_recent => Fate::Unknown {
                evidence: format!("{LOOKED_AT} builds or more were started in {project} since"),
                check: format!("see in CloudTrail which of them has the token {}", unanswered.token.as_str()),
                likely: None,
            },
            (None, _) => {
                Fate::NotHappened { evidence: format!("no build of {version} was started in {project} since") }
            }
            (Some(build), 0) if is_sure => {
                let evidence = format!("the build {} of {version} was started then, and no other", build.id);
                Fate::Happened { output: StartBuildResponse { build }, evidence }
            }
            (Some(build), others) => Fate::Unknown {
                evidence: match others {
                    0 => format!("the build {}, which may be of {version}, was started then", build.id),
                    _ => format!("{} builds of {version} were started in {project} since", others + 1),
                },
                check: format!("see in CloudTrail who started {}", build.id),
                likely: Some(StartBuildResponse { build }),
            },
        })
    }
}

/// So many of a project's newest builds are looked at: what one request answers.
const LOOKED_AT: u32 = 100;

impl StartBuildRequest {
    /// Whether this request may have started `build`. What CodeBuild does not tell of a build speaks neither for nor
    /// against it.
    fn may_be(&self, build: &sdk::Build) -> bool {
        let theirs = ["codepipeline/", "CodeBuild-Jenkins-Plugin"];
        let is_theirs = |initiator: &str| theirs.iter().any(|other| initiator.starts_with(other));
        let environment = build.environment.as_ref().and_then(|environment| environment.environment_variables.as_ref());
        let has = |wanted: &EnvironmentVariable| {
            environment.is_none_or(|all| {
                all.iter().any(|variable| variable.name == wanted.name && variable.value == wanted.value)
            })
        };
        let used = build.source.as_ref().and_then(|source| source.buildspec.as_ref());
        let buildspec = used.is_none() || self.buildspec.is_none() || used == self.buildspec.as_ref();
        let timeout = match (self.timeout_minutes, build.timeout_in_minutes) {
            (Some(wanted), Some(used)) => count(used) == wanted,
            (Some(_) | None, None) | (None, Some(_)) => true,
        };
        // A project may have a source version of its own, which a build that was asked for without one then shows.
        let version = self.source_version.is_none() || build.source_version == self.source_version;
        let initiator = !build.initiator.as_deref().is_some_and(is_theirs);
        version && initiator && buildspec && timeout && self.environment.iter().all(has)
    }
}

fn variable(variable: &EnvironmentVariable) -> Result<sdk::EnvironmentVariable, AwsError> {
    let source = match variable.source {
        VariableSource::Plaintext => sdk::EnvironmentVariableType::Plaintext,
        VariableSource::ParameterStore => sdk::EnvironmentVariableType::ParameterStore,
        VariableSource::SecretsManager => sdk::EnvironmentVariableType::SecretsManager,
    };
    sdk::EnvironmentVariable::builder()
        .name(&variable.name)
        .value(&variable.value)
        .r#type(source)
        .build()
        .map_err(invalid)
}

fn cache_override(cache: &Cache) -> Result<sdk::ProjectCache, AwsError> {
    let modes: Vec<_> = cache.modes.iter().map(|mode| sdk::CacheMode::from(mode.as_str())).collect();
    sdk::ProjectCache::builder()
        .r#type(sdk::CacheType::from(cache.cache_type.as_str()))
        .set_location(cache.location.clone())
        .set_modes((!modes.is_empty()).then_some(modes))
        .build()
        .map_err(invalid)
}

/// The build of an answer that must hold one.
fn answered(value: Option<sdk::Build>) -> Result<Build, AwsError> {
    value.map(build).ok_or_else(|| incomplete("a build"))
}

fn build(build: sdk::Build) -> Build {
    let logs = build.logs;
    let exported = |variable: sdk::ExportedEnvironmentVariable| ExportedVariable {
        name: variable.name.unwrap_or_default(),
        value: variable.value.unwrap_or_default(),
    };
    let (log_group, log_stream, log_link) =
        logs.map_or((None, None, None), |logs| (logs.group_name, logs.stream_name, logs.deep_link));
    Build {
        id: build.id.unwrap_or_default(),
        arn: build.arn.unwrap_or_default(),
        project: build.project_name.unwrap_or_default(),
        status: word(build.build_status),
        current_phase: build.current_phase,
        resolved_source_version: build.resolved_source_version,
        source_version: build.source_version,
        phases: list(build.phases, phase),
        log_group,
        log_stream,
        log_link,
        exported: list(build.exported_environment_variables, exported),
        started: millis(build.start_time),
        ended: millis(build.end_time),
    }
}

fn phase(phase: sdk::BuildPhase) -> Phase {
    let message = |context: sdk::PhaseContext| {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (present(context.status_code), present(context.message)) {
            (Some(code), Some(message)) => Some(format!("{code}: {message}")),
            (code, message) => code.or(message),
        }
    };
    Phase {
        name: word(phase.phase_type),
        status: optional_word(phase.phase_status),
        seconds: phase.duration_in_seconds.map(size),
        messages: phase.contexts.unwrap_or_default().into_iter().filter_map(message).collect(),
    }
}

heads! {
    BatchGetBuildsRequest => BatchGetBuildsResponse:
        "codebuild:BatchGetBuilds" on |it, at| it.ids.iter().map(|id| project_of_build(at, id));
    StopBuildRequest => StopBuildResponse: "codebuild:StopBuild" on |it, at| [project_of_build(at, &it.id)];
    ListBuildsForProjectRequest => ListBuildsForProjectResponse:
        "codebuild:ListBuildsForProject" on |it, at| [PROJECT.arn(at, &it.project)];
    BatchGetProjectsRequest => BatchGetProjectsResponse:
        "codebuild:BatchGetProjects" on |it, at| PROJECT.arns(at, &it.names);
}

impl Read for BatchGetBuildsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("builds", &self.ids, MOST)?;
        self.ids.iter().try_for_each(|id| check_build(id))?;
        let request = aws.codebuild().batch_get_builds().set_ids(Some(self.ids.clone()));
        let output = request.send().await.map_err(from_sdk)?;
        Ok(BatchGetBuildsResponse {
            builds: list(output.builds, build),
            not_found: output.builds_not_found.unwrap_or_default(),
        })
    }
}

impl Write for StopBuildRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["codebuild:BatchGetBuilds"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        check_build(&self.id)?;
        let output = aws.codebuild().stop_build().id(&self.id).send().await.map_err(from_sdk)?;
        Ok(StopBuildResponse { build: answered(output.build_value)? })
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let request = BatchGetBuildsRequest { ids: vec![self.id.clone()] };
        let build = look.read(&request).await?.builds.into_iter().next();
        Ok(match build.filter(|build| build.status != "IN_PROGRESS") {
            Some(build) => {
                let evidence = format!("the build {} has ended: {}", build.id, build.status);
                Fate::Happened { output: StopBuildResponse { build }, evidence }
            }
            // A build that is being stopped can be told so again.
            None => Fate::SendAgain,
        })
    }
}

impl Read for ListBuildsForProjectRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        PROJECT.check(&self.project)?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if !(1..=1000).contains(&limit) {
            return Err(invalid(format_args!("1 to 1000 builds can be listed, not {limit}")));
        }
        let request = aws.codebuild().list_builds_for_project().project_name(&self.project);
        let pages = request.sort_order(sdk::SortOrderType::Descending).into_paginator().send();
        let ids = first(limit, pages, |page| page.ids.unwrap_or_default()).await?;
        Ok(ListBuildsForProjectResponse { ids })
    }
}

impl Read for BatchGetProjectsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("projects", &self.names, MOST)?;
        self.names.iter().try_for_each(|name| PROJECT.check(name))?;
        let request = aws.codebuild().batch_get_projects().set_names(Some(self.names.clone()));
        let output = request.send().await.map_err(from_sdk)?;
        Ok(BatchGetProjectsResponse {
            projects: list(output.projects, project),
            not_found: output.projects_not_found.unwrap_or_default(),
        })
    }
}

fn project(project: sdk::Project) -> Project {
    let cache = |cache: sdk::ProjectCache| Cache {
        cache_type: cache.r#type.as_str().to_owned(),
        location: cache.location,
        modes: cache.modes.unwrap_or_default().iter().map(|mode| mode.as_str().to_owned()).collect(),
    };
    let source = project.source;
    Project {
        name: project.name.unwrap_or_default(),
        arn: project.arn.unwrap_or_default(),
        source_type: source.as_ref().map_or_else(String::new, |source| source.r#type.as_str().to_owned()),
        source_location: source.and_then(|source| source.location),
        cache: project.cache.map(cache),
        encryption_key: project.encryption_key,
        timeout_minutes: project.timeout_in_minutes.map_or(0, count),
    }
}
