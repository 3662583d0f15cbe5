//! Makes the next revision of a task definition: the same, with another image in one container.
//! The main function is [`with_image`].

use kiln_plugin::aws::Pair;
use kiln_plugin::aws::ecs::{Container, TaskDefinition};
use kiln_plugin::{EcrRepository, Failure, ImageReference, PinnedImage};
use serde_json::Value;

/// The next revision.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// The container that gets the image.
    pub(crate) container: String,
    /// The image that it has now.
    pub(crate) before: String,
    /// What to register; none where the container has the image already.
    pub(crate) document: Option<String>,
}

/// `FAMILY:REVISION` of a task definition's ARN, for people.
pub(crate) fn short(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, short)| short)
}

/// The task definition with `image` in the container that is named, or else in the one that uses the image's repository.
pub(crate) fn with_image(
    definition: &TaskDefinition,
    container: Option<&str>,
    image: &PinnedImage,
) -> Result<Revision, Failure> {
    let chosen = choose(definition, container, &image.repository)?;
    let before = chosen.image.clone();
    if digest(&before).as_ref() == Some(&image.digest) {
        return Ok(Revision { container: chosen.name.clone(), before, document: None });
    }
    let mut document: Value = serde_json::from_str(&definition.document)
        .map_err(|error| Failure::internal(format!("the document of {} is not JSON: {error}", definition.arn)))?;
    let containers = document.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    let described = containers
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
        .find(|other| other.get("name").and_then(Value::as_str) == Some(&chosen.name))
        .ok_or_else(|| {
            Failure::internal(format!("the document of {} lacks the container {}", definition.arn, chosen.name))
        })?;
    described.insert("image".to_owned(), Value::String(image.to_string()));
    Ok(Revision { container: chosen.name.clone(), before, document: Some(document.to_string()) })
}

/// The container that gets the image.
pub(crate) fn choose<'a>(
    definition: &'a TaskDefinition,
    container: Option<&str>,
    repository: &EcrRepository,
) -> Result<&'a Container, Failure> {
    let containers = &definition.containers;
    let names = || containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>().join(", ");
    let short = short(&definition.arn);
    if let Some(wanted) = container {
        return containers.iter().find(|container| container.name == wanted).ok_or_else(|| {
            Failure::config(format!("{short} has no container {wanted}")).help(format!("It has these: {}.", names()))
        });
    }
    let users: Vec<&Container> =
        containers.iter().filter(|container| in_repository(&container.image).as_ref() == Some(repository)).collect();
    match users.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::config(format!("no container of {short} uses the repository {}", repository.name))
            .help(format!("Say which container gets the image: `container = \"…\"`, one of {}.", names()))),
        more => {
            Err(Failure::config(format!("{} containers of {short} use the repository {}", more.len(), repository.name))
                .help(format!("Say which of them gets the image: `container = \"…\"`, one of {}.", names())))
        }
    }
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
        let revision = with_image(&before, None, &image(NEW));
        let document = revision.as_ref().ok().and_then(|revision| revision.document.clone()).unwrap_or_default();
        let expected = before.document.replace(OLD, NEW);
        let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
        assert!(parse(&document).is_some());
        assert_eq!(parse(&document), parse(&expected), "fields that nobody knows stay");
        assert_eq!(revision.map(|revision| revision.container), Ok("app".to_owned()));
    }

    #[test]
    fn the_same_digest_needs_no_revision() {
        let before = definition(&[("app", &format!("{}:v1@{OLD}", repository("web")))]);
        assert_eq!(with_image(&before, None, &image(OLD)).map(|revision| revision.document), Ok(None));
        let tagged = definition(&[("app", &format!("{}:v1", repository("web")))]);
        assert!(
            with_image(&tagged, None, &image(OLD)).is_ok_and(|revision| revision.document.is_some()),
            "a tag can move"
        );
    }

    #[test]
    fn the_container_must_be_certain() {
        let web = repository("web");
        let two = definition(&[("app", &web), ("worker", &web)]);
        let failure = with_image(&two, None, &image(NEW)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Config);
        assert!(failure.help.is_some_and(|help| help.contains("app, worker")));
        assert!(with_image(&two, Some("worker"), &image(NEW)).is_ok_and(|revision| revision.container == "worker"));
        assert!(with_image(&two, Some("wroker"), &image(NEW)).is_err());

        let other_account = definition(&[("app", "222222222222.dkr.ecr.us-west-2.amazonaws.com/web:1")]);
        assert!(with_image(&other_account, None, &image(NEW)).is_err(), "a repository of the same name elsewhere");
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
