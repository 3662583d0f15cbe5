//! What a build does in its phases.
//!
//! The main functions are [`start`] and [`finish`]; the main type is [`Trouble`], why a phase failed.

use super::lines::{self, Line};
use super::shapes::{LogsStatus, PhaseName, SourceType, Status};
use super::state::{Build, Exported};
use super::variables::{expand, plain, resolve};
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::ids::sha256;
use crate::services::{ecr, logs};

/// Why a phase failed: the context that AWS gives it, and how the build ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) status: Status,
    pub(super) code: String,
    pub(super) message: String,
}

fn build_of(scope: &mut Scope<'_>, id: &str) -> Option<Build> {
    scope.place().codebuild.build(id).map(|build| build.clone())
}

/// A phase begins.
pub(super) fn start(scope: &mut Scope<'_>, id: &str, phase: PhaseName) {
    if phase == PhaseName::Provisioning {
        open_log(scope, id);
    }
    let now = scope.now();
    if let Some(build) = build_of(scope, id) {
        log(scope, id, lines::entering(&build, phase, now));
    }
}

/// A phase has taken its time: whether it went well.
pub(super) fn finish(scope: &mut Scope<'_>, id: &str, phase: PhaseName) -> Result<(), Trouble> {
    let now = scope.now();
    let Some(build) = build_of(scope, id) else { return Ok(()) };
    let started = build.phase(phase).map_or(now, |phase| phase.start_time);
    let fails = build.behaviour.fail.as_ref().filter(|fail| fail.strikes(phase, build.build_number));
    match phase {
        PhaseName::DownloadSource => download(scope, &build, now)?,
        PhaseName::Install | PhaseName::PreBuild | PhaseName::Build | PhaseName::PostBuild => {
            let mut output = lines::output(&build, phase);
            if fails.is_some() {
                // It got half-way.
                output.truncate(output.len() / 2);
            }
            log(scope, id, lines::spread(started, now, &output));
            if phase == PhaseName::PostBuild && fails.is_none() && build.trouble.is_none() {
                push(scope, &build, now)?;
            }
        }
        PhaseName::Submitted
        | PhaseName::Queued
        | PhaseName::Provisioning
        | PhaseName::UploadArtifacts
        | PhaseName::Finalizing
        | PhaseName::Completed => {}
    }
    let Some(fail) = fails else { return Ok(()) };
    let text = fail.log.iter().map(|line| (now, format!("{line}\n"))).collect();
    log(scope, id, text);
    let message = match (&fail.message, lines::command(&build, phase)) {
        (message, Some(command)) => {
            let line = format!("Command did not exit successfully {command} exit status 1");
            log(scope, id, vec![lines::own(now, &line)]);
            let usual = format!("Error while executing command: {command}. Reason: exit status 1");
            message.clone().unwrap_or(usual)
        }
        (message, None) => message.clone().unwrap_or_default(),
    };
    Err(Trouble { status: fail.status, code: fail.code.clone(), message })
}

/// The build is over.
pub(super) fn complete(scope: &mut Scope<'_>, id: &str) {
    let now = scope.now();
    let Some(build) = build_of(scope, id) else { return };
    let variables = plain(scope, &build);
    let exported = build.behaviour.exports.iter();
    let exported: Vec<Exported> =
        exported.map(|(name, template)| Exported { name: name.clone(), value: expand(template, &variables) }).collect();
    if let Some(build) = scope.place().codebuild.build(id) {
        build.build_complete = true;
        build.end_time = Some(now);
        build.build_status = build.trouble.unwrap_or(Status::Succeeded);
        if build.build_status == Status::Succeeded {
            build.exported_environment_variables = exported;
        }
    }
}

/// The log stream appears, unless the project wants none.
fn open_log(scope: &mut Scope<'_>, id: &str) {
    let region = scope.at.region.clone();
    let Some(build) = build_of(scope, id) else { return };
    let config = build.logs_config.as_ref().and_then(|config| config.cloud_watch_logs.as_ref());
    if config.is_some_and(|config| config.status == LogsStatus::Disabled) {
        return;
    }
    let group = config.and_then(|config| config.group_name.clone());
    let group = group.unwrap_or_else(|| format!("/aws/codebuild/{}", build.project_name));
    let stream = match config.and_then(|config| config.stream_name.as_deref()) {
        Some(prefix) => format!("{prefix}/{}", build.uuid()),
        None => build.uuid().to_owned(),
    };
    logs::append(scope, &group, &stream, Vec::new());
    // The console wants its names encoded twice, with a dollar for the percent sign.
    let encode = |name: &str| name.replace('/', "$252F").replace('#', "$2523");
    let link = format!(
        "https://console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{}/log-events/{}",
        encode(&group),
        encode(&stream)
    );
    let arn = scope.arn("logs", &format!("log-group:{group}:log-stream:{stream}"));
    if let Some(build) = scope.place().codebuild.build(id) {
        build.logs.group_name = Some(group);
        build.logs.stream_name = Some(stream);
        build.logs.deep_link = Some(link);
        build.logs.cloud_watch_logs_arn = Some(arn);
    }
}

