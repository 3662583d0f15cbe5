//! Task definitions: which there are, and the images that they name.
//! The main type is [`Definitions`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::ecs_inventory::{
    DescribeTaskImagesRequest, ListTaskDefinitionsRequest, describe_task_images, list_task_definitions,
};
use kiln_plugin::{During, Failure, count, grouped};

use crate::config::Revisions;
use crate::glob;
use crate::in_use::{Found, View, family};

/// The most task definitions that are read: ECS answers about twenty a second.
const MOST: usize = 3_000;

/// What matters of a task definition.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    /// `FAMILY:REVISION`.
    pub(crate) name: String,
    pub(crate) images: Vec<String>,
}

/// The task definitions that were read. A revision never changes.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    by_arn: BTreeMap<String, Definition>,
}

impl Definitions {
    /// The task definition of an ARN or a name; none where there is none, so that nothing can be started of it.
    pub(crate) fn read(&mut self, reference: &str) -> Result<Option<Definition>, Failure> {
        if let Some(known) = self.by_arn.get(reference) {
            return Ok(Some(known.clone()));
        }
        let request = DescribeTaskImagesRequest { task_definition: reference.to_owned() };
        let read = match describe_task_images(&request) {
            Ok(read) => read,
            // ECS calls one that is not there the client's mistake.
            Err(error) if error.kind == ErrorKind::NotFound || error.code == "ClientException" => return Ok(None),
            Err(error) => return Err(error).during(format!("reading the task definition {reference}")),
        };
        let name = read.arn.rsplit_once('/').map_or(read.arn.as_str(), |(_, name)| name).to_owned();
        let definition = Definition { name, images: read.images };
        // What a reference without a revision means changes with the next one.
        self.by_arn.insert(read.arn, definition.clone());
        Ok(Some(definition))
    }

    /// The images of the active task definitions that count as in use although no service may run them. `served` are the families of
    /// the services.
    pub(crate) fn active(&mut self, view: View<'_>, served: &BTreeSet<String>) -> Result<Found, Failure> {
        let request = ListTaskDefinitionsRequest { family: None, status: "ACTIVE".to_owned() };
        let arns = list_task_definitions(&request).during("listing the active task definitions")?.arns;
        let chosen = choose(view, served, &arns);
        if chosen.len() > MOST {
            let all = grouped(chosen.len());
            return Err(Failure::failed(format!(
                "{all} active task definitions may use the repository's images, and no more than {} are read",
                grouped(MOST)
            ))
            .help(
                "Deregister those that nobody starts any more, or say `revisions = \"newest\"` where jobs are started by the \
                 family's name, by rules or by schedules only.",
            ));
        }
        let families: BTreeSet<&str> = arns.iter().map(|arn| family(arn)).collect();
        let families =
            if families.len() == 1 { "1 family".to_owned() } else { format!("{} families", grouped(families.len())) };
        let found = format!("{} of {} of {families}", grouped(chosen.len()), count(arns.len(), "active revision"));
        let mut used = Vec::new();
        for arn in chosen {
            let Some(definition) = self.read(arn)? else { continue };
            let reason = format!("task definition {} names it", definition.name);
            used.extend(definition.images.into_iter().map(|image| (image, reason.clone())));
        }
        Ok((found, used))
    }
}

/// Those that count as in use: the newest revision of each family, and all of those that the config or the want of a service protects.
fn choose<'a>(view: View<'_>, served: &BTreeSet<String>, arns: &'a [String]) -> Vec<&'a str> {
    let revision = |arn: &str| arn.rsplit_once(':').and_then(|(_, revision)| revision.parse::<u64>().ok());
    let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
    for arn in arns {
        let best = newest.entry(family(arn)).or_insert(arn);
        if revision(arn) > revision(best) {
            *best = arn;
        }
    }
    let all_of = |family: &str| {
        view.families.iter().any(|pattern| glob::matches(pattern, family))
            || (view.revisions == Revisions::Active && !served.contains(family))
    };
    let counts = |arn: &&str| all_of(family(arn)) || newest.get(family(arn)) == Some(arn);
    arns.iter().map(String::as_str).filter(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::verdict::tests::config;

    #[test]
    fn families_without_a_service_are_protected_whole_and_those_of_services_by_their_newest() {
        let arns: Vec<String> = ["job:2", "job:10", "job:9", "web:1", "web:2"]
            .map(|name| format!("arn:aws:ecs:us-west-2:111111111111:task-definition/{name}"))
            .into();
        let served = BTreeSet::from(["web".to_owned()]);
        let chosen = |config: &Config| -> Vec<String> {
            let names = choose(View::here(config), &served, &arns).into_iter().filter_map(|arn| arn.rsplit_once('/'));
            names.map(|(_, name)| name.to_owned()).collect()
        };
        assert_eq!(chosen(&config()), ["job:2", "job:10", "job:9", "web:2"]);
        let newest = Config { revisions: Revisions::Newest, ..config() };
        assert_eq!(chosen(&newest), ["job:10", "web:2"]);
        let named = Config { families: vec!["w*".to_owned()], ..newest };
        assert_eq!(chosen(&named), ["job:10", "web:1", "web:2"]);
    }
}
