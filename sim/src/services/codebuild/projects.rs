//! Build projects.
//!
//! The main functions are [`create_project`], [`update_project`] and [`batch_get_projects`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shapes::{Artifacts, Cache, Environment, LogsConfig, ProjectTag, Source};
use super::state::{Badge, Project, find, invalid, invalid_token, project_name};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Empty;

/// The minutes that a build may take where nobody says otherwise.
pub(super) const TIMEOUT: u32 = 60;
/// The minutes that a build may wait where nobody says otherwise.
pub(super) const QUEUED_TIMEOUT: u32 = 480;
/// How many names or ids one page holds.
const PAGE: usize = 100;

/// What `CreateProject` and `UpdateProject` have in common.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectInput {
    name: String,
    description: Option<String>,
    source: Option<Source>,
    secondary_sources: Option<Value>,
    source_version: Option<String>,
    secondary_source_versions: Option<Value>,
    artifacts: Option<Artifacts>,
    secondary_artifacts: Option<Value>,
    cache: Option<Cache>,
    environment: Option<Environment>,
    service_role: Option<String>,
    timeout_in_minutes: Option<u32>,
    queued_timeout_in_minutes: Option<u32>,
    encryption_key: Option<String>,
    tags: Option<Vec<ProjectTag>>,
    vpc_config: Option<Value>,
    badge_enabled: Option<bool>,
    logs_config: Option<LogsConfig>,
    file_system_locations: Option<Value>,
    build_batch_config: Option<Value>,
    concurrent_build_limit: Option<u32>,
}

impl ProjectInput {
    fn check(&self) -> Result<(), AwsError> {
        check_minutes("timeoutInMinutes", self.timeout_in_minutes, 2160)?;
        check_minutes("queuedTimeoutInMinutes", self.queued_timeout_in_minutes, 480)?;
        self.environment.iter().flat_map(|environment| &environment.environment_variables).try_for_each(check_variable)
    }

    /// Put what is said into the place of what was there.
    fn apply(self, project: &mut Project) {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(from) = from {
                *to = from;
            }
        }
        fn set_option<T>(to: &mut Option<T>, from: Option<T>) {
            if from.is_some() {
                *to = from;
            }
        }
        set_option(&mut project.description, self.description);
        set(&mut project.source, self.source);
        set_option(&mut project.secondary_sources, self.secondary_sources);
        set_option(&mut project.source_version, self.source_version);
        set_option(&mut project.secondary_source_versions, self.secondary_source_versions);
        set(&mut project.artifacts, self.artifacts);
        set_option(&mut project.secondary_artifacts, self.secondary_artifacts);
        set(&mut project.cache, self.cache);
        set(&mut project.environment, self.environment);
        set(&mut project.service_role, self.service_role);
        set(&mut project.timeout_in_minutes, self.timeout_in_minutes);
        set(&mut project.queued_timeout_in_minutes, self.queued_timeout_in_minutes);
        set(&mut project.encryption_key, self.encryption_key);
        set(&mut project.tags, self.tags);
        set_option(&mut project.vpc_config, self.vpc_config);
        set(&mut project.badge.badge_enabled, self.badge_enabled);
        set_option(&mut project.logs_config, self.logs_config);
        set_option(&mut project.file_system_locations, self.file_system_locations);
        set_option(&mut project.build_batch_config, self.build_batch_config);
        set_option(&mut project.concurrent_build_limit, self.concurrent_build_limit);
    }
}

