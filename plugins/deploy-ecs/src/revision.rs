//! Makes the next revision of a task definition: the same, with another image in one container.
//! The main function is [`with_image`].

use kiln_plugin::aws::Pair;
use kiln_plugin::aws::ecs::{Container, TaskDefinition};
use kiln_plugin::{EcrRepository, Failure, ImageReference, PinnedImage};
use serde_json::Value;

/// The next revision.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// The containers that get the image, in the order of the task definition.
    pub(crate) containers: Vec<String>,
    /// The images that they have now.
    pub(crate) before: Vec<String>,
    /// What to register; none where each of them has the image already.
    pub(crate) document: Option<String>,
}

impl Revision {
    /// The containers, for people: `the container app`.
    pub(crate) fn subject(&self) -> String {
        match self.containers.as_slice() {
            [one] => format!("the container {one}"),
            more => format!("the containers {}", more.join(", ")),
        }
    }

    /// The images that they have now, for people.
    pub(crate) fn from(&self) -> String {
        let mut images = self.before.clone();
        images.sort_unstable();
        images.dedup();
        images.join(" and ")
    }
}

/// `FAMILY:REVISION` of a task definition's ARN, for people.
pub(crate) fn short(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, short)| short)
}

/// The task definition with `image` in the containers that are named, or else in each that uses the image's repository.
pub(crate) fn with_image(
    definition: &TaskDefinition,
    named: &[&str],
    image: &PinnedImage,
) -> Result<Revision, Failure> {
    let chosen = choose(definition, named, &image.repository)?;
    let containers = chosen.iter().map(|container| container.name.clone()).collect();
    let before = chosen.iter().map(|container| container.image.clone()).collect();
    if chosen.iter().all(|container| digest(&container.image).as_ref() == Some(&image.digest)) {
        return Ok(Revision { containers, before, document: None });
    }
    let mut document: Value = serde_json::from_str(&definition.document)
        .map_err(|error| Failure::internal(format!("the document of {} is not JSON: {error}", definition.arn)))?;
    for container in chosen {
        let described = document.get_mut("containerDefinitions").and_then(Value::as_array_mut);
        let described = described
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
            .find(|other| other.get("name").and_then(Value::as_str) == Some(&container.name))
            .ok_or_else(|| {
                Failure::internal(format!("the document of {} lacks the container {}", definition.arn, container.name))
            })?;
        described.insert("image".to_owned(), Value::String(image.to_string()));
    }
    Ok(Revision { containers, before, document: Some(document.to_string()) })
}

/// Its containers' names, for people.
fn names(definition: &TaskDefinition) -> String {
    definition.containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Each container that is named must be there, whatever image it is to get.
pub(crate) fn check_named(definition: &TaskDefinition, named: &[&str]) -> Result<(), Failure> {
    let has = |name: &str| definition.containers.iter().any(|container| container.name == name);
    match named.iter().find(|name| !has(name)) {
        None => Ok(()),
        Some(missing) => Err(Failure::config(format!("{} has no container {missing}", short(&definition.arn)))
            .help(format!("Correct `container` or `containers`. It has these: {}.", names(definition)))),
    }
}

/// The containers that get the image.
fn choose<'a>(
    definition: &'a TaskDefinition,
    named: &[&str],
    repository: &EcrRepository,
) -> Result<Vec<&'a Container>, Failure> {
    let containers = &definition.containers;
    let short = short(&definition.arn);
    check_named(definition, named)?;
    if !named.is_empty() {
        return Ok(containers.iter().filter(|container| named.contains(&container.name.as_str())).collect());
    }
    let users: Vec<&Container> =
        containers.iter().filter(|container| in_repository(&container.image).as_ref() == Some(repository)).collect();
    if users.is_empty() {
        return Err(Failure::config(format!("no container of {short} uses the repository {}", repository.name))
            .help(format!("Say which containers get the image: `containers = [\"…\"]`, of {}.", names(definition))));
    }
    Ok(users)
}

/// Roles that the task definition names and the config does not list. Without the permission to pass them no revision of it
/// can be registered.
pub(crate) fn unlisted_roles(definition: &TaskDefinition, listed: &[String]) -> Vec<String> {
    let document: Value = serde_json::from_str(&definition.document).unwrap_or_default();
    let given = ["taskRoleArn", "executionRoleArn"].iter().filter_map(|field| document.get(*field)?.as_str());
    // `arn:…:role/PATH/NAME`, or a name by itself.
    let name = |given: &str| given.split_once(":role/").map_or(given, |(_, name)| name).to_owned();
    let mut missing: Vec<String> = given.filter(|given| !given.is_empty()).map(name).collect();
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|missing| !listed.iter().any(|listed| name(listed) == *missing));
    missing
}

fn in_repository(image: &str) -> Option<EcrRepository> {
    image.parse::<ImageReference>().ok()?.ecr()
}

/// The digest by which a container names its image, if it does.
pub(crate) fn digest(image: &str) -> Option<String> {
    image.parse::<ImageReference>().ok()?.digest
}

