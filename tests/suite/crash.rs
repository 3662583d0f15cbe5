//! Real runs are killed by SIGKILL wherever they are, and resumed: nothing happens twice, nothing is lost, and the run ends
//! as if nobody had killed it.
//!
//! `KILN_KILLS=10000` draws as many kills (`cargo xtask crash` does that), `KILN_SEED=N` begins with another seed. What
//! fails names its seed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use kiln_tests::{Chance, Course, Place, Snare, Trial, courses, undone};

/// How many kills a test run draws unless it is told.
const KILLS: usize = 500;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Do `work` with each of `items`, on as many threads as there are processors, and gather what it says.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let said = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = work(item);
                    said.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                }
            });
        }
    });
    said.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The course without a kill, which ends as it should.
fn unkilled(course: &Course, code: i32) -> Trial {
    let trial = course.run(&[]);
    assert_eq!((trial.code, &trial.problems), (Some(code), &Vec::new()), "{}: {trial:#?}", course.name);
    assert_eq!(trial.differences(&course.run(&[])), Vec::<String>::new(), "{} ends otherwise each time", course.name);
    trial
}

/// Kill `course` at every boundary of every call.
fn at_every_boundary(course: &Course, code: i32) {
    let expected = unkilled(course, code);
    let calls = expected.requests.first().copied().unwrap_or_default();
    assert!(calls > 30, "{} makes {calls} calls", course.name);
    let places = (1..=calls).flat_map(|call| [Place::Before(call), Place::Between(call), Place::After(call, 500)]);
    let snares: Vec<Snare> = places.map(Snare::kill).collect();
    let kills = AtomicUsize::new(0);
    let problems = each(&snares, |snare| {
        let trial = course.run(&[*snare]);
        kills.fetch_add(trial.kills, Ordering::Relaxed);
        let differences = trial.differences(&expected);
        differences.into_iter().map(|difference| format!("{} killed {snare:?}: {difference}", course.name)).collect()
    });
    let kills = kills.into_inner();
    println!("{}: {kills} kills at the boundaries of {calls} calls", course.name);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // The last answer may find the process gone by itself.
    assert!(kills as u64 >= calls * 3 - 3, "only {kills} of {} snares caught", calls * 3);
}

#[test]
fn a_web_service_survives_a_kill_at_every_boundary_of_every_call() {
    at_every_boundary(&courses()[0], 0);
}

#[test]
fn staging_before_production_survives_a_kill_at_every_boundary_of_every_call() {
    at_every_boundary(&courses()[1], 0);
}

#[test]
fn an_undo_survives_a_kill_at_every_boundary_of_every_call() {
    at_every_boundary(&undone(), 1);
}

/// Where the processes of a run are killed, one after the other.
fn drawn(chance: &mut Chance, calls: u64) -> Vec<Snare> {
    let kills = 1 + chance.below(4);
    let mut left = calls;
    let mut snares = Vec::new();
    for _ in 0..kills {
        // A process that goes on makes only the calls that are left.
        let call = 1 + chance.below(left.max(1));
        left = left.saturating_sub(call) + 1;
        snares.push(Snare::kill(match chance.below(4) {
            0 => Place::Before(call),
            1 => Place::Between(call),
            2 => Place::After(call, chance.below(4_000)),
            _ => Place::Timed(20 + chance.below(700)),
        }));
    }
    snares
}

#[test]
fn whenever_they_are_killed_runs_come_to_the_same_end() {
    let wanted = number("KILN_KILLS").map_or(KILLS, |kills| kills as usize);
    let first = number("KILN_SEED").unwrap_or(1);
    let [web, staging] = courses();
    let all = [(web, 0), (staging, 0), (undone(), 1)].map(|(course, code)| (unkilled(&course, code), course));
    let kills = AtomicUsize::new(0);
    let seeds: Vec<u64> = (first..first + wanted as u64).collect();
    let problems = each(&seeds, |seed| {
        if kills.load(Ordering::Relaxed) >= wanted {
            return Vec::new();
        }
        let mut chance = Chance::of_seed(*seed);
        let Some((expected, course)) = all.get(chance.below(3) as usize) else { return Vec::new() };
        let snares = drawn(&mut chance, expected.requests.first().copied().unwrap_or_default());
        let trial = course.run(&snares);
        let before = kills.fetch_add(trial.kills, Ordering::Relaxed);
        if before / 500 != (before + trial.kills) / 500 {
            println!("{} kills, at seed {seed}", before + trial.kills);
        }
        let differences = trial.differences(expected);
        differences.into_iter().map(|found| format!("KILN_SEED={seed} {} {snares:?}: {found}", course.name)).collect()
    });
    println!("{} kills from seed {first} on", kills.load(Ordering::Relaxed));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(kills.into_inner() >= wanted.min(KILLS), "too few processes were caught");
}

#[test]
fn where_aws_forgets_tokens_the_harness_finds_what_happened_twice() {
    let [web, _] = courses();
    // At this pace the token is young when it is sent again: nothing but AWS's memory keeps the build from being a second.
    let forgetful = Course { world: format!("forget-tokens = true\n{}", web.world), scale: 20.0, ..web };
    let expected = unkilled(&forgetful, 0);
    // The build is started among the first calls.
    let snares: Vec<Snare> = (1..=10).map(|call| Snare::kill(Place::Between(call))).collect();
    let found = each(&snares, |snare| forgetful.run(&[*snare]).differences(&expected));
    let twice = found.iter().filter(|found| found.starts_with("too often") && found.contains("codebuild:StartBuild"));
    assert_eq!(twice.count(), 1, "a harness that cannot fail proves nothing: {found:#?}");
}
