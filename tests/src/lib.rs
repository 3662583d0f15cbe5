//! Fixtures of the whole-program tests: a simulated account, the real binary, what came of a run.
//!
//! The main types are [`Account`], a simulated AWS on loopback, and [`Kiln`], a command line to be run in it.

mod account;
mod backend;
mod chance;
pub mod component;
mod courses;
mod crash;
mod dynamo;
mod guest;
mod kiln;
mod loopback;
mod rehearsing;
mod scripted;
mod shapes;
mod shared;
mod still;
mod trap;
mod trial;
mod world;

pub use account::Account;
pub use backend::{Backend, Served};
pub use chance::Chance;
pub use courses::{courses, undone};
pub use crash::Course;
pub use dynamo::{Dynamo, Unsteady, Weather};
pub use guest::{ANYTHING, Guest};
pub use kiln::{Kiln, Outcome, Running, beside_the_test, binary, repository};
pub use loopback::{Loopback, Proxy, Secured};
pub use rehearsing::{plugins, plugins_with, rehearsal, web_service};
pub use scripted::{script, scripted};
pub use shapes::{Answers, Shape, shape};
pub use shared::SharedAccount;
pub use still::{Ended, Still, run_in};
pub use trap::{By, Place, Snare, Traffic, Trap};
pub use trial::Trial;
pub use world::World;
