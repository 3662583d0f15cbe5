//! What a service offers: a table of operations.
//!
//! The main type is [`Service`], built by one `service()` function per service.

use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::{Further, Target};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::services::ServiceId;
use crate::tags::{self, Tagged};
use crate::wire::constraints;
use crate::wire::http::Body;
use crate::wire::members::{self, Members};
use crate::wire::query::Dialect;
use crate::wire::rest::Route;

type Handler = Box<dyn Fn(&mut Ctx<'_>, &Body) -> Result<Value, AwsError> + Send + Sync>;

/// Whether an operation changes the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// It looks.
    Read,
    /// It changes something: counted as an effect.
    Write,
}

/// One operation.
pub(crate) struct Operation {
    /// The API's name, such as `DescribeImages`.
    pub(crate) name: &'static str,
    /// The IAM action, such as `ecr:DescribeImages`.
    pub(crate) action: String,
    pub(crate) access: Access,
    /// What IAM checks it against: one for each type of resource that AWS requires.
    pub(crate) targets: Vec<Target>,
    /// What else it needs a permission for.
    pub(crate) further: Vec<Further>,
    /// Where it is found, if its service speaks REST.
    pub(crate) route: Option<Route>,
    /// The code of the error that answers an input that it cannot serve.
    invalid_input: &'static str,
    reads: fn() -> Members,
    members: OnceLock<Members>,
    handler: Handler,
}

impl Operation {
    /// What it reads of its input.
    pub(crate) fn members(&self) -> &Members {
        self.members.get_or_init(self.reads)
    }

    /// Run the handler. A member that is given and not read would be ignored, which nobody asked for: it is refused.
    pub(crate) fn perform(&self, ctx: &mut Ctx<'_>, body: &Body) -> Result<Value, AwsError> {
        if let Some(path) = self.members().unread(body).first() {
            let message = format!("the simulator does not do {path} of {} yet", self.name);
            return Err(AwsError::new(self.invalid_input, message));
        }
        if let Some(broken) = constraints::check(&self.action, body) {
            return Err(AwsError::new(self.invalid_input, broken));
        }
        (self.handler)(ctx, body)
    }
}

/// A service.
pub(crate) struct Service {
    pub(crate) id: ServiceId,
    /// The IAM prefix, which is also botocore's name: `ecr`, `cloudwatch`.
    pub(crate) name: &'static str,
    /// The service in the scope of a signature: `ecr`, `monitoring`.
    pub(crate) signing_name: &'static str,
    /// What stands before the dot in `X-Amz-Target`.
    pub(crate) target: &'static str,
    /// The XML namespace of Query answers.
    pub(crate) namespace: &'static str,
    /// Which Query it speaks.
    pub(crate) dialect: Dialect,
    /// The code of the error that answers an input without a required member.
    pub(crate) invalid_input: &'static str,
    /// The member of its errors that the message stands in.
    pub(crate) text: &'static str,
    /// Whether it speaks S3's own REST.
    pub(crate) objects: bool,
    pub(crate) operations: Vec<Operation>,
}

impl Service {
    /// A service that speaks JSON with this target prefix.
    pub(crate) fn new(id: ServiceId, target: &'static str) -> Self {
        let (namespace, invalid_input, text) = ("", "ValidationException", "message");
        let (name, dialect) = (id.name(), Dialect::Common);
        Self {
            id,
            name,
            signing_name: name,
            target,
            namespace,
            dialect,
            invalid_input,
            text,
            objects: false,
            operations: Vec::new(),
        }
    }

    /// Signed under another name than the IAM prefix.
    pub(crate) fn signed_as(mut self, signing_name: &'static str) -> Self {
        self.signing_name = signing_name;
        self
    }

    /// The service also speaks Query, with this XML namespace.
    pub(crate) fn xml(mut self, namespace: &'static str) -> Self {
        self.namespace = namespace;
        self
    }

    /// It speaks S3's own REST.
    pub(crate) fn of_objects(mut self) -> Self {
        self.objects = true;
        self
    }

    /// Its Query is of this dialect.
    pub(crate) fn in_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Another code than `ValidationException` for an input without a required member.
    pub(crate) fn invalid_input(mut self, code: &'static str) -> Self {
        self.invalid_input = code;
        self
    }

    /// Another member than `message` for the message of its errors, as the service model spells it.
    pub(crate) fn text(mut self, member: &'static str) -> Self {
        self.text = member;
        self
    }

    /// An operation that looks.
    pub(crate) fn read<I, O, F>(self, name: &'static str, handler: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&mut Ctx<'_>, I) -> Result<O, AwsError> + Send + Sync + 'static,
    {
        self.with(name, Access::Read, handler)
    }

