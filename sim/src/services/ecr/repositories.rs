//! Repositories.
//!
//! The main functions are [`create_repository`], [`describe_repositories`] and [`delete_repository`].

use serde::{Deserialize, Serialize};

use super::state::{Encryption, Exclusion, Mutability, Repository, enter, find, invalid, invalid_token, page_size};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Access;
use crate::tags::{Tag, Tagged, Tags};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ScanningConfiguration {
    #[serde(default)]
    scan_on_push: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateRepository {
    registry_id: Option<String>,
    repository_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    image_tag_mutability: Mutability,
    #[serde(default)]
    image_tag_mutability_exclusion_filters: Vec<Exclusion>,
    image_scanning_configuration: Option<ScanningConfiguration>,
    encryption_configuration: Option<Encryption>,
}

#[derive(Serialize)]
pub(super) struct RepositoryOutput {
    repository: DescribedRepository,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedRepository {
    repository_arn: String,
    registry_id: String,
    repository_name: String,
    repository_uri: String,
    created_at: Timestamp,
    image_tag_mutability: Mutability,
    image_tag_mutability_exclusion_filters: Option<Vec<Exclusion>>,
    image_scanning_configuration: ScanningConfiguration,
    encryption_configuration: Encryption,
}

impl DescribedRepository {
    fn of(repository: &Repository, registry: &str) -> Self {
        let exclusions = repository.exclusions.clone();
        Self {
            repository_arn: repository.arn.clone(),
            registry_id: registry.to_owned(),
            repository_name: repository.name.clone(),
            repository_uri: repository.uri.clone(),
            created_at: repository.created,
            image_tag_mutability: repository.mutability,
            image_tag_mutability_exclusion_filters: (!exclusions.is_empty()).then_some(exclusions),
            image_scanning_configuration: ScanningConfiguration { scan_on_push: repository.scan_on_push },
            encryption_configuration: repository.encryption.clone(),
        }
    }
}

/// Whether a repository may be named so.
pub(super) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        part.bytes().all(fits) && edge(part.bytes().next()) && edge(part.bytes().next_back()) && !part.contains("..")
    };
    (2..=256).contains(&name.len()) && name.split('/').all(part)
}

fn check_exclusions(mutability: Mutability, exclusions: &[Exclusion]) -> Result<(), AwsError> {
    let wanted = matches!(mutability, Mutability::ImmutableWithExclusion | Mutability::MutableWithExclusion);
    if wanted == exclusions.is_empty() {
        return Err(invalid(
            "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'filters go with \
             the mutabilities that have exclusions, and only with them'",
        ));
    }
    Ok(())
}

