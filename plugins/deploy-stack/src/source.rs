//! A template on its way to CloudFormation: in the request, or by way of a bucket.
//! The main function is [`sent`].

use kiln_plugin::aws::cloudformation::TemplateSource;
use kiln_plugin::aws::s3::{PutTextRequest, put_text};
use kiln_plugin::{During, Failure, log};
use kiln_template::Template;

use crate::config::Config;

/// The largest template that a request takes, in bytes.
pub(crate) const LARGEST_BODY: usize = 51_200;

/// The template of the config, read.
pub(crate) fn read(config: &Config) -> Result<(String, Template), Failure> {
    let text = config.template.text()?;
    match kiln_template::check(&text) {
        Ok(template) => Ok((text, template)),
        Err(findings) => {
            let lines: Vec<String> =
                findings.iter().map(|finding| format!("{}:{finding}", config.template.0)).collect();
            let first = lines.first().cloned().unwrap_or_default();
            Err(Failure::config(format!("the template cannot be used: {first}"))
                .help("Correct the template; `kiln check` shows all that is wrong with it.")
                .details(lines))
        }
    }
}

/// A template as a request takes it. A large one is put into the bucket first.
pub(crate) fn sent(config: &Config, text: &str) -> Result<TemplateSource, Failure> {
    if text.len() <= LARGEST_BODY {
        return Ok(TemplateSource { body: Some(text.to_owned()), url: None });
    }
    let Some(bucket) = &config.template_bucket else {
        return Err(Failure::config(format!(
            "a template of {} has {} bytes, and CloudFormation takes {LARGEST_BODY} in a request",
            config.name(),
            text.len()
        ))
        .help("Name a bucket for it: `template-bucket = \"…\"`."));
    };
    let request = PutTextRequest {
        bucket: bucket.clone(),
        prefix: String::new(),
        suffix: if text.trim_start().starts_with('{') { ".json" } else { ".yaml" }.to_owned(),
        text: text.to_owned(),
        key: config.template_key.clone(),
        owner: Some(kiln_plugin::context::get().account),
    };
    let put = put_text(&request).during(format!("putting the template into the bucket {bucket}"))?;
    if put.version.is_none() {
        log::warn(format!("the bucket {bucket} keeps no versions: whoever may write there can replace a template"));
    }
    Ok(TemplateSource { body: None, url: Some(put.url) })
}