/// Write into the build's log, where there is one.
pub(super) fn log(scope: &mut Scope<'_>, id: &str, lines: Vec<Line>) {
    let Some(build) = scope.place().codebuild.build(id) else { return };
    if let (Some(group), Some(stream)) = (build.logs.group_name.clone(), build.logs.stream_name.clone())
        && !lines.is_empty()
    {
        logs::append(scope, &group, &stream, lines);
    }
}

/// The source arrives, and the variables that are kept elsewhere.
fn download(scope: &mut Scope<'_>, build: &Build, now: Timestamp) -> Result<(), Trouble> {
    let resolved = resolved_version(build);
    let directory = format!("/codebuild/output/src{}/src", sha256(build.id.as_bytes()).get(..9).unwrap_or_default());
    let mut lines = vec![
        lines::own(now, &format!("CODEBUILD_SRC_DIR={directory}")),
        lines::own(now, &format!("YAML location is {directory}/buildspec.yml")),
        lines::own(now, "Processing environment variables"),
    ];
    let outcome = resolve(scope, &build.environment.environment_variables);
    if outcome.is_ok() {
        lines.push(lines::own(now, &format!("Moving to directory {directory}")));
    }
    log(scope, &build.id, lines);
    if let Some(build) = scope.place().codebuild.build(&build.id) {
        build.resolved_source_version = resolved;
    }
    outcome
}

/// The commit of a source version: what is short for one is completed, and a branch or tag has always meant the same one
/// in this world.
fn resolved_version(build: &Build) -> Option<String> {
    if build.source.kind == SourceType::NoSource {
        return None;
    }
    let version = build.source_version.as_deref().unwrap_or("HEAD");
    let location = build.source.location.as_deref().unwrap_or_default();
    let of_name = sha256(format!("{location}\n{version}").as_bytes());
    let is_commit = (7..=40).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut commit = if is_commit { format!("{}{of_name}", version.to_ascii_lowercase()) } else { of_name };
    commit.truncate(40);
    Some(commit)
}

/// Push the image that was built, where the project pushes one.
fn push(scope: &mut Scope<'_>, build: &Build, now: Timestamp) -> Result<(), Trouble> {
    let Some(pushes) = &build.behaviour.pushes else { return Ok(()) };
    let variables = plain(scope, build);
    let (repository, tag) = (expand(&pushes.repository, &variables), expand(&pushes.tag, &variables));
    let version = build.resolved_source_version.as_ref().or(build.source_version.as_ref());
    let source = format!("{}\n{}", build.project_name, version.map_or("", String::as_str));
    let command = lines::command(build, PhaseName::PostBuild).unwrap_or_default();
    let registry = scope.at.registry();
    let name = format!("{registry}/{repository}");
    match ecr::push(scope, &repository, &source, pushes.size, pushes.content, &tag) {
        Ok(pushed) => {
            let said = [
                format!("The push refers to repository [{name}]"),
                format!("{tag}: digest: {} size: {}", pushed.digest, pushed.manifest_size),
            ];
            log(scope, &build.id, said.map(|line| (now, format!("{line}\n"))).into());
            if let Some(build) = scope.place().codebuild.build(&build.id) {
                build.pushed = Some(pushed.digest);
            }
            Ok(())
        }
        Err(reason) => {
            let line = format!("Command did not exit successfully {command} exit status 1");
            let said = [format!("The push refers to repository [{name}]"), reason];
            let mut said: Vec<Line> = said.map(|line| (now, format!("{line}\n"))).into();
            said.push(lines::own(now, &line));
            log(scope, &build.id, said);
            Err(Trouble {
                status: Status::Failed,
                code: "COMMAND_EXECUTION_ERROR".to_owned(),
                message: format!("Error while executing command: {command}. Reason: exit status 1"),
            })
        }
    }
}
