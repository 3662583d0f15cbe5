//! The access that a plugin asks for.
//! The main type is [`Permission`].

pub use crate::bindings::kiln::stage::types::Permission;

impl Permission {
    /// One IAM action, without resources yet, and why the plugin needs it.
    pub fn new(action: &str, reason: &str) -> Self {
        Self { action: action.to_owned(), resources: Vec::new(), reason: reason.to_owned() }
    }

    /// On a resource of the stage's own account and region: `service` and everything behind the account of its ARN, such as
    /// `.on("ecr", "repository/${with.repository}")`. Repeat it for several.
    #[must_use]
    pub fn on(self, service: &str, resource: &str) -> Self {
        self.on_arn(&format!("arn:${{partition}}:{service}:${{region}}:${{account}}:{resource}"))
    }

    /// On a resource whose whole ARN is given, as a template.
    #[must_use]
    pub fn on_arn(mut self, template: &str) -> Self {
        self.resources.push(template.to_owned());
        self
    }

    /// On everything: only for actions that IAM does not tie to resources.
    #[must_use]
    pub fn on_any(self) -> Self {
        self.on_arn("*")
    }

    /// On a resource of each other environment that the stage's config names, as [`on`](Self::on): in `${with.elsewhere.NAME}` it is that
    /// environment's table. See [`elsewhere`](crate::elsewhere).
    #[must_use]
    pub fn on_elsewhere(self, service: &str, resource: &str) -> Self {
        self.on_arn(&format!("elsewhere:arn:${{partition}}:{service}:${{region}}:${{account}}:{resource}"))
    }

    /// On everything in each other environment that the stage's config names, as [`on_any`](Self::on_any).
    #[must_use]
    pub fn on_any_elsewhere(self) -> Self {
        self.on_arn("elsewhere:*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_spelt_out() {
        let permission = Permission::new("ecr:DescribeImages", "to look").on("ecr", "repository/${with.repository}");
        assert_eq!(permission.resources, ["arn:${partition}:ecr:${region}:${account}:repository/${with.repository}"]);
    }
}
