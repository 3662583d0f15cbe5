//! What protects stacks: policies, and the protection against deletion.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation).

use serde_json::Value;

use super::operations::STACKS;
use super::wire::{self, GetStackPolicy, Nothing, SetStackPolicy, UpdateTerminationProtection};
use super::{STACK, call, some, stack};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::look::Look;
use crate::aws::operation::{Fate, Read, RetryClass, Token, Unanswered, Write, heads};
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    DescribeStacksRequest, GetStackPolicyRequest, GetStackPolicyResponse, SetStackPolicyRequest,
    SetStackPolicyResponse, UpdateTerminationProtectionRequest, UpdateTerminationProtectionResponse,
};
use crate::json;

heads! {
    GetStackPolicyRequest => GetStackPolicyResponse: "cloudformation:GetStackPolicy" on |it, at| stack(at, &it.stack);
    SetStackPolicyRequest => SetStackPolicyResponse: "cloudformation:SetStackPolicy" on |it, at| stack(at, &it.stack);
    UpdateTerminationProtectionRequest => UpdateTerminationProtectionResponse:
        "cloudformation:UpdateTerminationProtection" on |it, at| stack(at, &it.stack);
}

/// A policy has at most so many bytes.
const LONGEST: usize = 16_384;

impl Read for GetStackPolicyRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        let request = GetStackPolicy { stack_name: self.stack.clone() };
        let answer: wire::StackPolicyAnswer = call(aws, "GetStackPolicy", &request).await?;
        Ok(GetStackPolicyResponse { body: some(answer.stack_policy_body) })
    }
}

/// The policy that a text is, whatever its spaces.
fn policy(text: &str) -> Option<Value> {
    json::read(text.as_bytes()).ok()
}

impl Write for SetStackPolicyRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["cloudformation:GetStackPolicy"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        if self.body.len() > LONGEST {
            let told = format_args!("the policy has {} bytes; it takes up to {LONGEST}", self.body.len());
            return Err(invalid(told));
        }
        let request = SetStackPolicy { stack_name: self.stack.clone(), stack_policy_body: self.body.clone() };
        let Nothing {} = call(aws, "SetStackPolicy", &request).await?;
        Ok(SetStackPolicyResponse { stack: self.stack.clone() })
    }

    /// Somebody may have given it another one meanwhile.
    fn means_the_same_later(&self) -> bool {
        false
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let found = look.read(&GetStackPolicyRequest { stack: self.stack.clone() }).await?.body;
        let is_ours = found.as_deref().and_then(policy) == policy(&self.body) && found.is_some();
        Ok(match is_ours {
            true => Fate::Happened {
                output: SetStackPolicyResponse { stack: self.stack.clone() },
                evidence: "the stack has this policy".to_owned(),
            },
            false => Fate::NotHappened { evidence: "the stack has another policy, or none".to_owned() },
        })
    }
}

impl Write for UpdateTerminationProtectionRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &[STACKS];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        let request =
            UpdateTerminationProtection { stack_name: self.stack.clone(), enable_termination_protection: self.enabled };
        let answer: wire::ProtectionAnswer = call(aws, "UpdateTerminationProtection", &request).await?;
        Ok(UpdateTerminationProtectionResponse {
            stack_id: some(answer.stack_id).unwrap_or_else(|| self.stack.clone()),
        })
    }

    /// Somebody may have changed it meanwhile.
    fn means_the_same_later(&self) -> bool {
        false
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let found = look.read(&DescribeStacksRequest { stack: Some(self.stack.clone()) }).await?;
        Ok(match found.stacks.into_iter().next() {
            Some(stack) if stack.termination_protection == self.enabled => Fate::Happened {
                output: UpdateTerminationProtectionResponse { stack_id: stack.id },
                evidence: format!("the stack's termination protection is {}", if self.enabled { "on" } else { "off" }),
            },
            _ => Fate::NotHappened { evidence: "the stack's termination protection is otherwise".to_owned() },
        })
    }
}
