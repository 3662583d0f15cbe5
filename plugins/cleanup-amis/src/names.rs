//! What names images by their ids in texts: parameters of Systems Manager, and recipes of Image Builder.
//! The main function is [`find`]; ids are found in texts by [`ids_in`], purely.

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::imagebuilder::{
    GetLifecyclePolicyRequest, ListImageRecipesRequest, ListLifecyclePoliciesRequest, get_lifecycle_policy,
    list_image_recipes, list_lifecycle_policies,
};
use kiln_plugin::aws::ssm::{
    GetParameterRequest, GetParametersByPathRequest, Parameter, get_parameter, get_parameters_by_path,
};
use kiln_plugin::{During, Failure, count};

use crate::config::{Config, Look};
use crate::uses::Looked;
use crate::verdict::Uses;

/// The ids of images in a text.
pub(crate) fn ids_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let ids = words.filter(|word| word.strip_prefix("ami-").is_some_and(|rest| !rest.is_empty()));
    ids.map(str::to_owned).collect()
}

/// What parameters and recipes name. `aliases` are parameters that launch templates name in the place of an image.
pub(crate) fn find(
    config: &Config,
    aliases: &[(String, String)],
    uses: &mut Uses,
    looked: &mut Looked,
) -> Result<(), Failure> {
    let mut read = 0;
    for (name, reason) in aliases {
        for parameter in one(name)? {
            read += 1;
            take(&parameter, reason, uses);
        }
    }
    for given in &config.parameters {
        let mut parameters = one(given)?;
        if given.starts_with('/') {
            let request = GetParametersByPathRequest { path: given.clone(), recursive: true };
            parameters.extend(
                get_parameters_by_path(&request).during(format!("reading the parameters of {given}"))?.parameters,
            );
        }
        read += parameters.len();
        for parameter in &parameters {
            take(parameter, &format!("parameter {} names it", parameter.name), uses);
        }
    }
    if read > 0 || !config.parameters.is_empty() {
        looked.push(("parameters".to_owned(), count(read, "parameter")));
    }
    if config.not_looked_at.contains(&Look::ImageBuilder) {
        return Ok(());
    }
    let recipes =
        list_image_recipes(&ListImageRecipesRequest { name: None }).during("listing the recipes of images")?.recipes;
    looked.push(("recipes of Image Builder".to_owned(), count(recipes.len(), "recipe")));
    for recipe in recipes {
        let reason = format!("recipe {} of Image Builder builds on it", recipe.name);
        for id in ids_in(&recipe.parent) {
            uses.entry(id).or_insert_with(|| reason.clone());
        }
        if let Some(name) = recipe.parent.strip_prefix("ssm:") {
            for parameter in one(name)? {
                take(&parameter, &reason, uses);
            }
        }
    }
    Ok(())
}

fn take(parameter: &Parameter, reason: &str, uses: &mut Uses) {
    for id in ids_in(parameter.value.as_deref().unwrap_or_default()) {
        uses.entry(id).or_insert_with(|| reason.to_owned());
    }
}

/// The parameter of this name, where there is one. Those of AWS name AWS's images, which nobody here can delete: they are not read.
fn one(name: &str) -> Result<Vec<Parameter>, Failure> {
    if name.starts_with("/aws/") {
        return Ok(Vec::new());
    }
    match get_parameter(&GetParameterRequest { name: name.to_owned() }) {
        Ok(found) => Ok(vec![found.parameter]),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).during(format!("reading the parameter {name}")),
    }
}

/// The lifecycle policies of Image Builder that take AMIs down, too: each with what it does.
pub(crate) fn lifecycle_policies() -> Result<Vec<(String, String)>, Failure> {
    let listed = list_lifecycle_policies(&ListLifecyclePoliciesRequest { name: None });
    let listed = listed.during("listing the lifecycle policies of Image Builder")?.policies;
    let mut found = Vec::new();
    for policy in listed.into_iter().filter(|policy| policy.status == "ENABLED" && policy.resource_type == "AMI_IMAGE")
    {
        let request = GetLifecyclePolicyRequest { policy: policy.arn };
        let details = get_lifecycle_policy(&request).during(format!("reading the lifecycle policy {}", policy.name))?;
        let does: Vec<String> = details
            .rules
            .iter()
            .filter(|rule| rule.amis)
            .map(|rule| format!("{}s AMIs", rule.action.to_lowercase()))
            .collect();
        if !does.is_empty() {
            found.push((
                format!("lifecycle policy {}", policy.name),
                format!("of Image Builder, {}, too", does.join(" and ")),
            ));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_wherever_they_stand_in_a_text() {
        let ids = |text: &str| ids_in(text).join(" ");
        assert_eq!(ids("ami-0a1b"), "ami-0a1b");
        assert_eq!(ids(r#"{"us-west-2":"ami-0a","eu-west-1":"ami-0b"}"#), "ami-0a ami-0b");
        assert_eq!(ids("arn:aws:ec2:us-west-2::image/ami-0c,ami-0d"), "ami-0c ami-0d");
        assert_eq!(ids("my-ami-0a ami- snap-0a"), "");
    }
}
