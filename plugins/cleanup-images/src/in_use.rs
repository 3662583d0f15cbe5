//! Finds out which images of the repository are in use.
//! The main type is [`Search`]. Where it cannot find out, it fails, and then nothing is deleted.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ecs::{
    DescribeServicesRequest, DescribeTasksRequest, Failure as EcsFailure, ListServicesRequest, ListTasksRequest, Task,
    describe_services, describe_tasks, list_services, list_tasks,
};
use kiln_plugin::{During, Failure, FailureKind, ImageReference, context, count, elsewhere};

use crate::config::{Config, Look, Revisions};
use crate::definitions::Definitions;
use crate::functions::Functions;
use crate::registry::{Contents, Uses};
use crate::starts;

/// How many services, and how many tasks, one call may describe.
const SERVICES: usize = 10;
const TASKS: usize = 100;

/// What of one environment is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The environment's name, where it is not the stage's own.
    pub(crate) environment: Option<&'a str>,
    pub(crate) clusters: &'a [String],
    pub(crate) families: &'a [String],
    pub(crate) revisions: Revisions,
    pub(crate) not_looked_at: &'a [Look],
}

impl<'a> View<'a> {
    /// Of the stage's own environment.
    pub(crate) fn here(config: &'a Config) -> Self {
        Self {
            environment: None,
            clusters: &config.clusters,
            families: &config.families,
            revisions: config.revisions,
            not_looked_at: &config.not_looked_at,
        }
    }

    /// Of all environments, the stage's own first.
    pub(crate) fn all(config: &'a Config) -> impl Iterator<Item = Self> {
        let elsewhere = config.elsewhere.iter().map(|there| Self {
            environment: Some(&there.environment),
            clusters: &there.clusters,
            families: &there.families,
            revisions: there.revisions,
            not_looked_at: &there.not_looked_at,
        });
        std::iter::once(Self::here(config)).chain(elsewhere)
    }

    /// What is said of something there.
    pub(crate) fn name(&self, what: &str) -> String {
        match self.environment {
            Some(environment) => format!("{environment}: {what}"),
            None => what.to_owned(),
        }
    }
}

/// What one environment has and does not change.
#[derive(Debug, Default)]
struct Known {
    definitions: Definitions,
    functions: Functions,
}

/// A search for what is in use, which may be made again.
pub(crate) struct Search<'a> {
    pub(crate) config: &'a Config,
    pub(crate) contents: &'a Contents,
    /// By the names of environments: two may have task definitions of one name.
    known: BTreeMap<Option<&'a str>, Known>,
    /// What was looked at the last time, and what was found there.
    pub(crate) looked: Vec<(String, String)>,
}

/// What could not be looked at, and why not.
struct Unseen<'a> {
    view: View<'a>,
    /// One of what is looked at everywhere; none where it was the clusters.
    look: Option<Look>,
    failure: Failure,
}

impl<'a> Search<'a> {
    pub(crate) fn new(config: &'a Config, contents: &'a Contents) -> Self {
        Self { config, contents, known: BTreeMap::new(), looked: Vec::new() }
    }

    /// The images that are in use now, each with who uses it.
    pub(crate) fn find(&mut self) -> Result<Uses, Failure> {
        let mut uses = references(&context::images_of_this_run(), self.contents);
        self.looked.clear();
        let mut unseen = Vec::new();
        for view in View::all(self.config) {
            let seen = match view.environment {
                None => self.look_at(view, &mut uses),
                Some(name) => elsewhere::within(name, |_| self.look_at(view, &mut uses)),
            };
            unseen.extend(seen?);
        }
        if unseen.is_empty() { Ok(uses) } else { Err(not_seen(&unseen, &self.looked)) }
    }

