//! At every instant of any rolling deployment, the number of tasks stays within its limits.

use proptest::prelude::*;
use serde_json::json;

use crate::world::{Outcome, web};

#[derive(Debug, Clone)]
struct Case {
    desired: usize,
    minimum: usize,
    maximum: usize,
    timings: [u64; 5],
    /// Milliseconds between one update and the next.
    updates: Vec<u64>,
    /// Part of the tasks that never start.
    failing: Option<f64>,
}

fn cases() -> impl Strategy<Value = Case> {
    let limits = (1_usize..8, 0_usize..=100, 100_usize..300);
    let limits = limits.prop_filter("the maximum is above the minimum", |(_, minimum, maximum)| maximum > minimum);
    (
        limits,
        prop::array::uniform5(0_u64..60),
        prop::collection::vec(0_u64..400_000, 1..4),
        prop::option::weighted(0.3, 0.1..0.6),
    )
        .prop_map(|((desired, minimum, maximum), timings, updates, failing)| Case {
            desired,
            minimum,
            maximum,
            timings,
            updates,
            failing,
        })
}

async fn stays_within_limits(case: Case) -> Outcome {
    let Case { desired, minimum, maximum, timings: [provision, pull, start, health, drain], updates, failing } = case;
    let behaviour = failing.map(|part| {
        format!("[[task-behaviours]]\nfamily = 'web'\nfrom-revision = 2\nprobability = {part}\nnever-starts = true")
    });
    let service = format!(
        "desired-count = {desired}\nminimum-healthy-percent = {minimum}\nmaximum-percent = {maximum}\n\
         timings = {{ provision = '{provision}s', pull = '{pull}s', start = '{start}s', health = '{health}s', \
         drain = '{drain}s' }}\n{}\n",
        behaviour.unwrap_or_default()
    );
    let world = web(&service, "")?;
    let lower = (desired * minimum).div_ceil(100);
    let upper = desired * maximum / 100;
    let check = |when: &str| -> Outcome {
        let (staying, healthy) = world.counts();
        if staying > upper || healthy < lower {
            return Err(
                format!("{when}: {staying} tasks of at most {upper}, {healthy} healthy of at least {lower}").into()
            );
        }
        Ok(())
    };
    let mut last = String::new();
    for (number, wait) in updates.iter().enumerate() {
        last = world.deploy(&format!("example.com/web:{}", number + 2), json!({})).await?;
        check("after an update")?;
        let mut left = *wait;
        while let Some(away) = world.next().filter(|away| *away <= left) {
            left -= away;
            check("in between")?;
        }
    }
    for _ in 0..2000 {
        if world.deployment(&last).await?["status"] == "SUCCESSFUL" || world.next().is_none() {
            break;
        }
        check("to the end")?;
    }
    let can_move = lower < desired || upper > desired;
    let status = world.deployment(&last).await?["status"].clone();
    if can_move != (status == "SUCCESSFUL") {
        return Err(format!("the last deployment is {status}, with {:?}", world.said().await?).into());
    }
    if can_move && world.counts() != (desired, desired) {
        return Err(format!("it ends with {:?}", world.counts()).into());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn tasks_stay_within_the_limits_at_every_instant(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|e| TestCaseError::fail(e.to_string()))?;
        runtime.block_on(stays_within_limits(case)).map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
}
