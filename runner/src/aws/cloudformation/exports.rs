//! What stacks export, and who imports it.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation).

use super::call;
use super::wire::{self, ListExports, ListImports};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::limits::Pages;
use crate::aws::operation::{Read, heads};
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    Exported, ListExportsRequest, ListExportsResponse, ListImportsRequest, ListImportsResponse,
};

heads! {
    ListExportsRequest => ListExportsResponse: "cloudformation:ListExports" on |_, _| [];
    ListImportsRequest => ListImportsResponse: "cloudformation:ListImports" on |_, _| [];
}

impl Read for ListExportsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let mut pages = Pages::of("exports");
        while let Some(next_token) = pages.next()? {
            let answer: wire::ExportsAnswer = call(aws, "ListExports", &ListExports { next_token }).await?;
            let ours = |item: &wire::ExportItem| self.stack_id.as_ref().is_none_or(|id| *id == item.exporting_stack_id);
            let items = answer.exports.member.into_iter().filter(ours);
            let record = |item: wire::ExportItem| Exported {
                name: item.name,
                value: item.value,
                stack_id: item.exporting_stack_id,
            };
            pages.add(items.map(record).collect(), answer.next_token);
        }
        Ok(ListExportsResponse { exports: pages.all() })
    }
}

impl Read for ListImportsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        if self.name.is_empty() || self.name.len() > 255 {
            return Err(invalid("the name of an export has 1 to 255 letters"));
        }
        let mut pages = Pages::of("imports");
        while let Some(next_token) = pages.next()? {
            let request = ListImports { export_name: self.name.clone(), next_token };
            let answer: wire::ImportsAnswer = call(aws, "ListImports", &request).await?;
            pages.add(answer.imports.member, answer.next_token);
        }
        Ok(ListImportsResponse { stacks: pages.all() })
    }
}
