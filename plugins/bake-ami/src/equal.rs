//! Whether an image that is there was made as one would be that is baked now.
//! The main function is [`differs`]. Where it cannot be told, it is no equal one.

use std::collections::BTreeSet;

use kiln_plugin::aws::imagebuilder::{Distribution, Image, ImageRecipe, ImageSummary};

/// What would be baked now.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) recipe: ImageRecipe,
    /// Whether it would be tested.
    pub(crate) tests: bool,
    /// `ACCOUNT/REGION`, each place that would get it.
    pub(crate) places: BTreeSet<String>,
    /// When the parent last changed, where it is a parameter that names one.
    pub(crate) parent_changed: Option<u64>,
}

/// The parameter that names the parent, where one does.
pub(crate) fn parent_parameter(recipe: &ImageRecipe) -> Option<&str> {
    recipe.parent.strip_prefix("ssm:")
}

/// Why nobody can tell what a recipe will be made of, so that no image is equal; none where it can be told.
pub(crate) fn untold(recipe: &ImageRecipe) -> Option<String> {
    let moves = |arn: &str| {
        let version = arn.split('/').nth(2).unwrap_or_default();
        arn.starts_with("arn:") && version.split('.').any(|number| number == "x")
    };
    if let Some(component) = recipe.components.iter().find(|component| moves(&component.arn)) {
        return Some(format!("the component {} is whichever version is newest", component.arn));
    }
    let names_a_build = |arn: &str| arn.split('/').count() > 3;
    // An image's version without a build number is its newest build.
    if moves(&recipe.parent) || (recipe.parent.contains(":image/") && !names_a_build(&recipe.parent)) {
        return Some(format!("the parent {} is whichever build is newest", recipe.parent));
    }
    None
}

/// The places that a distribution gives an image to; without one it is the place of the build.
pub(crate) fn places(distributions: Option<&[Distribution]>, account: &str, region: &str) -> BTreeSet<String> {
    let Some(distributions) = distributions else { return BTreeSet::from([format!("{account}/{region}")]) };
    let of = |target: &Distribution| {
        let accounts = std::iter::once(account.to_owned()).chain(target.target_accounts.iter().cloned());
        accounts.map(|account| format!("{account}/{}", target.region)).collect::<Vec<_>>()
    };
    distributions.iter().flat_map(of).collect()
}

/// What of `image` is otherwise than it would be baked now; none where it is equal.
pub(crate) fn differs(wanted: &Wanted, image: &Image) -> Option<String> {
    let Some(recipe) = &image.recipe else { return Some("Image Builder does not tell its recipe".to_owned()) };
    if recipe.arn != wanted.recipe.arn {
        return Some(format!("it is of {}", recipe.arn));
    }
    if recipe.components != wanted.recipe.components {
        return Some("its components are others".to_owned());
    }
    if recipe.parent != wanted.recipe.parent {
        return Some(format!("its parent is {}", recipe.parent));
    }
    if recipe.volumes != wanted.recipe.volumes {
        return Some("its volumes are others".to_owned());
    }
    if parent_parameter(recipe).is_some() {
        match (wanted.parent_changed, image.created) {
            (Some(changed), Some(created)) if changed < created => {}
            (Some(_), Some(_)) => return Some(format!("{} names another parent since", recipe.parent)),
            _ => return Some(format!("nobody knows whether {} names the same parent as then", recipe.parent)),
        }
    }
    if wanted.tests && !image.tests {
        return Some("it was not tested".to_owned());
    }
    let made: BTreeSet<String> = image
        .amis
        .iter()
        .filter(|ami| matches!(ami.status.as_str(), "AVAILABLE" | ""))
        .map(|ami| format!("{}/{}", ami.account, ami.region))
        .collect();
    let lacking: Vec<&str> = wanted.places.difference(&made).map(String::as_str).collect();
    (!lacking.is_empty()).then(|| format!("{} has no machine image of it", lacking.join(", ")))
}