    /// Look at all of an environment, where the calls are made now. Answers what may not be looked at.
    fn look_at(&mut self, view: View<'a>, uses: &mut Uses) -> Result<Vec<Unseen<'a>>, Failure> {
        let mut known = self.known.remove(&view.environment).unwrap_or_default();
        let mut unseen = Vec::new();
        let served = match self.in_clusters(view, &mut known, uses) {
            Ok(served) => served,
            Err(failure) if failure.kind == FailureKind::Denied => {
                unseen.push(Unseen { view, look: None, failure });
                BTreeSet::new()
            }
            Err(failure) => return Err(failure),
        };
        for look in Look::ALL.into_iter().filter(|look| !view.not_looked_at.contains(look)) {
            match self.at(look, view, &mut known, &served, uses) {
                Ok(found) => self.looked.push((view.name(&look.word().replace('-', " ")), found)),
                Err(failure) if failure.kind == FailureKind::Denied => {
                    unseen.push(Unseen { view, look: Some(look), failure });
                }
                Err(failure) => return Err(failure),
            }
        }
        self.known.insert(view.environment, known);
        Ok(unseen)
    }

    /// What tasks and services of an environment's clusters use. Answers the families of the services.
    fn in_clusters(&mut self, view: View<'a>, known: &mut Known, uses: &mut Uses) -> Result<BTreeSet<String>, Failure> {
        let (mut definitions, mut served) = (BTreeSet::new(), BTreeSet::new());
        for cluster in view.clusters {
            let tasks = tasks(cluster)?;
            for task in &tasks {
                of_task(self.contents, task, view, uses);
            }
            let (services, of_services) = definitions_of_services(cluster)?;
            self.looked.push((
                view.name(&format!("cluster {cluster}")),
                format!("{}, {}", count(services, "service"), count(tasks.len(), "task")),
            ));
            definitions.extend(tasks.into_iter().map(|task| task.task_definition));
            served.extend(of_services.iter().map(|arn| family(arn).to_owned()));
            definitions.extend(of_services);
        }
        for arn in definitions {
            let Some(definition) = known.definitions.read(&arn)? else { continue };
            let reason = view.name(&format!("task definition {} uses it", definition.name));
            for image in &definition.images {
                of_image(self.contents, image, &reason, uses);
            }
        }
        Ok(served)
    }

    /// Look at one kind of users, and say what was found.
    fn at(
        &self,
        look: Look,
        view: View<'_>,
        known: &mut Known,
        served: &BTreeSet<String>,
        uses: &mut Uses,
    ) -> Result<String, Failure> {
        let (found, used) = match look {
            Look::TaskDefinitions => known.definitions.active(view, served)?,
            Look::Rules => starts::of_rules(&mut known.definitions)?,
            Look::Schedules => starts::of_schedules(&mut known.definitions)?,
            Look::Functions => known.functions.all()?,
        };
        for (image, reason) in used {
            of_image(self.contents, &image, &view.name(&reason), uses);
        }
        Ok(found)
    }
}

/// Images, each with who uses it, and what was looked at, for people.
pub(crate) type Found = (String, Vec<(String, String)>);

/// The family of a task definition's ARN.
pub(crate) fn family(arn: &str) -> &str {
    let name = arn.rsplit_once('/').map_or(arn, |(_, name)| name);
    name.rsplit_once(':').map_or(name, |(family, _)| family)
}

/// What may not be looked at may use anything.
fn not_seen(unseen: &[Unseen<'_>], looked: &[(String, String)]) -> Failure {
    let mut help = "Allow it to the role that looks: that of this stage's environment, and in another environment that one's own; \
                    `kiln permissions` names what each needs."
        .to_owned();
    let words: BTreeSet<String> =
        unseen.iter().filter_map(|unseen| Some(format!("\"{}\"", unseen.look?.word()))).collect();
    if !words.is_empty() {
        help.push_str(" Where none of it uses this repository's images, say so there: `not-looked-at = [");
        help.push_str(&words.into_iter().collect::<Vec<_>>().join(", "));
        help.push_str("]`.");
    }
    let lines = unseen.iter().map(|Unseen { view, look, failure }| {
        format!("{}: {}", view.name(look.map_or("clusters", Look::word)), failure.message)
    });
    let seen = looked.iter().map(|(what, found)| format!("looked at {what}: {found}"));
    Failure::denied("what uses the repository's images may not all be looked at, and what is not seen is kept")
        .help(help)
        .details(lines.chain(seen))
}

/// Images that are named by reference.
fn references(images: &[String], contents: &Contents) -> Uses {
    let mut uses = Uses::new();
    for image in images {
        of_image(contents, image, "this run uses it", &mut uses);
    }
    uses
}

/// Running tasks and those that are to run.
fn tasks(cluster: &str) -> Result<Vec<Task>, Failure> {
    let request = ListTasksRequest {
        cluster: cluster.to_owned(),
        service: None,
        family: None,
        desired_status: Some("RUNNING".to_owned()),
        started_by: None,
    };
    let arns = list_tasks(&request).during(format!("listing the tasks of cluster {cluster}"))?.arns;
    let mut tasks = Vec::new();
    for arns in arns.chunks(TASKS) {
        let request = DescribeTasksRequest { cluster: cluster.to_owned(), tasks: arns.to_vec() };
        let response = describe_tasks(&request).during(format!("reading the tasks of cluster {cluster}"))?;
        complete("task", &response.failures)?;
        tasks.extend(response.tasks);
    }
    Ok(tasks)
}

/// How many services a cluster has, and their task definitions and those of their deployments in progress.
fn definitions_of_services(cluster: &str) -> Result<(usize, Vec<String>), Failure> {
    let request = ListServicesRequest { cluster: cluster.to_owned() };
    let arns = list_services(&request).during(format!("listing the services of cluster {cluster}"))?.arns;
    let (services, mut definitions) = (arns.len(), Vec::new());
    for arns in arns.chunks(SERVICES) {
        let request = DescribeServicesRequest { cluster: cluster.to_owned(), services: arns.to_vec() };
        let response = describe_services(&request).during(format!("reading the services of cluster {cluster}"))?;
        complete("service", &response.failures)?;
        for service in response.services {
            definitions.extend(service.deployments.into_iter().map(|deployment| deployment.task_definition));
            definitions.push(service.task_definition);
        }
    }
    // A service of another deployment controller names none.
    definitions.retain(|definition| !definition.is_empty());
    Ok((services, definitions))
}

/// What was listed a moment ago and is gone uses nothing; what cannot be described for another reason may use anything.
fn complete(kind: &str, failures: &[EcsFailure]) -> Result<(), Failure> {
    match failures.iter().find(|failure| failure.reason != "MISSING") {
        None => Ok(()),
        Some(failure) => {
            Err(Failure::unavailable(format!("ECS cannot describe the {kind} {}: {}", failure.arn, failure.reason)))
        }
    }
}

/// A task's images: what it was told to run, and the digest that it pulled.
fn of_task(contents: &Contents, task: &Task, view: View<'_>, uses: &mut Uses) {
    let name = task.arn.rsplit('/').next().unwrap_or(&task.arn);
    let reason = view.name(&format!("task {name} runs it"));
    for container in &task.containers {
        let digest = container.image_digest.as_ref();
        match digest {
            // The digest alone decides what a tag named when it was pulled. Whether it is of this repository does not
            // matter: no other image has this digest.
            Some(digest) => {
                uses.entry(digest.clone()).or_insert_with(|| reason.clone());
            }
            None => of_image(contents, &container.image, &reason, uses),
        }
    }
}

/// An image by reference. A tag counts where it is of this repository, for the image that it names now; a digest wherever it is said to
/// be: what another registry has under it is this image, perhaps a copy that was made of this one.
fn of_image(contents: &Contents, image: &str, reason: &str, uses: &mut Uses) {
    let Ok(reference) = image.parse::<ImageReference>() else { return };
    if reference.digest.is_none() && reference.ecr().as_ref() != Some(&contents.repository) {
        return;
    }
    let digest = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => Some(digest.as_str()),
        (None, Some(tag)) => contents.tagged(tag),
        (None, None) => contents.tagged("latest"),
    };
    if let Some(digest) = digest {
        uses.entry(digest.to_owned()).or_insert_with(|| reason.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::{contents, image};
    use kiln_plugin::aws::ecs::TaskContainer;

    const REGISTRY: &str = "111111111111.dkr.ecr.us-west-2.amazonaws.com";
    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn task(image: &str, digest: Option<&str>) -> Task {
        Task {
            arn: "arn:aws:ecs:us-west-2:111111111111:task/web/0123".to_owned(),
            task_definition: String::new(),
            last_status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            health: "UNKNOWN".to_owned(),
            stop_code: None,
            stopped_reason: None,
            started_by: None,
            group: None,
            containers: vec![TaskContainer {
                name: "app".to_owned(),
                image: image.to_owned(),
                image_digest: digest.map(str::to_owned),
                last_status: "RUNNING".to_owned(),
                exit_code: None,
                reason: None,
                health: None,
            }],
            started: None,
            stopped: None,
        }
    }

    fn here() -> View<'static> {
        View { environment: None, clusters: &[], families: &[], revisions: Revisions::Active, not_looked_at: &[] }
    }

    fn digests(uses: &Uses) -> Vec<&str> {
        uses.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_task_uses_the_digest_that_it_pulled_not_what_its_tag_names_now() {
        let contents = contents(vec![image("sha256:new", &["v1"], 1)]);
        let mut uses = Uses::new();
        of_task(&contents, &task(&format!("{REGISTRY}/web:v1"), Some("sha256:old")), here(), &mut uses);
        assert_eq!(digests(&uses), ["sha256:old"]);
    }

    #[test]
    fn a_task_that_has_not_pulled_yet_uses_what_its_tag_names() {
        let contents = contents(vec![image("sha256:new", &["v1", "latest"], 1)]);
        let mut uses = Uses::new();
        of_task(&contents, &task(&format!("{REGISTRY}/web:v1"), None), here(), &mut uses);
        assert_eq!(digests(&uses), ["sha256:new"]);
        let mut uses = Uses::new();
        of_task(&contents, &task(&format!("{REGISTRY}/web"), None), here(), &mut uses);
        assert_eq!(digests(&uses), ["sha256:new"], "no tag means latest");
    }

    #[test]
    fn a_digest_counts_in_every_registry_and_a_tag_in_this_one() {
        let contents = contents(vec![image(DIGEST, &["v1"], 1)]);
        let elsewhere = "222222222222.dkr.ecr.eu-west-1.amazonaws.com";
        let used = |image: String| references(&[image], &contents).into_keys().collect::<Vec<_>>();
        assert_eq!(used(format!("{elsewhere}/copies/web@{DIGEST}")), [DIGEST]);
        assert_eq!(used(format!("{REGISTRY}/web@{DIGEST}")), [DIGEST]);
        assert_eq!(used(format!("{REGISTRY}/web:v1")), [DIGEST]);
        assert!(used(format!("{elsewhere}/web:v1")).is_empty());
        assert!(used("nginx:v1".to_owned()).is_empty());
    }

    #[test]
    fn what_may_not_be_looked_at_is_told_with_the_way_out_and_what_was_seen() {
        let unseen = |environment, look, why: &str| Unseen {
            view: View { environment, ..here() },
            look,
            failure: Failure::denied(why),
        };
        let unseen = [
            unseen(None, Some(Look::Rules), "AWS refused events:ListRules"),
            unseen(None, Some(Look::Functions), "AWS refused lambda:ListFunctions"),
            unseen(Some("europe"), None, "its role cannot be assumed"),
            unseen(Some("europe"), Some(Look::Rules), "its role cannot be assumed"),
        ];
        let failure = not_seen(&unseen, &[("cluster web".to_owned(), "1 service, 2 tasks".to_owned())]);
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.help.is_some_and(|help| help.contains("`not-looked-at = [\"functions\", \"rules\"]`")));
        assert_eq!(
            failure.details,
            [
                "rules: AWS refused events:ListRules",
                "functions: AWS refused lambda:ListFunctions",
                "europe: clusters: its role cannot be assumed",
                "europe: rules: its role cannot be assumed",
                "looked at cluster web: 1 service, 2 tasks",
            ]
        );
    }

    #[test]
    fn a_family_is_read_off_an_arn() {
        assert_eq!(family("arn:aws:ecs:us-west-2:111111111111:task-definition/nightly-report:12"), "nightly-report");
        assert_eq!(family("web:1"), "web");
        assert_eq!(family("web"), "web");
    }

    #[test]
    fn what_cannot_be_described_may_use_anything() {
        let failure = |reason: &str| EcsFailure { arn: "a".to_owned(), reason: reason.to_owned() };
        assert!(complete("task", &[failure("MISSING")]).is_ok());
        assert!(complete("task", &[failure("MISSING"), failure("ACCESS_DENIED")]).is_err());
    }
}
