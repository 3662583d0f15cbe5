//! What stacks give to one another.
//!
//! The main functions are [`list_exports`] and [`list_imports`].

use serde::{Deserialize, Serialize};

use super::finishing::imports;
use super::stack::StackOutput;
use super::state::invalid;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

/// The names of the stacks that import an export.
fn importers(scope: &mut Scope<'_>, export: &str) -> Vec<String> {
    let stacks = &scope.place().cloudformation.stacks;
    let there: Vec<(String, String)> =
        stacks.values().filter(|stack| stack.is_there()).map(|stack| (stack.id.clone(), stack.name.clone())).collect();
    there.into_iter().filter(|(id, _)| imports(scope, id).contains(export)).map(|(_, name)| name).collect()
}

/// Why these outputs cannot be those of a stack: an export has another owner, or is used as it was.
pub(super) fn refused(scope: &mut Scope<'_>, id: &str, outputs: &[StackOutput]) -> Option<String> {
    let stacks = &scope.place().cloudformation.stacks;
    for output in outputs {
        let Some(name) = &output.export_name else { continue };
        let mut others = stacks.values().filter(|stack| stack.is_there() && stack.id != id);
        let owner = others.find(|stack| stack.outputs.iter().any(|other| other.export_name.as_ref() == Some(name)));
        if let Some(owner) = owner {
            return Some(format!(
                "Export with name {name} is already exported by stack {}. Rollback requested by user.",
                owner.name
            ));
        }
    }
    let before = stacks.get(id).map(|stack| stack.outputs.clone()).unwrap_or_default();
    for old in before {
        let Some(name) = &old.export_name else { continue };
        let new = outputs.iter().find(|output| output.export_name.as_ref() == Some(name));
        let what = match new {
            Some(new) if new.output_value == old.output_value => continue,
            Some(_) => "updated",
            None => "deleted",
        };
        let users = importers(scope, name);
        if !users.is_empty() {
            return Some(format!("Export {name} cannot be {what} as it is in use by {}", users.join(" and ")));
        }
    }
    None
}

/// Why a stack cannot be deleted: others import what it exports.
pub(super) fn holds(scope: &mut Scope<'_>, id: &str) -> Option<String> {
    let outputs = scope.place().cloudformation.stacks.get(id)?.outputs.clone();
    outputs.into_iter().filter_map(|output| output.export_name).find_map(|name| {
        let users = importers(scope, &name);
        (!users.is_empty())
            .then(|| format!("Export {name} cannot be deleted as it is in use by {}", users.join(" and ")))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListExports {
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExportList {
    exports: Vec<StackExport>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StackExport {
    exporting_stack_id: String,
    name: String,
    value: String,
}

pub(super) fn list_exports(ctx: &mut Ctx<'_>, input: ListExports) -> Result<ExportList, AwsError> {
    let stacks = ctx.place().cloudformation.stacks.values().filter(|stack| stack.is_there());
    let all = stacks.flat_map(|stack| {
        let exported =
            stack.outputs.iter().filter_map(|output| Some((output.export_name.clone()?, output.output_value.clone())));
        exported.map(|(name, value)| StackExport { exporting_stack_id: stack.id.clone(), name, value })
    });
    let mut all: Vec<StackExport> = all.collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let page = ctx.page("exports", all, 100, input.next_token.as_deref(), |export| &export.name);
    let (exports, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    Ok(ExportList { exports, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListImports {
    export_name: String,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImportList {
    imports: Vec<String>,
    next_token: Option<String>,
}

pub(super) fn list_imports(ctx: &mut Ctx<'_>, input: ListImports) -> Result<ImportList, AwsError> {
    let name = &input.export_name;
    let mut stacks = ctx.place().cloudformation.stacks.values().filter(|stack| stack.is_there());
    if !stacks.any(|stack| stack.outputs.iter().any(|output| output.export_name.as_ref() == Some(name))) {
        return Err(invalid(format!("Export '{name}' does not exist.")));
    }
    let users = importers(ctx, name);
    if users.is_empty() {
        return Err(invalid(format!("Export '{name}' is not imported by any stack.")));
    }
    let page = ctx.page("imports", users, 100, input.next_token.as_deref(), |name| name);
    let (imports, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    Ok(ImportList { imports, next_token })
}