pub(super) fn create_repository(ctx: &mut Ctx<'_>, input: CreateRepository) -> Result<RepositoryOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let name = input.repository_name;
    if !is_name(&name) {
        return Err(invalid(
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression \
             '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''",
        ));
    }
    check_exclusions(input.image_tag_mutability, &input.image_tag_mutability_exclusion_filters)?;
    let registry = ctx.at.account.clone();
    let mut repository = Repository::new(ctx, &name);
    repository.mutability = input.image_tag_mutability;
    repository.exclusions = input.image_tag_mutability_exclusion_filters;
    repository.scan_on_push = input.image_scanning_configuration.is_some_and(|scanning| scanning.scan_on_push);
    repository.tags = RepositoryTags::checked(input.tags)?;
    if let Some(encryption) = input.encryption_configuration {
        repository.encryption = encryption;
    }
    let repositories = &mut ctx.place().ecr.repositories;
    if repositories.contains_key(&name) {
        let message = format!("The repository with name '{name}' already exists in the registry with id '{registry}'");
        return Err(AwsError::new("RepositoryAlreadyExistsException", message));
    }
    let output = RepositoryOutput { repository: DescribedRepository::of(&repository, &registry) };
    let arn = repository.arn.clone();
    repositories.insert(name, repository);
    ctx.touch(arn);
    Ok(output)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeRepositories {
    registry_id: Option<String>,
    repository_names: Option<Vec<String>>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repositories {
    repositories: Vec<DescribedRepository>,
    next_token: Option<String>,
}

pub(super) fn describe_repositories(ctx: &mut Ctx<'_>, input: DescribeRepositories) -> Result<Repositories, AwsError> {
    enter(ctx, input.registry_id)?;
    let registry = ctx.at.account.clone();
    if let Some(names) = input.repository_names {
        if input.max_results.is_some() || input.next_token.is_some() {
            return Err(invalid("Invalid parameter: pages are not for repositories that are named"));
        }
        if !(1..=100).contains(&names.len()) {
            return Err(invalid(
                "Invalid parameter at 'repositoryNames' failed to satisfy constraint: 'must have between 1 and 100 items'",
            ));
        }
        let repositories = names.iter().map(|name| Ok(DescribedRepository::of(find(ctx, name)?, &registry)));
        return Ok(Repositories { repositories: repositories.collect::<Result<_, AwsError>>()?, next_token: None });
    }
    let size = page_size(input.max_results)?;
    let repositories = ctx.place().ecr.repositories.values();
    let repositories = repositories.map(|repository| DescribedRepository::of(repository, &registry)).collect();
    let (repositories, next_token) = ctx
        .page("ecr:repositories", repositories, size, input.next_token.as_deref(), |described: &DescribedRepository| {
            &described.repository_name
        })
        .map_err(invalid_token)?;
    Ok(Repositories { repositories, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteRepository {
    registry_id: Option<String>,
    repository_name: String,
    #[serde(default)]
    force: bool,
}

pub(super) fn delete_repository(ctx: &mut Ctx<'_>, input: DeleteRepository) -> Result<RepositoryOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let (name, registry) = (input.repository_name, ctx.at.account.clone());
    let repository = find(ctx, &name)?;
    if !repository.images.is_empty() && !input.force {
        let message = format!(
            "The repository with name '{name}' in registry with id '{registry}' cannot be deleted because it still \
             contains images"
        );
        return Err(AwsError::new("RepositoryNotEmptyException", message));
    }
    let output = RepositoryOutput { repository: DescribedRepository::of(repository, &registry) };
    let arn = repository.arn.clone();
    ctx.place().ecr.repositories.remove(&name);
    ctx.touch(arn);
    Ok(output)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutImageTagMutability {
    registry_id: Option<String>,
    repository_name: String,
    image_tag_mutability: Mutability,
    #[serde(default)]
    image_tag_mutability_exclusion_filters: Vec<Exclusion>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagMutability {
    registry_id: String,
    repository_name: String,
    image_tag_mutability: Mutability,
    image_tag_mutability_exclusion_filters: Option<Vec<Exclusion>>,
}

pub(super) fn put_image_tag_mutability(
    ctx: &mut Ctx<'_>,
    input: PutImageTagMutability,
) -> Result<TagMutability, AwsError> {
    enter(ctx, input.registry_id)?;
    let exclusions = input.image_tag_mutability_exclusion_filters;
    check_exclusions(input.image_tag_mutability, &exclusions)?;
    let repository = find(ctx, &input.repository_name)?;
    let same = repository.mutability == input.image_tag_mutability && repository.exclusions == exclusions;
    repository.mutability = input.image_tag_mutability;
    repository.exclusions.clone_from(&exclusions);
    changed(ctx, &input.repository_name, same)?;
    Ok(TagMutability {
        registry_id: ctx.at.account.clone(),
        repository_name: input.repository_name,
        image_tag_mutability: input.image_tag_mutability,
        image_tag_mutability_exclusion_filters: (!exclusions.is_empty()).then_some(exclusions),
    })
}

fn changed(ctx: &mut Ctx<'_>, repository: &str, same: bool) -> Result<(), AwsError> {
    let arn = find(ctx, repository)?.arn.clone();
    ctx.touch(arn);
    if same {
        ctx.unchanged();
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutImageScanningConfiguration {
    registry_id: Option<String>,
    repository_name: String,
    image_scanning_configuration: ScanningConfiguration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanningConfigured {
    registry_id: String,
    repository_name: String,
    image_scanning_configuration: ScanningConfiguration,
}

pub(super) fn put_image_scanning_configuration(
    ctx: &mut Ctx<'_>,
    input: PutImageScanningConfiguration,
) -> Result<ScanningConfigured, AwsError> {
    enter(ctx, input.registry_id)?;
    let scan_on_push = input.image_scanning_configuration.scan_on_push;
    let repository = find(ctx, &input.repository_name)?;
    let same = std::mem::replace(&mut repository.scan_on_push, scan_on_push) == scan_on_push;
    changed(ctx, &input.repository_name, same)?;
    Ok(ScanningConfigured {
        registry_id: ctx.at.account.clone(),
        repository_name: input.repository_name,
        image_scanning_configuration: ScanningConfiguration { scan_on_push },
    })
}

/// The tags of repositories.
pub(super) struct RepositoryTags;

impl Tagged for RepositoryTags {
    type Tag = Tag;

    fn find<'s>(scope: &'s mut Scope<'_>, arn: &str, _: Access) -> Result<(String, &'s mut Tags), AwsError> {
        let prefix = scope.arn("ecr", "repository/");
        match arn.strip_prefix(&prefix) {
            Some(name) => Ok((arn.to_owned(), &mut find(scope, name)?.tags)),
            None => Err(invalid(format!(
                "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN': {arn}"
            ))),
        }
    }
}