    /// The operations on tags of services that name a resource by its `resourceArn`.
    pub(crate) fn tags<S: Tagged + 'static>(self) -> Self {
        self.write("TagResource", tags::tag_resource::<S>)
            .on("{resourceArn}")
            .write("UntagResource", tags::untag_resource::<S>)
            .on("{resourceArn}")
            .read("ListTagsForResource", tags::list_tags_for_resource::<S>)
            .on("{resourceArn}")
    }

    /// An operation that changes something.
    pub(crate) fn write<I, O, F>(self, name: &'static str, handler: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&mut Ctx<'_>, I) -> Result<O, AwsError> + Send + Sync + 'static,
    {
        self.with(name, Access::Write, handler)
    }

    fn with<I, O, F>(mut self, name: &'static str, access: Access, handler: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&mut Ctx<'_>, I) -> Result<O, AwsError> + Send + Sync + 'static,
    {
        let invalid_input = self.invalid_input;
        let handler: Handler = Box::new(move |ctx, body| {
            let input = body.to::<I>(invalid_input)?;
            let output = handler(ctx, input)?;
            serde_json::to_value(output).map_err(|error| {
                AwsError::new("InternalFailure", format!("the simulator's answer: {error}")).status(500)
            })
        });
        let (action, targets) = (format!("{}:{name}", self.name), vec![Target::Everything]);
        self.operations.push(Operation {
            name,
            action,
            access,
            targets,
            further: Vec::new(),
            route: None,
            invalid_input,
            reads: members::of::<I>,
            members: OnceLock::new(),
            handler,
        });
        self
    }

    /// IAM checks the last operation against this template of ARNs (see [`Target`]), and not against `*`.
    pub(crate) fn on(self, template: &'static str) -> Self {
        self.target(Target::Named(template))
    }

    /// IAM checks the last operation against what the service has under the name in the input.
    pub(crate) fn on_found(self, find: fn(&mut Scope<'_>, &Value) -> String) -> Self {
        self.target(Target::Found(find))
    }

    /// IAM checks the last operation also against what `within` makes of each ARN of the list `member`: AWS requires both types.
    pub(crate) fn and_within(mut self, member: &'static str, within: fn(&str) -> Option<String>) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.targets.push(Target::Within(member, within));
        }
        self
    }

    /// The last operation needs no permission.
    pub(crate) fn open(self) -> Self {
        self.target(Target::Nothing)
    }

    /// The last operation needs this permission too, where the input has `member`.
    pub(crate) fn needs(mut self, member: &'static str, action: &'static str, template: &'static str) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.further.push(Further { member, action, template, passed_to: None });
        }
        self
    }

    /// The last operation hands the role in `member`, where the input has it, to the service `to`: whoever calls it must be allowed
    /// to pass that role to it.
    pub(crate) fn passes(mut self, member: &'static str, template: &'static str, to: &'static str) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.further.push(Further { member, action: "iam:PassRole", template, passed_to: Some(to) });
        }
        self
    }

    /// The members that the last operation reads of an input that it keeps as it is given.
    pub(crate) fn reads(mut self, members: &'static [&'static str], kept: &'static [&'static str]) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            let all = members.iter().chain(kept).map(|member| (*member, Members::Whole));
            operation.members = OnceLock::from(Members::Structure(all.collect()));
        }
        self
    }

    /// The last operation is found at this method and path, in which `{Member}` stands for a member of the input.
    pub(crate) fn at(mut self, method: &'static str, path: &'static str) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.route = Some(Route { method, path, query: &[], status: 200 });
        }
        self
    }

    /// What the query calls members of the last operation's input that have other names there.
    pub(crate) fn named_in_query(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        if let Some(route) = self.operations.last_mut().and_then(|operation| operation.route.as_mut()) {
            route.query = names;
        }
        self
    }

    /// The status of the last operation's answer.
    pub(crate) fn answers(mut self, status: u16) -> Self {
        if let Some(route) = self.operations.last_mut().and_then(|operation| operation.route.as_mut()) {
            route.status = status;
        }
        self
    }

    fn target(mut self, target: Target) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.targets = vec![target];
        }
        self
    }

    /// Whether the service has the error codes of Query, whatever protocol it is asked in.
    pub(crate) fn speaks_query(&self) -> bool {
        !self.namespace.is_empty()
    }

    pub(crate) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.name == name)
    }
}

/// The output of an operation that has none in the service model: each protocol has its own way to say nothing.
#[derive(Serialize)]
pub(crate) struct Empty;
