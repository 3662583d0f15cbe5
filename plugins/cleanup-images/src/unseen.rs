//! What may use images and is not looked at, for people.
//! The main function is [`told`].

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::ecs_inventory::{ListClustersRequest, list_clusters};
use kiln_plugin::{During, Failure};

use crate::config::Config;

/// What a clean-up with this config does not look at: a subject for a plan's lines, and what it is.
pub(crate) fn told(config: &Config) -> Result<Vec<(String, String)>, Failure> {
    let clusters = match list_clusters(ListClustersRequest { reserved: false }) {
        Ok(listed) => Some(listed.arns),
        // It is nothing that a run needs.
        Err(error) if error.kind == ErrorKind::AccessDenied => None,
        Err(error) => return Err(error).during("listing the clusters"),
    };
    Ok(lines(config, clusters.as_deref()))
}

fn lines(config: &Config, clusters: Option<&[String]>) -> Vec<(String, String)> {
    let mut unseen = Vec::new();
    match clusters {
        None => unseen.push("other clusters than those of `clusters` (`ecs:ListClusters` is not allowed)".to_owned()),
        Some(arns) => {
            let names = arns.iter().map(|arn| arn.rsplit_once('/').map_or(arn.as_str(), |(_, name)| name));
            let others: Vec<&str> = names.filter(|name| !config.clusters.iter().any(|known| known == name)).collect();
            if !others.is_empty() {
                unseen.push(format!("tasks and services of {}, which `clusters` does not name", others.join(", ")));
            }
        }
    }
    unseen.extend(config.not_looked_at.iter().map(|look| format!("{}, as `not-looked-at` says", look.word())));
    unseen.push("other accounts and regions, and what starts tasks or functions there".to_owned());
    unseen.push("images that only Kubernetes, Batch, App Runner or machines of their own use".to_owned());
    unseen.into_iter().map(|what| ("not looked at".to_owned(), what)).collect()
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
        let told = |clusters: Option<&[String]>| -> Vec<String> {
            lines(&config, clusters).into_iter().map(|(_, what)| what).collect()
        };
        let others = told(Some(&[arn("web"), arn("jobs")]));
        assert_eq!(
            others.first().map(String::as_str),
            Some("tasks and services of jobs, which `clusters` does not name")
        );
        assert!(others.contains(&"rules, as `not-looked-at` says".to_owned()));
        assert!(others.iter().any(|what| what.contains("other accounts")));
        assert!(told(Some(&[arn("web")])).iter().all(|what| !what.contains("`clusters`")));
        assert!(told(None).iter().any(|what| what.contains("ecs:ListClusters")));
    }
}
