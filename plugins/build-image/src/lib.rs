//! Builds a container image with CodeBuild and answers the digest that ECR holds for its tag.
//! The main type is [`BuildImage`]; what a build and an image mean is decided in `build` and `published`.

mod build;
mod config;
mod published;
mod variables;

use kiln_plugin::aws::codebuild::{
    BatchGetBuildsRequest, BatchGetProjectsRequest, Build, Cache, ListBuildsForProjectRequest, StartBuildRequest,
    StopBuildRequest, batch_get_builds, batch_get_projects, list_builds_for_project, start_build, stop_build,
};
use kiln_plugin::aws::ecr::{
    DescribeImagesRequest, DescribeRepositoriesRequest, ImageDetail, ImageId, Repository, describe_images,
    describe_repositories,
};
use kiln_plugin::aws::logs::{GetLogEventsRequest, get_log_events};
use kiln_plugin::aws::{Error, ErrorKind};
use kiln_plugin::{
    ChangeAction, Duration, During, Failure, Look, Permission, PinnedImage, Plan, Stage, log, memory, poll, poll_within,
};
use serde::{Deserialize, Serialize};

pub use crate::config::{CacheConfig, CacheMode, CacheType, Config, OnExistingTag, Outputs};

/// The plugin.
pub struct BuildImage;

/// What an undo and a later attempt must know.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    build: String,
}

const MEMORY: &str = "build";
/// How many of a project's newest builds are looked at for the one that pushed an image: as many as one call describes.
const BUILDS: u32 = 100;
/// How much of the end of a failed build's log is shown.
const LOG_LINES: u32 = 30;

impl Stage for BuildImage {
    const NAME: &'static str = "build-image";
    const SUMMARY: &'static str =
        "Builds a container image with CodeBuild and answers the digest that ECR holds for its tag";
    const UNDOABLE: bool = true;
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let project = "project/${with.project}";
        let repository = "repository/${with.repository}";
        vec![
            Permission::new("ecr:DescribeRepositories", "to find the repository that the image goes to")
                .on("ecr", repository),
            Permission::new("ecr:DescribeImages", "to see what the tag names before and after the build")
                .on("ecr", repository),
            Permission::new("codebuild:BatchGetProjects", "to see while planning that the project exists")
                .on("codebuild", project),
            Permission::new("codebuild:StartBuild", "to start the build").on("codebuild", project),
            Permission::new("codebuild:BatchGetBuilds", "to follow the build").on("codebuild", project),
            Permission::new(
                "codebuild:ListBuildsForProject",
                "to find the build where the answer to its start was lost, and whether the image of a tag that exists is that of \
                 a failed build",
            )
            .on("codebuild", project),
            Permission::new("codebuild:StopBuild", "to stop the build when the stage is undone")
                .on("codebuild", project),
            Permission::new("logs:GetLogEvents", "to show the end of the log of a build that failed")
                .on("logs", "log-group:/aws/codebuild/${with.project}:log-stream:*")
                .on("logs", "log-group:${with.log-group}:log-stream:*"),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        config.check()?;
        let repository = repository(&config.repository)?;
        let existing = image(&config.repository, by_tag(&config.tag))?;
        if let Some(existing) = existing {
            let outputs = reuse(&config, &repository, &existing, None)?;
            let plan = Plan::new(format!("takes the image that {}:{} names already", config.repository, config.tag));
            let detail = format!("the tag {} exists, and `on-existing-tag` says reuse", config.tag);
            return Ok(plan.change(ChangeAction::Keep, format!("image {}", outputs.image), detail).outputs(&outputs));
        }
        let request = BatchGetProjectsRequest { names: vec![config.project.clone()] };
        let projects =
            batch_get_projects(&request).during(format!("looking for the project {}", config.project))?.projects;
        let project = projects.into_iter().find(|project| project.name == config.project).ok_or_else(|| {
            Failure::not_found(format!("CodeBuild has no project {}", config.project))
                .help("Correct `project`, or create it: kiln starts builds but makes no projects.")
        })?;
        let source = match &config.source_version {
            Some(version) => format!("{version} of {}", project.source_type),
            None => format!("the default branch of {}", project.source_type),
        };
        let with = variables::outline(&config.environment);
        Ok(Plan::new(format!("builds {}:{} with project {}", config.repository, config.tag, config.project))
            .change(ChangeAction::Start, format!("build of project {}", config.project), format!("{source}{with}"))
            .change(
                ChangeAction::Create,
                format!("image {}:{}", config.repository, config.tag),
                "pushed by the build; the tag does not exist yet",
            ))
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        config.check()?;
        let repository = repository(&config.repository)?;
        let earlier = build_of_earlier_attempt()?;
        let id = match earlier {
            Some(Earlier::ToFollow(id)) => id,
            None | Some(Earlier::Failed(_)) => {
                if let Some(existing) = image(&config.repository, by_tag(&config.tag))? {
                    let failed = match &earlier {
                        Some(Earlier::Failed(build)) => Some(build.as_ref()),
                        None | Some(Earlier::ToFollow(_)) => None,
                    };
                    let outputs = reuse(&config, &repository, &existing, failed)?;
                    log::info(format!("the tag {} exists already: taking its image {}", config.tag, outputs.digest));
                    return Ok(outputs);
                }
                start(&config, &repository)?
            }
        };
        let build = follow(&id, config.poll)?;
        if let Some(failure) = build::failure(&build) {
            return Err(with_log(failure, &build));
        }

        let tagged = image(&config.repository, by_tag(&config.tag))?;
        let digest = published::judge(&config.repository, &config.tag, &build, tagged.as_ref())?;
        let by_digest = ImageId { digest: Some(digest.clone()), tag: None };
        published::still_named(&config.tag, &digest, image(&config.repository, by_digest)?.as_ref())?;
        let image = PinnedImage::of(&repository.uri, &digest).map_err(|error| Failure::internal(error.to_string()))?;
        Ok(Outputs {
            image,
            repository: config.repository,
            digest,
            tag: config.tag,
            build_id: Some(build.id),
            source_version: build.resolved_source_version,
        })
    }

