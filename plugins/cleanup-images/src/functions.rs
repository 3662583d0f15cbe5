//! Lambda functions, and the images that they are made of.
//! The main type is [`Functions`].

use std::collections::BTreeMap;

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::lambda::{GetFunctionRequest, ListFunctionsRequest, get_function, list_functions};
use kiln_plugin::{During, Failure};

use crate::in_use::Found;

/// The published versions that were read, by name and version: none of them ever changes.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    published: BTreeMap<(String, String), Option<String>>,
}

impl Functions {
    /// The images of all functions and of all their versions.
    pub(crate) fn all(&mut self) -> Result<Found, Failure> {
        let request = ListFunctionsRequest { all_versions: true };
        let listed = list_functions(request).during("listing the Lambda functions")?.functions;
        let (all, mut of_images, mut used) = (listed.len(), 0, Vec::new());
        for function in listed.into_iter().filter(|function| function.package_type != "Zip") {
            of_images += 1;
            let reason = match function.version.as_str() {
                "$LATEST" => format!("Lambda function {} is made of it", function.name),
                version => format!("version {version} of Lambda function {} is made of it", function.name),
            };
            used.extend(self.image(function.name, function.version)?.map(|image| (image, reason)));
        }
        Ok((
            format!(
                "{of_images} of {} made of images",
                if all == 1 { "1 function is".to_owned() } else { format!("{all} functions and versions are") }
            ),
            used,
        ))
    }

    /// The image of a version.
    fn image(&mut self, name: String, version: String) -> Result<Option<String>, Failure> {
        let key = (name, version);
        if let Some(known) = self.published.get(&key) {
            return Ok(known.clone());
        }
        let (name, version) = &key;
        let latest = version == "$LATEST";
        let request = GetFunctionRequest { name: name.clone(), qualifier: (!latest).then(|| version.clone()) };
        let image = match get_function(&request) {
            // Lambda resolved the tag when the code was set: what the tag names now does not matter.
            Ok(function) => function.resolved_image.or(function.image),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error).during(format!("reading the Lambda function {name}")),
        };
        if !latest {
            self.published.insert(key, image.clone());
        }
        Ok(image)
    }
}
