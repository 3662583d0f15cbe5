//! What may use images and is not looked at, for people.
//! The main function is [`told`].

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::ecs_inventory::{ListClustersRequest, list_clusters};
use kiln_plugin::{During, Failure, elsewhere};

use crate::config::Config;
use crate::in_use::View;

/// What a clean-up with this config does not look at: a subject for a plan's lines, and what it is.
pub(crate) fn told(config: &Config) -> Result<Vec<(String, String)>, Failure> {
    let mut unseen = Vec::new();
    for view in View::all(config) {
        let clusters = match view.environment {
            None => clusters()?,
            Some(name) => elsewhere::within(name, |_| clusters())?,
        };
        unseen.extend(there(view, clusters.as_deref()));
    }
    unseen.push(match config.elsewhere.is_empty() {
        true => "other accounts and regions, and what starts tasks or functions there".to_owned(),
        false => "other accounts and regions than those of `elsewhere` and this one".to_owned(),
    });
    unseen.push("images that only Kubernetes, Batch, App Runner or machines of their own use".to_owned());
    Ok(unseen.into_iter().map(|what| ("not looked at".to_owned(), what)).collect())
}

/// The clusters of an environment, where they may be listed.
fn clusters() -> Result<Option<Vec<String>>, Failure> {
    match list_clusters(ListClustersRequest { reserved: false }) {
        Ok(listed) => Ok(Some(listed.arns)),
        // It is nothing that a run needs.
        Err(error) if error.kind == ErrorKind::AccessDenied => Ok(None),
        Err(error) => Err(error).during("listing the clusters"),
    }
}

/// What of one environment is not looked at.
fn there(view: View<'_>, clusters: Option<&[String]>) -> Vec<String> {
    let mut unseen = Vec::new();
    match clusters {
        None => unseen.push("other clusters than those of `clusters` (`ecs:ListClusters` is not allowed)".to_owned()),
        Some(arns) => {
            let names = arns.iter().map(|arn| arn.rsplit_once('/').map_or(arn.as_str(), |(_, name)| name));
            let others: Vec<&str> = names.filter(|name| !view.clusters.iter().any(|known| known == name)).collect();
            if !others.is_empty() {
                unseen.push(format!("tasks and services of {}, which `clusters` does not name", others.join(", ")));
            }
        }
    }
    unseen.extend(view.not_looked_at.iter().map(|look| format!("{}, as `not-looked-at` says", look.word())));
    unseen.into_iter().map(|what| view.name(&what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Look;
    use crate::verdict::tests::config;

    #[test]
    fn what_is_not_looked_at_is_named() {
        let config = Config { clusters: vec!["web".to_owned()], not_looked_at: vec![Look::Rules], ..config() };
        let arn = |name: &str| format!("arn:aws:ecs:us-west-2:111111111111:cluster/{name}");
        let told = |clusters: Option<&[String]>| there(View::here(&config), clusters);
        let others = told(Some(&[arn("web"), arn("jobs")]));
        assert_eq!(
            others.first().map(String::as_str),
            Some("tasks and services of jobs, which `clusters` does not name")
        );
        assert!(others.contains(&"rules, as `not-looked-at` says".to_owned()));
        assert!(told(Some(&[arn("web")])).iter().all(|what| !what.contains("`clusters`")));
        assert!(told(None).iter().any(|what| what.contains("ecs:ListClusters")));
    }
}