/// Images that may be taken, the newest first: made, and not too old.
pub(crate) fn candidates(
    images: Vec<ImageSummary>,
    scheduled: bool,
    now: u64,
    max_age: Option<u64>,
) -> Vec<ImageSummary> {
    let is_new = |image: &ImageSummary| match (max_age, image.created) {
        (None, _) => true,
        (Some(age), Some(created)) => created.saturating_add(age) >= now,
        // Nobody knows how old it is.
        (Some(_), None) => false,
    };
    let mut images: Vec<ImageSummary> = images
        .into_iter()
        .filter(|image| image.status == "AVAILABLE" && (!scheduled || image.build_type == "SCHEDULED") && is_new(image))
        .collect();
    images.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| other.arn.cmp(&one.arn)));
    images
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bake::tests::{ami, image};
    use kiln_plugin::aws::imagebuilder::RecipeComponent;

    const OWN: &str = "111111111111";

    fn recipe(parent: &str, component: &str) -> ImageRecipe {
        ImageRecipe {
            arn: "arn:aws:imagebuilder:us-west-2:111111111111:image-recipe/web/1.0.0".to_owned(),
            name: "web".to_owned(),
            version: "1.0.0".to_owned(),
            platform: "Linux".to_owned(),
            parent: parent.to_owned(),
            components: vec![RecipeComponent { arn: component.to_owned(), parameters: Vec::new() }],
            volumes: Vec::new(),
        }
    }

    fn component(version: &str) -> String {
        format!("arn:aws:imagebuilder:us-west-2:aws:component/update-linux/{version}")
    }

    fn wanted(parent: &str, parent_changed: Option<u64>) -> Wanted {
        let places = BTreeSet::from([format!("{OWN}/us-west-2"), format!("{OWN}/eu-west-1")]);
        Wanted { recipe: recipe(parent, &component("1.0.0")), tests: true, places, parent_changed }
    }

    fn made(parent: &str) -> Image {
        Image {
            recipe: Some(recipe(parent, &component("1.0.0"))),
            created: Some(100),
            amis: vec![ami("us-west-2", OWN, "ami-1"), ami("eu-west-1", OWN, "ami-2")],
            ..image("AVAILABLE")
        }
    }

    #[test]
    fn an_image_that_was_made_in_the_same_way_is_equal() {
        assert_eq!(differs(&wanted("ami-0", None), &made("ami-0")), None);
        let ssm = "ssm:/aws/service/al2023";
        assert_eq!(differs(&wanted(ssm, Some(99)), &made(ssm)), None, "the parameter is older than the image");
    }

    #[test]
    fn whatever_is_otherwise_is_told() {
        let told = |change: &dyn Fn(&mut Image)| {
            let mut image = made("ami-0");
            change(&mut image);
            differs(&wanted("ami-0", None), &image).unwrap_or_default()
        };
        let of_recipe = |image: &mut Image, change: &dyn Fn(&mut ImageRecipe)| {
            if let Some(recipe) = &mut image.recipe {
                change(recipe);
            }
        };
        assert!(told(&|image| image.recipe = None).contains("does not tell"));
        assert!(told(&|image| of_recipe(image, &|it| it.arn.push('1'))).contains("it is of"));
        assert!(told(&|image| of_recipe(image, &|it| it.components.clear())).contains("components"));
        assert!(told(&|image| of_recipe(image, &|it| it.parent = "ami-9".to_owned())).contains("ami-9"));
        assert!(told(&|image| image.tests = false).contains("not tested"));
        assert_eq!(told(&|image| image.amis.truncate(1)), "111111111111/eu-west-1 has no machine image of it");
        let ssm = "ssm:/aws/service/al2023";
        assert!(differs(&wanted(ssm, Some(100)), &made(ssm)).is_some_and(|told| told.contains("another parent")));
        assert!(differs(&wanted(ssm, None), &made(ssm)).is_some_and(|told| told.contains("nobody knows")));
        let mut gone = made("ami-0");
        for ami in &mut gone.amis {
            ami.status = "DELETED".to_owned();
        }
        assert!(differs(&wanted("ami-0", None), &gone).is_some(), "what is gone is not there");
    }

    #[test]
    fn what_moves_by_itself_is_equal_to_nothing() {
        let arn = "arn:aws:imagebuilder:us-west-2:aws:image/amazon-linux-2023";
        assert_eq!(untold(&recipe("ami-0", &component("1.0.0"))), None);
        assert_eq!(untold(&recipe(&format!("{arn}/2024.1.1/3"), &component("1.0.2/1"))), None);
        for (parent, version) in [("ami-0", "x.x.x"), ("ami-0", "1.x.x")] {
            assert!(untold(&recipe(parent, &component(version))).is_some(), "{parent} {version}");
        }
        for parent in ["x.x.x", "2024.1.1"] {
            assert!(untold(&recipe(&format!("{arn}/{parent}"), &component("1.0.0"))).is_some(), "{parent}");
        }
    }

    #[test]
    fn a_place_is_an_account_s_region() {
        let distribution = |region: &str, accounts: &[&str]| Distribution {
            region: region.to_owned(),
            ami_name: None,
            target_accounts: accounts.iter().map(ToString::to_string).collect(),
            key: None,
            launch_accounts: Vec::new(),
            launch_groups: Vec::new(),
            launch_organizations: Vec::new(),
            ami_tags: Vec::new(),
            templates: Vec::new(),
            parameters: Vec::new(),
        };
        let all = [distribution("us-west-2", &[]), distribution("eu-west-1", &["222222222222"])];
        let told: Vec<String> = places(Some(&all), OWN, "us-west-2").into_iter().collect();
        assert_eq!(told, ["111111111111/eu-west-1", "111111111111/us-west-2", "222222222222/eu-west-1"]);
        assert_eq!(places(None, OWN, "us-west-2").len(), 1);
    }

    #[test]
    fn the_newest_image_comes_first_and_what_is_too_old_not_at_all() {
        let summary = |arn: &str, status: &str, build_type: &str, created| ImageSummary {
            arn: arn.to_owned(),
            name: "web".to_owned(),
            version: "1.0.0".to_owned(),
            status: status.to_owned(),
            build_type: build_type.to_owned(),
            created,
            amis: Vec::new(),
            tags: Vec::new(),
        };
        let all = || {
            vec![
                summary("old", "AVAILABLE", "SCHEDULED", Some(10)),
                summary("new", "AVAILABLE", "SCHEDULED", Some(50)),
                summary("own", "AVAILABLE", "USER_INITIATED", Some(60)),
                summary("bad", "FAILED", "SCHEDULED", Some(70)),
                summary("odd", "AVAILABLE", "SCHEDULED", None),
            ]
        };
        let arns = |scheduled, max_age| {
            candidates(all(), scheduled, 100, max_age).into_iter().map(|image| image.arn).collect::<Vec<_>>()
        };
        assert_eq!(arns(true, None), ["new", "old", "odd"]);
        assert_eq!(arns(true, Some(60)), ["new"]);
        assert_eq!(arns(false, Some(60)), ["own", "new"]);
    }
}
