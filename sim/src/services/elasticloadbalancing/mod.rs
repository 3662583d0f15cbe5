//! Elastic Load Balancing, version 2: load balancers, what they forward to, and how healthy that is with time.

mod describe;
mod events;
mod health;
mod operations;
mod providing;
mod record;
mod seeds;
mod state;
mod targets;

pub(crate) use events::{Event, happen};
pub(crate) use health::{deregister, gone, phase_of, register};
pub(crate) use operations::service;
pub(crate) use providing::{is_there, make_balancer, make_group, make_listener, make_rule, remove};
pub(crate) use record::Taken;
pub(crate) use seeds::{LoadBalancerSeed, TargetGroupSeed, TrafficBehaviourSeed, plant};
pub(crate) use state::{State, TargetPhase, named};
