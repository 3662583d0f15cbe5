//! Stacks are brought back, and deleted.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation). AWS does not say for how long it knows a client token,
//! so each is looked up before it is sent again: by the token in the stack's events.

use serde_json::{Value, json};

use super::events::{EVENTS, operation_fate};
use super::wire::{CancelUpdateStack, ContinueUpdateRollback, DeleteStack, RollbackStack};
use super::{SERVICE, STACK, begin, check_logical, check_role, passed, stack};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, ErrorKind};
use crate::aws::look::Look;
use crate::aws::operation::{Fate, Operation, RetryClass, Token, Unanswered, Write, heads};
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    CancelUpdateStackRequest, ContinueUpdateRollbackRequest, DeleteStackRequest, DescribeStacksRequest,
    Operation as Begun, RollbackStackRequest,
};
use crate::types::{Arn, Place};

heads! {
    CancelUpdateStackRequest => Begun: "cloudformation:CancelUpdateStack" on |it, at| stack(at, &it.stack);
}

/// An operation on one stack, which may name a role.
macro_rules! with_role {
    ($($request:ident: $action:literal;)*) => {
        $(
            impl Operation for $request {
                type Output = Begun;
                const ACTION: &'static str = $action;
                const PASSES_TO: Option<&'static str> = Some(SERVICE);

                fn resources(&self, at: &Place) -> Vec<Arn> {
                    stack(at, &self.stack).into()
                }

                fn passes(&self, _: &Place) -> Vec<Arn> {
                    passed(self.role.as_ref())
                }
            }
        )*
    };
}

with_role! {
    ContinueUpdateRollbackRequest: "cloudformation:ContinueUpdateRollback";
    RollbackStackRequest: "cloudformation:RollbackStack";
    DeleteStackRequest: "cloudformation:DeleteStack";
}

/// The read by which a stack is looked up.
pub(super) const STACKS: &str = "cloudformation:DescribeStacks";

/// What is kept of a stack before it is operated on.
const ID: &str = "id";

fn begun(token: &Token) -> Begun {
    Begun { token: token.as_str().to_owned() }
}

/// A stack that may be gone when its operation is looked up: by its id it is found then, too.
async fn known(look: &Look, given: &str) -> Result<Option<Value>, AwsError> {
    let request = DescribeStacksRequest { stack: Some(given.to_owned()) };
    match look.read(&request).await {
        Ok(found) => Ok(Some(json!({ ID: found.stacks.into_iter().next().map(|stack| stack.id) }))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Some(json!({ ID: null }))),
        Err(error) => Err(error),
    }
}

/// What became of an operation on a stack.
async fn fate(look: &Look, given: &str, asked: &Unanswered<'_>) -> Result<Fate<Begun>, AwsError> {
    let id = asked.before.and_then(|before| before.get(ID)?.as_str()).unwrap_or(given);
    let gone = || Fate::NotHappened { evidence: "the stack is not there".to_owned() };
    Ok(operation_fate(look, id, asked).await?.unwrap_or_else(gone))
}

impl Write for CancelUpdateStackRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &[STACKS, EVENTS];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        let request =
            CancelUpdateStack { stack_name: self.stack.clone(), client_request_token: token.as_str().to_owned() };
        begin(aws, "CancelUpdateStack", &request).await?;
        Ok(begun(token))
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        known(look, &self.stack).await
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        fate(look, &self.stack, asked).await
    }
}

impl Write for ContinueUpdateRollbackRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &[STACKS, EVENTS];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        check_role(self.role.as_ref())?;
        check_logical(&self.skip)?;
        let request = ContinueUpdateRollback {
            stack_name: self.stack.clone(),
            client_request_token: token.as_str().to_owned(),
            role_arn: self.role.clone(),
            resources_to_skip: self.skip.clone(),
        };
        begin(aws, "ContinueUpdateRollback", &request).await?;
        Ok(begun(token))
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        known(look, &self.stack).await
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        fate(look, &self.stack, asked).await
    }
}

impl Write for RollbackStackRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &[STACKS, EVENTS];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        check_role(self.role.as_ref())?;
        let request = RollbackStack {
            stack_name: self.stack.clone(),
            client_request_token: token.as_str().to_owned(),
            role_arn: self.role.clone(),
            retain_except_on_create: self.retain_except_on_create.then_some(true),
        };
        begin(aws, "RollbackStack", &request).await?;
        Ok(begun(token))
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        known(look, &self.stack).await
    }

    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        fate(look, &self.stack, asked).await
    }
}

impl Write for DeleteStackRequest {
    const RETRY: RetryClass = RetryClass::Unsafe;
    const LOOKS: &'static [&'static str] = &[STACKS, EVENTS];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        check_role(self.role.as_ref())?;
        check_logical(&self.retain)?;
        let request = DeleteStack {
            stack_name: self.stack.clone(),
            client_request_token: token.as_str().to_owned(),
            role_arn: self.role.clone(),
            retain_resources: self.retain.clone(),
        };
        begin(aws, "DeleteStack", &request).await?;
        Ok(begun(token))
    }

    async fn before(&self, look: &Look) -> Result<Option<Value>, AwsError> {
        known(look, &self.stack).await
    }

    /// A stack that was not there before was not deleted by this call; by its name it may be somebody's new one now.
    async fn fate(&self, look: &Look, asked: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let was_there = asked.before.and_then(|before| before.get(ID)).is_none_or(|id| !id.is_null());
        match was_there {
            true => fate(look, &self.stack, asked).await,
            false => Ok(Fate::Happened {
                output: begun(asked.token),
                evidence: "there was no stack to delete when it was sent".to_owned(),
            }),
        }
    }
}
