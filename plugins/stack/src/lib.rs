//! Changes a CloudFormation stack and follows it: the one way of all plugins that do.
//! The main functions are [`change_set::make`], which answers what would happen, and [`follow::change`], which lets it happen. What a stack
//! can do in its state is decided in [`state`], why it failed in [`cause`], what must not happen in [`guard`]. Stages that deploy by giving a
//! stack's parameter another value do it by [`owner`].

pub mod cause;
pub mod change_set;
pub mod follow;
pub mod forecast;
pub mod guard;
pub mod look;
pub mod owner;
pub mod recover;
pub mod show;
pub mod side;
pub mod state;

pub use cause::Cause;
pub use change_set::{ChangeSet, Made};
pub use follow::Ending;
pub use guard::Protect;
pub use look::StackName;
pub use owner::Owner;
pub use recover::{Recover, Recovery, WhenBusy};
pub use side::Side;
pub use state::State;
