//! The IAM actions that stages can come to need: those of the operations that the contract offers, and what IAM checks beside them.
//!
//! The main function is [`actions`].

use std::collections::BTreeSet;

use super::operation::{Operation as _, PASS_ROLE, Write as _};

macro_rules! list {
    ($($(#[$doc:meta])* $interface:ident in $package:ident by $sdk:ident {
        $($access:ident $function:ident($request:ident),)*
    })*) => {
        /// Sorted: each operation's own, what IAM checks for the same call, and the reads by which a lost answer is looked up.
        pub(crate) fn actions() -> BTreeSet<&'static str> {
            let mut actions = BTreeSet::new();
            $($(list!($access crate::contract::bindings::kiln::$package::$interface::$request, actions);)*)*
            // What a guest asks for as one call, and the host sends as several.
            list!(write super::ecr_promote::CopyPart, actions);
            actions
        }
    };
    (read $request:ty, $actions:ident) => {
        $actions.insert(<$request>::ACTION);
        $actions.extend(<$request>::REQUIRES);
        $actions.extend(<$request>::PASSES_TO.map(|_| PASS_ROLE));
    };
    (write $request:ty, $actions:ident) => {
        list!(read $request, $actions);
        $actions.extend(<$request>::LOOKS);
    };
}

super::services!(list);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_what_the_operations_say_of_themselves() {
        let actions = actions();
        for action in
            ["ecr:DescribeImages", "ecs:UpdateService", "iam:PassRole", "ecs:TagResource", "lambda:GetFunction"]
        {
            assert!(actions.contains(action), "{action}");
        }
        for action in ["ecr:DescribeImage", "ecr:DeleteRepository", "secretsmanager:GetSecretValue"] {
            assert!(!actions.contains(action), "{action}");
        }
    }
}