    fn undo(config: Config) -> Result<String, Failure> {
        let Some(Remembered { build: id }) = memory::recall(MEMORY)? else {
            return Ok("no build was started".to_owned());
        };
        let Some(build) = get(&id)? else {
            return Ok(format!("build {id} does not exist any more"));
        };
        if build::ended(&build.status).is_some() {
            return Ok(format!("build {id} had ended already ({}); what it pushed stays", build.status));
        }
        stop_build(&StopBuildRequest { id: id.clone() }).during(format!("stopping build {id}"))?;
        let limit = Duration::from_secs(300);
        let status = poll_within(limit, config.poll, &format!("the end of build {id}"), || {
            let build = get(&id)?;
            Ok(match build {
                Some(build) if build::ended(&build.status).is_none() => Look::waiting("the build is being stopped"),
                Some(build) => Look::Done(build.status),
                None => Look::Done("gone".to_owned()),
            })
        })?;
        Ok(format!("build {id} was stopped ({status})"))
    }
}

/// The build that an earlier attempt of this stage started.
enum Earlier {
    /// It goes on, or ended well.
    ToFollow(String),
    /// It ended, and not well.
    Failed(Box<Build>),
}

fn build_of_earlier_attempt() -> Result<Option<Earlier>, Failure> {
    let Some(Remembered { build: id }) = memory::recall(MEMORY)? else {
        return Ok(None);
    };
    let Some(build) = get(&id)? else { return Ok(None) };
    if build::has_failed(&build) {
        log::info(format!("build {id} of an earlier attempt ended as {}", build.status));
        return Ok(Some(Earlier::Failed(Box::new(build))));
    }
    log::info(format!("following build {id} of an earlier attempt ({})", build.status));
    Ok(Some(Earlier::ToFollow(id)))
}

fn start(config: &Config, repository: &Repository) -> Result<String, Failure> {
    let request = StartBuildRequest {
        project: config.project.clone(),
        source_version: config.source_version.clone(),
        environment: variables::of_build(&config.environment, repository, &config.tag)?,
        cache: config.cache.as_ref().map(|cache| Cache {
            cache_type: cache.cache_type.as_aws().to_owned(),
            location: cache.location.clone(),
            modes: cache.modes.iter().map(|mode| mode.as_aws().to_owned()).collect(),
        }),
        buildspec: config.buildspec.clone(),
        timeout_minutes: config.timeout_minutes,
    };
    let build = start_build(&request).during(format!("starting a build of project {}", config.project))?.build;
    memory::remember(MEMORY, &Remembered { build: build.id.clone() })?;
    log::info(format!("started build {}", build.id));
    Ok(build.id)
}

fn follow(id: &str, every: Duration) -> Result<Build, Failure> {
    poll(every, &format!("build {id}"), || {
        Ok(match get(id)? {
            Some(build) if build::ended(&build.status).is_some() => Look::Done(build),
            Some(build) => Look::Waiting(build::status(&build)),
            // A build can be read a moment after it was started.
            None => Look::waiting("waiting for the build to appear"),
        })
    })
    .map_err(|failure| match failure.help {
        Some(_) => failure,
        None => failure.help("The build goes on; `kiln undo` stops it."),
    })
}