/// Times are 5 minutes or longer.
pub(super) fn check_minutes(what: &str, minutes: Option<u32>, most: u32) -> Result<(), AwsError> {
    match minutes {
        Some(minutes) if !(5..=most).contains(&minutes) => {
            Err(invalid(format!("Invalid {what}: {minutes} is not between 5 and {most}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// A variable needs a name that a shell bears.
pub(super) fn check_variable(variable: &super::shapes::Variable) -> Result<(), AwsError> {
    let name = &variable.name;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(fits) {
        return Err(invalid(format!("Invalid environment variable name: {name:?}")));
    }
    Ok(())
}

/// Whether a project may be named so.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (2..=150).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with(['-', '_'])
}

/// A new project, as AWS fills in what is not said.
pub(super) fn make(
    scope: &Scope<'_>,
    name: &str,
    source: Source,
    environment: Environment,
    service_role: String,
) -> Project {
    let now = scope.now();
    Project {
        arn: scope.arn("codebuild", &format!("project/{name}")),
        name: name.to_owned(),
        description: None,
        source,
        secondary_sources: None,
        source_version: None,
        secondary_source_versions: None,
        artifacts: Artifacts { kind: "NO_ARTIFACTS".to_owned(), ..Artifacts::default() },
        secondary_artifacts: None,
        cache: Cache::default(),
        environment,
        service_role,
        timeout_in_minutes: TIMEOUT,
        queued_timeout_in_minutes: QUEUED_TIMEOUT,
        encryption_key: scope.arn("kms", "alias/aws/s3"),
        tags: Vec::new(),
        created: now,
        last_modified: now,
        vpc_config: None,
        badge: Badge { badge_enabled: false },
        logs_config: None,
        file_system_locations: None,
        build_batch_config: None,
        concurrent_build_limit: None,
        project_visibility: "PRIVATE",
    }
}

#[derive(Serialize)]
pub(super) struct ProjectOutput {
    project: Project,
}

pub(super) fn create_project(ctx: &mut Ctx<'_>, mut input: ProjectInput) -> Result<ProjectOutput, AwsError> {
    let name = input.name.clone();
    if !is_name(&name) {
        return Err(invalid("Invalid project name: it must match [A-Za-z0-9][A-Za-z0-9\\-_]{1,149}"));
    }
    input.check()?;
    let missing = |what: &str| invalid(format!("Project {what} is required"));
    let source = input.source.take().ok_or_else(|| missing("source"))?;
    let environment = input.environment.take().ok_or_else(|| missing("environment"))?;
    let role = input.service_role.take().ok_or_else(|| missing("service role"))?;
    if input.artifacts.is_none() {
        return Err(missing("artifacts"));
    }
    let mut project = make(ctx, &name, source, environment, role);
    input.apply(&mut project);
    let projects = &mut ctx.place().codebuild.projects;
    if projects.contains_key(&name) {
        let message = format!("Project already exists: {}", project.arn);
        return Err(AwsError::new("ResourceAlreadyExistsException", message));
    }
    projects.insert(name, project.clone());
    ctx.touch(project.arn.clone());
    Ok(ProjectOutput { project })
}

pub(super) fn update_project(ctx: &mut Ctx<'_>, input: ProjectInput) -> Result<ProjectOutput, AwsError> {
    input.check()?;
    let now = ctx.now();
    let project = find(ctx, &input.name)?;
    input.apply(project);
    project.last_modified = now;
    let project = project.clone();
    ctx.touch(project.arn.clone());
    Ok(ProjectOutput { project })
}

#[derive(Deserialize)]
pub(super) struct BatchGetProjects {
    names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Projects {
    projects: Vec<Project>,
    projects_not_found: Vec<String>,
}

pub(super) fn batch_get_projects(ctx: &mut Ctx<'_>, input: BatchGetProjects) -> Result<Projects, AwsError> {
    check_batch("names", input.names.len())?;
    let held = &ctx.place().codebuild.projects;
    let (mut projects, mut projects_not_found) = (Vec::new(), Vec::new());
    for name in input.names {
        match held.get(project_name(&name)) {
            Some(project) => projects.push(project.clone()),
            None => projects_not_found.push(name),
        }
    }
    Ok(Projects { projects, projects_not_found })
}

/// Batches hold 1 to 100 members.
pub(super) fn check_batch(what: &str, length: usize) -> Result<(), AwsError> {
    match length {
        1..=100 => Ok(()),
        _ => Err(invalid(format!(
            "1 validation error detected: Value at '{what}' failed to satisfy constraint: Member must have length \
             between 1 and 100"
        ))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ProjectSortBy {
    #[default]
    Name,
    CreatedTime,
    LastModifiedTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum SortOrder {
    Ascending,
    Descending,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListProjects {
    #[serde(default)]
    sort_by: ProjectSortBy,
    sort_order: Option<SortOrder>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectNames {
    projects: Vec<String>,
    next_token: Option<String>,
}

pub(super) fn list_projects(ctx: &mut Ctx<'_>, input: ListProjects) -> Result<ProjectNames, AwsError> {
    let mut projects: Vec<&Project> = ctx.place().codebuild.projects.values().collect();
    match input.sort_by {
        ProjectSortBy::Name => {}
        ProjectSortBy::CreatedTime => projects.sort_by_key(|project| project.created),
        ProjectSortBy::LastModifiedTime => projects.sort_by_key(|project| project.last_modified),
    }
    let names = projects.into_iter().map(|project| project.name.clone()).collect();
    let (projects, next_token) =
        pages(ctx, "codebuild:projects", names, input.sort_order.unwrap_or(SortOrder::Ascending), input.next_token)?;
    Ok(ProjectNames { projects, next_token })
}

/// A page of names or ids that come in ascending order.
pub(super) fn pages(
    ctx: &Ctx<'_>,
    list: &str,
    mut items: Vec<String>,
    order: SortOrder,
    token: Option<String>,
) -> Result<(Vec<String>, Option<String>), AwsError> {
    if order == SortOrder::Descending {
        items.reverse();
    }
    let list = format!("{list}:{order:?}");
    ctx.page(&list, items, PAGE, token.as_deref(), |item: &String| item).map_err(invalid_token)
}

#[derive(Deserialize)]
pub(super) struct WhichProject {
    name: String,
}

/// Builds stay; deleting what is not there is fine.
pub(super) fn delete_project(ctx: &mut Ctx<'_>, input: WhichProject) -> Result<Empty, AwsError> {
    match ctx.place().codebuild.projects.remove(project_name(&input.name)) {
        Some(project) => ctx.touch(project.arn),
        None => ctx.unchanged(),
    }
    Ok(Empty {})
}