/// The tags of the next revision: those of this one, but what AWS and kiln put there themselves.
pub(crate) fn tags(definition: &TaskDefinition) -> Vec<Pair> {
    let own = |tag: &&Pair| !tag.name.starts_with("aws:") && !tag.name.starts_with("kiln:");
    definition.tags.iter().filter(own).cloned().collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kiln_plugin::FailureKind;

    pub(crate) const REGISTRY: &str = "111111111111.dkr.ecr.us-west-2.amazonaws.com";
    pub(crate) const OLD: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    pub(crate) const NEW: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn image(digest: &str) -> PinnedImage {
        match PinnedImage::of(&format!("{REGISTRY}/web"), digest) {
            Ok(image) => image,
            Err(error) => unreachable!("{error}"),
        }
    }

    fn definition(containers: &[(&str, &str)]) -> TaskDefinition {
        let containers: Vec<Container> = containers
            .iter()
            .map(|(name, image)| Container { name: (*name).to_owned(), image: (*image).to_owned() })
            .collect();
        let described: Vec<Value> = containers
            .iter()
            .map(|container| serde_json::json!({ "name": container.name, "image": container.image, "essential": true, "newField": {"a": [1]} }))
            .collect();
        let pair = |name: &str| Pair { name: name.to_owned(), value: "x".to_owned() };
        TaskDefinition {
            arn: "arn:aws:ecs:us-west-2:111111111111:task-definition/web:12".to_owned(),
            family: "web".to_owned(),
            revision: 12,
            status: "ACTIVE".to_owned(),
            containers,
            document: serde_json::json!({ "family": "web", "cpu": "256", "containerDefinitions": described })
                .to_string(),
            tags: vec![pair("team"), pair("aws:cloudformation:stack-name"), pair("kiln:token")],
        }
    }

    fn repository(name: &str) -> String {
        format!("{REGISTRY}/{name}")
    }

    #[test]
    fn only_the_image_changes() {
        let before = definition(&[("proxy", &repository("proxy")), ("app", &format!("{}@{OLD}", repository("web")))]);
        let revision = with_image(&before, &[], &image(NEW));
        let document = revision.as_ref().ok().and_then(|revision| revision.document.clone()).unwrap_or_default();
        let expected = before.document.replace(OLD, NEW);
        let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
        assert!(parse(&document).is_some());
        assert_eq!(parse(&document), parse(&expected), "fields that nobody knows stay");
        assert_eq!(revision.map(|revision| revision.containers), Ok(vec!["app".to_owned()]));
    }

    #[test]
    fn the_same_digest_needs_no_revision() {
        let before = definition(&[("app", &format!("{}:v1@{OLD}", repository("web")))]);
        assert_eq!(with_image(&before, &[], &image(OLD)).map(|revision| revision.document), Ok(None));
        let tagged = definition(&[("app", &format!("{}:v1", repository("web")))]);
        assert!(
            with_image(&tagged, &[], &image(OLD)).is_ok_and(|revision| revision.document.is_some()),
            "a tag can move"
        );
    }

    #[test]
    fn all_containers_of_the_repository_get_the_image_unless_some_are_named() {
        let web = repository("web");
        let two = definition(&[("app", &web), ("proxy", &repository("proxy")), ("worker", &web)]);
        let chosen = |named: &[&str]| with_image(&two, named, &image(NEW)).map(|revision| revision.containers);
        assert_eq!(chosen(&[]), Ok(vec!["app".to_owned(), "worker".to_owned()]));
        assert_eq!(chosen(&["worker"]), Ok(vec!["worker".to_owned()]));
        let document = with_image(&two, &[], &image(NEW)).ok().and_then(|revision| revision.document);
        assert_eq!(document.unwrap_or_default().matches(NEW).count(), 2, "in one revision");
        let failure = chosen(&["worker", "wroker"]).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Config);
        assert!(failure.help.is_some_and(|help| help.contains("app, proxy, worker")));

        let other_account = definition(&[("app", "222222222222.dkr.ecr.us-west-2.amazonaws.com/web:1")]);
        assert!(with_image(&other_account, &[], &image(NEW)).is_err(), "a repository of the same name elsewhere");
        // One that has it already, and one that has not.
        let mixed = definition(&[("app", &format!("{web}@{NEW}")), ("worker", &web)]);
        assert!(with_image(&mixed, &[], &image(NEW)).is_ok_and(|revision| revision.document.is_some()));
    }

    #[test]
    fn roles_that_are_not_listed_are_found() {
        let mut definition = definition(&[]);
        definition.document = serde_json::json!({
            "taskRoleArn": "arn:aws:iam::111111111111:role/teams/web/task", "executionRoleArn": "web-execution",
        })
        .to_string();
        assert_eq!(unlisted_roles(&definition, &[]), ["teams/web/task", "web-execution"]);
        assert_eq!(unlisted_roles(&definition, &["web-execution".to_owned()]), ["teams/web/task"]);
        let by_arn = "arn:aws:iam::111111111111:role/teams/web/task".to_owned();
        assert_eq!(unlisted_roles(&definition, &[by_arn]), ["web-execution"]);
        definition.document = serde_json::json!({ "taskRoleArn": "" }).to_string();
        assert!(unlisted_roles(&definition, &[]).is_empty());
    }

    #[test]
    fn tags_of_others_are_not_copied() {
        let names: Vec<String> = tags(&definition(&[])).into_iter().map(|tag| tag.name).collect();
        assert_eq!(names, ["team"]);
    }

    #[test]
    fn a_definition_is_named_briefly() {
        assert_eq!(short("arn:aws:ecs:us-west-2:111111111111:task-definition/web:12"), "web:12");
    }
}
