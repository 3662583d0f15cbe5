//! Real runs are ended by SIGKILL, and by SIGTERM, wherever they are, and resumed: nothing happens twice, nothing is lost or
//! altered, nothing is late, and the run ends as if nobody had ended it.
//!
//! `KILN_KILLS=10000` draws as many kills of real pipelines, `KILN_SHAPES=10000` as many ends of runs of random shape
//! (`cargo xtask crash` draws both), `KILN_SEED=N` begins with another seed. What fails names its seed; `KILN_SEED=N
//! KILN_SHAPES=1` draws that shape alone and prints it. `KILN_APART=1` kills runs of each plugin at every boundary of every call, and
//! not at some of them.

mod stacks;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use kiln_tests::{Answers, By, Chance, Course, Place, Shape, Snare, Trial, courses, shape, undone};

/// How many kills a test run draws unless it is told.
const KILLS: usize = 500;

/// How often it ends runs of random shape.
const SHAPES: usize = 200;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Do `work` with each of `items`, on as many threads as there are processors, and gather what it says.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    on_threads(processors(), items, work)
}

fn on_threads<T: Sync>(threads: usize, items: &[T], work: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let said = Mutex::new(Vec::new());
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
    at_boundaries(course, code, 1);
}

/// Kill `course` at each `apart`th boundary of its calls, or as `KILN_APART` says.
pub(crate) fn at_boundaries_by_seed(course: &Course, code: i32, apart: u64) {
    at_boundaries(course, code, number("KILN_APART").unwrap_or(apart));
}

/// Kill `course` at each `apart`th boundary of its calls, beginning where the seed says.
fn at_boundaries(course: &Course, code: i32, apart: u64) {
    let expected = unkilled(course, code);
    let calls = expected.requests.first().copied().unwrap_or_default();
    assert!(calls > 20, "{} makes {calls} calls", course.name);
    let places = (1..=calls).flat_map(|call| [Place::Before(call), Place::Between(call), Place::After(call, 500)]);
    let seed = number("KILN_SEED").unwrap_or(1);
    let drawn = (0..).zip(places).filter(|(index, _)| index % apart == seed % apart).map(|(_, place)| place);
    let snares: Vec<Snare> = drawn.map(Snare::kill).collect();
    let kills = AtomicUsize::new(0);
    let problems = each(&snares, |snare| {
        let trial = course.run(&[*snare]);
        kills.fetch_add(trial.kills, Ordering::Relaxed);
        let differences = trial.differences(&expected);
        differences.into_iter().map(|difference| format!("{} killed {snare:?}: {difference}", course.name)).collect()
    });
    let kills = kills.into_inner();
    println!("{}: {kills} kills at the boundaries of {calls} calls, KILN_SEED={seed}", course.name);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // The last answer may find the process gone by itself.
    assert!(kills + 3 >= snares.len(), "only {kills} of {} snares caught", snares.len());
}

#[test]
fn a_web_service_survives_a_kill_at_every_boundary_of_every_call() {
    at_every_boundary(&courses()[0], 0);
}

#[test]
fn staging_before_production_survives_kills_at_the_boundaries_of_its_calls() {
    at_boundaries_by_seed(&courses()[1], 0, 3);
}