fn get(id: &str) -> Result<Option<Build>, Failure> {
    let request = BatchGetBuildsRequest { ids: vec![id.to_owned()] };
    let builds = batch_get_builds(&request).during(format!("looking at build {id}"))?.builds;
    Ok(builds.into_iter().find(|build| build.id == id))
}

/// The newest builds of a project, which may have pushed the image that is there; none where the project is gone.
fn newest_builds(project: &str) -> Result<Vec<Build>, Failure> {
    let request = ListBuildsForProjectRequest { project: project.to_owned(), limit: BUILDS };
    let ids = match list_builds_for_project(&request) {
        Ok(response) => response.ids,
        Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return Err(error).during(format!("looking for the build of project {project} that pushed the image"));
        }
    };
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let request = BatchGetBuildsRequest { ids };
    Ok(batch_get_builds(&request).during(format!("looking at the builds of project {project}"))?.builds)
}

/// A failure with the end of the build's log, and where the rest of it is. A log that cannot be read must not hide why the build failed.
fn with_log(failure: Failure, build: &Build) -> Failure {
    let (Some(group), Some(stream)) = (&build.log_group, &build.log_stream) else {
        let failure = failure.detail("the build has no log in CloudWatch");
        return failure.details(build::whole_log(build.log_link.as_deref()));
    };
    let request = GetLogEventsRequest { log_group: group.clone(), log_stream: stream.clone(), limit: LOG_LINES };
    match get_log_events(&request) {
        Ok(response) => failure.details(build::log_lines(&response.events, build.log_link.as_deref())),
        Err(error) => {
            build::without_log(failure, group, stream, &error).details(build::whole_log(build.log_link.as_deref()))
        }
    }
}

fn repository(name: &str) -> Result<Repository, Failure> {
    let request = DescribeRepositoriesRequest { names: vec![name.to_owned()] };
    let repositories =
        describe_repositories(&request).during(format!("looking for the repository {name}"))?.repositories;
    repositories.into_iter().find(|repository| repository.name == name).ok_or_else(|| {
        Failure::not_found(format!("ECR has no repository {name}")).help("Correct `repository`, or create it.")
    })
}

fn by_tag(tag: &str) -> ImageId {
    ImageId { digest: None, tag: Some(tag.to_owned()) }
}

/// One image; none where the repository has no such image.
fn image(repository: &str, id: ImageId) -> Result<Option<ImageDetail>, Failure> {
    let named = id.tag.clone().or_else(|| id.digest.clone()).unwrap_or_default();
    let request = DescribeImagesRequest { repository: repository.to_owned(), images: vec![id], tag_status: None };
    match describe_images(&request) {
        Ok(response) => Ok(response.images.into_iter().next()),
        Err(Error { kind: ErrorKind::NotFound, code, .. }) if code == "ImageNotFoundException" => Ok(None),
        Err(error) => Err(error).during(format!("looking for the image {repository} {named}")),
    }
}

/// The outputs where the tag exists already; a failure where the config does not say reuse, and where the image is that of a
/// failed build. `failed` is this run's own, where there was one.
fn reuse(
    config: &Config,
    repository: &Repository,
    existing: &ImageDetail,
    failed: Option<&Build>,
) -> Result<Outputs, Failure> {
    let of_failed = |build: &Build, own| {
        published::of_a_failed_build(&config.repository, &config.tag, build, existing, own)
            .map(|failure| with_log(failure, build))
    };
    let own = failed.filter(|build| build::may_have_pushed(build, existing));
    if let Some(failure) = own.and_then(|build| of_failed(build, true)) {
        return Err(failure);
    }
    published::may_reuse(config.on_existing_tag, &config.repository, &config.tag, existing).map_err(|failure| {
        // It is somebody else's tag: the failure of this run's own build must not be lost for that.
        let first = failed.and_then(build::failure).map(|first| format!("before that, {}", first.message));
        let failure = failure.details(first);
        match failed {
            Some(build) => with_log(failure, build),
            None => failure,
        }
    })?;
    let builds = newest_builds(&config.project)?;
    let pusher = published::pushed_by_a_failed_build(&builds, existing);
    if let Some(failure) = pusher.and_then(|build| of_failed(build, false)) {
        return Err(failure);
    }
    let image =
        PinnedImage::of(&repository.uri, &existing.digest).map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Outputs {
        image,
        repository: config.repository.clone(),
        digest: existing.digest.clone(),
        tag: config.tag.clone(),
        build_id: None,
        source_version: None,
    })
}

kiln_plugin::export!(BuildImage);
