//! The variables of a build: the pipeline's, the image's name, and secrets by reference.
//! The main function is [`of_build`].

use std::collections::BTreeMap;

use kiln_plugin::aws::codebuild::{EnvironmentVariable, VariableSource};
use kiln_plugin::aws::ecr::Repository;
use kiln_plugin::{Failure, secrets};

/// How a reference to a secret arrives in a config.
const SECRET: &str = "kiln-secret:";

/// The variables that the build gets. Those of the image's name can be replaced by the pipeline's own.
pub(crate) fn of_build(
    environment: &BTreeMap<String, String>,
    repository: &Repository,
    tag: &str,
) -> Result<Vec<EnvironmentVariable>, Failure> {
    let mut variables = of_image(environment, repository, tag);
    for (name, value) in environment {
        variables.push(if value.starts_with(SECRET) {
            let secret = secrets::open(value).map_err(|error| not_opened(name, value, error))?;
            EnvironmentVariable {
                name: name.clone(),
                value: secret.codebuild_reference(),
                source: VariableSource::SecretsManager,
            }
        } else {
            plaintext(name, value)
        });
    }
    Ok(variables)
}

/// What the build must be told of the image: the names that AWS's own examples use, and the whole name.
fn of_image(environment: &BTreeMap<String, String>, repository: &Repository, tag: &str) -> Vec<EnvironmentVariable> {
    [
        ("IMAGE_REPO_NAME", repository.name.clone()),
        ("IMAGE_TAG", tag.to_owned()),
        ("IMAGE_URI", format!("{}:{tag}", repository.uri)),
    ]
    .into_iter()
    .filter(|(name, _)| !environment.contains_key(*name))
    .map(|(name, value)| plaintext(name, &value))
    .collect()
}

fn plaintext(name: &str, value: &str) -> EnvironmentVariable {
    EnvironmentVariable { name: name.to_owned(), value: value.to_owned(), source: VariableSource::Plaintext }
}

fn not_opened(variable: &str, reference: &str, error: secrets::SecretError) -> Failure {
    use secrets::SecretError::{NotFound, NotGranted, NotRevealed, Unavailable};
    let secret = reference.strip_prefix(SECRET).unwrap_or(reference);
    let what = format!("the secret {secret} for the variable {variable}");
    match error {
        NotGranted | NotRevealed => Failure::denied(format!("kiln does not give {what} to this stage"))
            .help("Refer to it in this stage's `with` as `${secrets.NAME}`."),
        NotFound => Failure::not_found(format!("Secrets Manager has no such secret, version or key: {what}"))
            .help("Correct its `id` and `key` under `[secrets]`."),
        Unavailable => {
            Failure::unavailable(format!("Secrets Manager could not be asked for {what}")).help("Run it again later.")
        }
    }
}

/// For the plan: which variables there are, never what is in them.
pub(crate) fn outline(environment: &BTreeMap<String, String>) -> String {
    let names: Vec<String> = environment
        .iter()
        .map(|(name, value)| match value.strip_prefix(SECRET) {
            Some(secret) => format!("{name} (the secret {secret}, by reference)"),
            None => name.clone(),
        })
        .collect();
    if names.is_empty() { String::new() } else { format!(", with {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_build_is_told_the_name_of_the_image() {
        let repository = Repository {
            name: "web".to_owned(),
            arn: String::new(),
            uri: "111111111111.dkr.ecr.us-west-2.amazonaws.com/web".to_owned(),
            tag_mutability: "MUTABLE".to_owned(),
            scan_on_push: true,
            encryption_type: "AES256".to_owned(),
            kms_key: None,
        };
        let own = environment(&[("IMAGE_TAG", "mine")]);
        let variables: Vec<(String, String)> =
            of_image(&own, &repository, "abc").into_iter().map(|variable| (variable.name, variable.value)).collect();
        let uri = "111111111111.dkr.ecr.us-west-2.amazonaws.com/web:abc";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(variables, [pair("IMAGE_REPO_NAME", "web"), pair("IMAGE_URI", uri)], "the pipeline's own is kept");
    }

    #[test]
    fn a_plan_shows_no_values() {
        let outline = outline(&environment(&[("MODE", "release"), ("TOKEN", "kiln-secret:registry")]));
        assert_eq!(outline, ", with MODE, TOKEN (the secret registry, by reference)");
    }
}