/// Its run is long: each boundary comes in turn, by the seed.
#[test]
fn a_fleet_of_machines_survives_kills_at_the_boundaries_of_its_calls() {
    at_boundaries_by_seed(&courses()[2], 0, 12);
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
    let [web, staging, fleet] = courses();
    let all =
        [(web, 0), (staging, 0), (fleet, 0), (undone(), 1)].map(|(course, code)| (unkilled(&course, code), course));
    let kills = AtomicUsize::new(0);
    let seeds: Vec<u64> = (first..first + wanted as u64).collect();
    let problems = each(&seeds, |seed| {
        if kills.load(Ordering::Relaxed) >= wanted {
            return Vec::new();
        }
        let mut chance = Chance::of_seed(*seed);
        let Some((expected, course)) = all.get(chance.below(4) as usize) else { return Vec::new() };
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

/// Where the processes of a run of a shape of so many stages are ended: at their waits as often as anywhere else. That follows
/// from the seed alone, and not from how many polls there are in a run.
fn drawn_for(chance: &mut Chance, stages: u64) -> Vec<Snare> {
    let (mut left, waits) = (7 * stages, 2 * stages);
    let mut snares = Vec::new();
    for _ in 0..=chance.below(4) {
        let call = 1 + chance.below(left.max(1));
        left = left.saturating_sub(call) + 1;
        let place = match chance.below(8) {
            0 => Place::Before(call),
            1 => Place::Between(call),
            2 => Place::After(call, chance.below(4_000)),
            3 => Place::Timed(20 + chance.below(900)),
            _ => Place::Waiting(1 + chance.below(waits), chance.below(60)),
        };
        snares.push(Snare { place, by: if chance.below(4) == 0 { By::Stop } else { By::Kill } });
    }
    snares
}

/// How often the runs of one shape are ended.
const TRIALS: usize = 2;

/// Of one trial no more is said: what comes first leads to the rest.
const MOST_SAID: usize = 3;

/// End runs of the shape of `seed`. Answers how often it was done, and what went wrong.
fn tried(seed: u64, answers: Answers) -> (usize, Vec<String>) {
    let Shape { course, stages } = shape(seed, answers);
    let expected = course.run(&[]);
    let mut problems = expected.problems.clone();
    let mut ends = 0;
    let mut chance = Chance::of_seed(seed);
    for _ in 0..TRIALS {
        let snares = drawn_for(&mut chance, stages);
        let trial = course.run(&snares);
        ends += trial.kills + trial.stops;
        let differences = trial.differences(&expected).into_iter().take(MOST_SAID);
        problems.extend(differences.map(|found| format!("{snares:?}: {found}")));
    }
    let named = |found| format!("KILN_SEED={seed} {}: {found}", course.name);
    (ends, problems.into_iter().map(named).collect())
}

/// Whether the secrets of random shapes hold what AWS answers, too, unless `KILN_ANSWERS` says `secrets` or `none`.
const ANSWERS: Answers = Answers::HoldSecrets;

fn answers() -> Answers {
    match std::env::var("KILN_ANSWERS").as_deref() {
        Ok("secrets") => Answers::HoldSecrets,
        Ok("none") => Answers::HoldNone,
        _ => ANSWERS,
    }
}

#[test]
fn whatever_their_shape_and_whenever_they_are_ended_runs_come_to_the_same_end() {
    let wanted = number("KILN_SHAPES").map_or(SHAPES, |ends| ends as usize);
    let first = number("KILN_SEED").unwrap_or(1);
    if wanted == 1 {
        let Shape { course, .. } = shape(first, answers());
        println!("{}\n\n{}", course.pipeline, course.world);
    }
    let ends = AtomicUsize::new(0);
    let seeds: Vec<u64> = (first..first + wanted as u64).collect();
    // Most of the time they wait.
    let problems = on_threads(4 * processors(), &seeds, |seed| {
        if ends.load(Ordering::Relaxed) >= wanted {
            return Vec::new();
        }
        let (more, problems) = tried(*seed, answers());
        let before = ends.fetch_add(more, Ordering::Relaxed);
        if before / 500 != (before + more) / 500 {
            println!("{} ends of runs of random shape, at seed {seed}", before + more);
        }
        problems
    });
    println!("{} ends of runs of random shape from seed {first} on", ends.load(Ordering::Relaxed));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(ends.into_inner() >= wanted.min(SHAPES), "too few processes were caught");
}

#[test]
fn where_aws_forgets_tokens_the_harness_finds_what_happened_twice() {
    let [web, ..] = courses();
    // At this pace the token is young when it is sent again: nothing but AWS's memory keeps the build from being a second.
    let forgetful = Course { world: format!("forget-tokens = true\n{}", web.world), scale: 20.0, ..web };
    let expected = unkilled(&forgetful, 0);
    // The build is started among the first calls.
    let snares: Vec<Snare> = (1..=10).map(|call| Snare::kill(Place::Between(call))).collect();
    let found = each(&snares, |snare| forgetful.run(&[*snare]).differences(&expected));
    let twice = found.iter().filter(|found| found.starts_with("too often") && found.contains("codebuild:StartBuild"));
    assert_eq!(twice.count(), 1, "a harness that cannot fail proves nothing: {found:#?}");
}
