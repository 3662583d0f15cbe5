//! Acting in other environments of the pipeline than the stage's own: those that its config names in the list `elsewhere`, each table
//! with the environment's name in `environment`. [`Permission::on_elsewhere`](crate::Permission::on_elsewhere) says what the plugin may do
//! there.
//! The main function is [`within`].

pub use crate::bindings::kiln::environments::environments::{Environment, elsewhere as all};
use crate::bindings::kiln::environments::environments::{enter, leave};
use crate::{Failure, FailureKind};

/// Make all AWS calls of `act` in another environment, in its role.
pub fn within<T>(name: &str, act: impl FnOnce(&Environment) -> Result<T, Failure>) -> Result<T, Failure> {
    let environment = enter(name).map_err(|why| Failure::new(FailureKind::Config, why))?;
    let result = act(&environment);
    leave();
    result
}
