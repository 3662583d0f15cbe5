//! Launch templates: what there is, and new versions of them.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation); [`CreateLaunchTemplateVersionRequest`] makes a
//! version.

use std::time::Duration;

use serde_json::{Value, json};

use super::document;
use super::ids::{TEMPLATE, pairs, some, when};
use super::pages::{Page as _, paged};
use super::wire::{
    self, CreateLaunchTemplateVersion, DescribeLaunchTemplateVersions, DescribeLaunchTemplates, ModifyLaunchTemplate,
    TemplateAnswer, TemplatesAnswer, VersionAnswer, VersionsAnswer,
};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::limits::{ITEMS, PAGES, too_many};
use crate::aws::look::Look;
use crate::aws::names;
use crate::aws::operation::{Fate, Read, RetryClass, Token, Unanswered, Write, heads};
use crate::aws::values::incomplete;
use crate::contract::bindings::kiln::aws_ec2::ec2::{
    CreateLaunchTemplateVersionRequest, CreateLaunchTemplateVersionResponse, DescribeLaunchTemplateVersionsRequest,
    DescribeLaunchTemplateVersionsResponse, DescribeLaunchTemplatesRequest, DescribeLaunchTemplatesResponse,
    LaunchTemplate, LaunchTemplateVersion, ModifyLaunchTemplateRequest, ModifyLaunchTemplateResponse,
};
use crate::json;

heads! {
    DescribeLaunchTemplatesRequest => DescribeLaunchTemplatesResponse: "ec2:DescribeLaunchTemplates" on |_, _| [];
    DescribeLaunchTemplateVersionsRequest => DescribeLaunchTemplateVersionsResponse:
        "ec2:DescribeLaunchTemplateVersions" on |_, _| [];
    CreateLaunchTemplateVersionRequest => CreateLaunchTemplateVersionResponse:
        "ec2:CreateLaunchTemplateVersion" on |it, at| [TEMPLATE.arn(at, &it.template)];
    ModifyLaunchTemplateRequest => ModifyLaunchTemplateResponse:
        "ec2:ModifyLaunchTemplate" on |it, at| [TEMPLATE.arn(at, &it.template)];
}

paged! {
    "DescribeLaunchTemplates": DescribeLaunchTemplates => TemplatesAnswer.launch_templates of wire::TemplateItem;
    "DescribeLaunchTemplateVersions":
        DescribeLaunchTemplateVersions => VersionsAnswer.launch_template_version_set of wire::TemplateVersion;
}

/// The most items of a page.
const PAGE: u32 = 200;
/// The longest description of a version.
const DESCRIPTION: usize = 255;
/// The model says nothing of how long a token is known; other tokens of EC2's last for a day.
const TOKEN: Duration = Duration::from_secs(600);

impl Read for DescribeLaunchTemplatesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        TEMPLATE.check_all(&self.ids)?;
        self.names.iter().try_for_each(|name| names::check("a launch template", name, "-_./()"))?;
        let named = !self.ids.is_empty() || !self.names.is_empty();
        let request = DescribeLaunchTemplates {
            launch_template_id: self.ids.clone(),
            launch_template_name: self.names.clone(),
            max_results: (!named).then_some(PAGE),
            next_token: None,
        };
        let templates = super::pages::all(aws, "launch templates", request).await?;
        Ok(DescribeLaunchTemplatesResponse { templates: templates.into_iter().map(template).collect() })
    }
}

fn template(template: wire::TemplateItem) -> LaunchTemplate {
    LaunchTemplate {
        id: template.launch_template_id,
        name: template.launch_template_name,
        default_version: template.default_version_number,
        latest_version: template.latest_version_number,
        tags: pairs(template.tag_set),
    }
}

impl Read for DescribeLaunchTemplateVersionsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        const WORDS: [&str; 2] = ["$Latest", "$Default"];
        let is_word = |version: &String| WORDS.contains(&version.as_str());
        let is_number = |version: &String| version.parse::<u64>().is_ok();
        if let Some(odd) = self.versions.iter().find(|version| !is_word(version) && !is_number(version)) {
            return Err(invalid(format_args!("{odd:?} is no version of a launch template")));
        }
        match &self.template {
            Some(template) => TEMPLATE.check(template)?,
            None if self.versions.is_empty() || !self.versions.iter().all(is_word) => {
                return Err(invalid(format_args!("of all launch templates {} are told", WORDS.join(" and "))));
            }
            None => {}
        }
        let mut request = DescribeLaunchTemplateVersions {
            launch_template_id: self.template.clone(),
            launch_template_version: self.versions.clone(),
            max_results: Some(PAGE),
            next_token: None,
        };
        let mut versions = Vec::new();
        for _ in 0..PAGES {
            let (answer, xml) = aws.ec2().call::<_, VersionsAnswer>("DescribeLaunchTemplateVersions", &request).await?;
            let (page, token) = answer.take();
            let documents = document::read(&xml);
            if documents.len() != page.len() {
                return Err(incomplete("what versions of launch templates say"));
            }
            versions.extend(page.into_iter().zip(documents).map(|(each, data)| version(each, &data)));
            match some(token) {
                _ if versions.len() > ITEMS => break,
                Some(token) => request.next_token = Some(token),
                None => return Ok(DescribeLaunchTemplateVersionsResponse { versions }),
            }
        }
        Err(too_many("versions"))
    }
}

fn version(version: wire::TemplateVersion, data: &Value) -> LaunchTemplateVersion {
    LaunchTemplateVersion {
        template: version.launch_template_id,
        name: version.launch_template_name,
        number: version.version_number,
        description: some(version.version_description),
        created: when(version.create_time),
        created_by: version.created_by.unwrap_or_default(),
        is_default: version.default_version,
        image: data.get("ImageId").and_then(Value::as_str).map(str::to_owned),
        data: data.to_string(),
    }
}

impl CreateLaunchTemplateVersionRequest {
    /// The document that it gives.
    fn document(&self) -> Result<Value, AwsError> {
        json::read(self.data.as_bytes()).map_err(|why| invalid(format_args!("the data of a launch template is {why}")))
    }

    /// Whether a version may be what this call made: all that it gives is there, and the rest is as the source has it.
    fn may_be(&self, found: &LaunchTemplateVersion, source: Option<&Value>) -> bool {
        let (Ok(given), Ok(data)) = (self.document(), json::read(found.data.as_bytes())) else { return false };
        let mut wanted = source.cloned().unwrap_or_else(|| json!({}));
        if let (Value::Object(wanted), Value::Object(given)) = (&mut wanted, given) {
            wanted.extend(given);
        }
        found.description == self.description && data == wanted
    }

    fn versions(&self, versions: Vec<String>) -> DescribeLaunchTemplateVersionsRequest {
        DescribeLaunchTemplateVersionsRequest { template: Some(self.template.clone()), versions }
    }
}

/// What is kept before a version is made: the highest number, and what its source says.
const LATEST: &str = "latest";
const SOURCE: &str = "source";

impl Write for CreateLaunchTemplateVersionRequest {
    const RETRY: RetryClass = RetryClass::Token;
    const TOKEN_LASTS: Duration = TOKEN;
    const LOOKS: &'static [&'static str] = &["ec2:DescribeLaunchTemplateVersions"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        TEMPLATE.check(&self.template)?;
        if let Some(long) = self.description.as_ref().filter(|text| text.chars().count() > DESCRIPTION) {
            let length = long.chars().count();
            return Err(invalid(format_args!(
                "a version's description has up to {DESCRIPTION} characters, not {length}"
            )));
        }
        let request = CreateLaunchTemplateVersion {
            client_token: token.as_str().to_owned(),
            launch_template_id: self.template.clone(),
            source_version: self.source_version.map(|number| number.to_string()),
            version_description: self.description.clone(),
            launch_template_data: document::written(&self.document()?)?,
        };
        let (answer, xml) = aws.ec2().call::<_, VersionAnswer>("CreateLaunchTemplateVersion", &request).await?;
        let made = answer.launch_template_version.zip(document::read(&xml).into_iter().next());
        let (made, data) = made.ok_or_else(|| incomplete("the version of the launch template"))?;
        let warnings = answer.warning.map(|warning| warning.error_set.item).unwrap_or_default().into_iter();
        let told = |each: wire::Reason| some(each.message).or_else(|| some(each.code));
        Ok(CreateLaunchTemplateVersionResponse {
            version: version(made, &data),
            warnings: warnings.filter_map(told).collect(),
        })
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        let source = self.source_version.map(|number| number.to_string());
        let asked = ["$Latest".to_owned()].into_iter().chain(source).collect();
        let seen = look.read(&self.versions(asked)).await?.versions;
        let latest = seen.iter().map(|version| version.number).max();
        let source = self.source_version.and_then(|number| seen.iter().find(|version| version.number == number));
        let source = source.and_then(|version| json::read(version.data.as_bytes()).ok());
        Ok(Some(json!({ LATEST: latest, SOURCE: source })))
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        if asked.age < Self::TOKEN_LASTS && !asked.given_up {
            return Ok(Fate::SendAgain);
        }
        let check = format!("see in CloudTrail whether {} made a version of {}", asked.token.as_str(), self.template);
        let before = |member: &str| asked.before.and_then(|before| before.get(member)).filter(|value| !value.is_null());
        let Some(latest) = before(LATEST).and_then(Value::as_u64) else {
            let evidence = "it is not known which versions there were before".to_owned();
            return Ok(Fate::Unknown { evidence, check, likely: None });
        };
        let mut newer = look.read(&self.versions(Vec::new())).await?.versions;
        newer.retain(|version| version.number > latest && self.may_be(version, before(SOURCE)));
        let output = |version| CreateLaunchTemplateVersionResponse { version, warnings: Vec::new() };
        Ok(match (newer.pop(), newer.len()) {
            (None, _) => Fate::NotHappened { evidence: format!("{} has no such version since", self.template) },
            (Some(version), 0) => Fate::Happened {
                evidence: format!("the version {} is the one, and no other", version.number),
                output: output(version),
            },
            (Some(version), others) => Fate::Unknown {
                evidence: format!("{} such versions were made since", others + 1),
                check,
                likely: Some(output(version)),
            },
        })
    }
}

impl Write for ModifyLaunchTemplateRequest {
    const RETRY: RetryClass = RetryClass::Token;
    const TOKEN_LASTS: Duration = TOKEN;
    const LOOKS: &'static [&'static str] = &["ec2:DescribeLaunchTemplates"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        TEMPLATE.check(&self.template)?;
        let request = ModifyLaunchTemplate {
            client_token: token.as_str().to_owned(),
            launch_template_id: self.template.clone(),
            set_default_version: self.default_version.to_string(),
        };
        let (answer, _) = aws.ec2().call::<_, TemplateAnswer>("ModifyLaunchTemplate", &request).await?;
        let changed = answer.launch_template.ok_or_else(|| incomplete("the launch template"))?;
        Ok(ModifyLaunchTemplateResponse { template: template(changed) })
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let request = DescribeLaunchTemplatesRequest { ids: vec![self.template.clone()], names: Vec::new() };
        let found = look.read(&request).await?.templates.into_iter().next();
        let found = found.ok_or_else(|| incomplete("the launch template"))?;
        let evidence = format!("the default version is {}", found.default_version);
        Ok(match found.default_version == self.default_version {
            true => Fate::Happened { output: ModifyLaunchTemplateResponse { template: found }, evidence },
            false if asked.age < Self::TOKEN_LASTS && !asked.given_up => Fate::SendAgain,
            false => Fate::NotHappened { evidence },
        })
    }
}
