//! Whatever a run waits for, it is killed and told to end there, and goes on: at once, and as if nobody had ended it.
//!
//! Each test names a wait. `crash` ends runs of random shape at their waits, too.

use kiln_tests::{Course, Place, Snare, script, scripted};

/// How fast the clocks go where a wait is one of kiln's or a stage's own: a minute is a fifth of a second.
const FAST: f64 = 300.0;

/// How fast they go where a wait is a second or two.
const SLOW: f64 = 10.0;

/// In the wait of a stage that puts an image before it.
const BEHIND_A_PUT: Place = Place::Asked("PutImage", 60);

/// A pipeline of the stage `only`, whose script is this, with further lines.
fn scripted_stage(name: &str, run: &str, undo: &str, more: &str, world: &str, scale: f64) -> Course {
    let with = script("web", run, undo);
    let pipeline = format!(
        "[pipeline]\nname = \"waits\"\nregion = \"us-west-2\"\n[inputs.commit]\n\
         [environments.production]\naccount = \"111111111111\"\nrole = \"arn:aws:iam::111111111111:role/deployer\"\n\
         [plugins.guest]\npath = \"guest.wasm\"\n\
         [stages.only]\nplugin = \"guest\"\ntimeout = \"2d\"\nwith = {{ {with} }}\n{more}"
    );
    let world = format!(
        "account = \"111111111111\"\nregion = \"us-west-2\"\nseed = 7\n[[roles]]\nname = \"deployer\"\n\
         [[repositories]]\nname = \"web\"\n{world}"
    );
    Course::new(name, pipeline, world, scale).file("guest.wasm", scripted("a note").build())
}

/// End runs of `course` at `places`, one process after the other: by SIGKILL, and by SIGTERM at the last place.
fn ended_at(course: &Course, code: i32, places: &[&[Place]]) {
    let expected = course.run(&[]);
    assert_eq!((expected.code, &expected.problems), (Some(code), &Vec::new()), "{}: {expected:#?}", course.name);
    for places in places {
        for last in [Snare::kill, Snare::stop] {
            let (end, before) = places.split_last().unwrap_or_else(|| panic!("no place"));
            let snares: Vec<Snare> = before.iter().copied().map(Snare::kill).chain([last(*end)]).collect();
            let trial = course.run(&snares);
            assert_eq!(trial.differences(&expected), Vec::<String>::new(), "{} {snares:?}", course.name);
            assert_eq!(trial.kills + trial.stops, snares.len(), "{} {snares:?} did not catch: {trial:#?}", course.name);
        }
    }
}

#[test]
fn a_rest_between_two_attempts() {
    let retry = "retry = { attempts = 3, backoff = \"60s\", jitter = \"none\" }\n";
    let course = scripted_stage("rest", "paf2pb", "", retry, "", FAST);
    // In the first rest, late in it, and in both of one run.
    let late = Place::Asked("PutImage", 150);
    ended_at(&course, 0, &[&[BEHIND_A_PUT], &[late], &[BEHIND_A_PUT, BEHIND_A_PUT], &[late, late]]);
}

#[test]
fn a_rest_beside_a_stage_that_is_replayed() {
    let more = format!(
        "retry = {{ attempts = 2, backoff = \"60s\", jitter = \"none\" }}\n\
         [stages.beside]\nplugin = \"guest\"\ntimeout = \"2d\"\nwith = {{ {} }}\n",
        script("other", "pas70pb", "")
    );
    let course = scripted_stage("rest beside", "paf1pb", "", &more, "[[repositories]]\nname = \"other\"\n", FAST);
    ended_at(&course, 0, &[&[BEHIND_A_PUT], &[Place::Asked("PutImage", 100)]]);
}

#[test]
fn a_timer_of_a_stage() {
    let course = scripted_stage("timer", "pas60pb", "", "", "", FAST);
    ended_at(&course, 0, &[&[BEHIND_A_PUT], &[BEHIND_A_PUT, Place::Timed(60)]]);
}

#[test]
fn a_timer_of_an_undo() {
    let course = scripted_stage("undo", "x", "pas60pb", "on-failure = \"undo\"\n", "", FAST);
    ended_at(&course, 1, &[&[BEHIND_A_PUT], &[Place::Asked("PutImage", 150)], &[BEHIND_A_PUT, Place::Timed(60)]]);
}

#[test]
fn the_polls_of_a_stage() {
    let more = "[stages.verify]\nplugin = \"verify-alarms\"\ntimeout = \"2d\"\nafter = [\"only\"]\n\
                with = { alarms = [\"quiet\"], bake = \"45s\", poll = \"15s\" }\n";
    let course = scripted_stage("polls", "pa", "", more, "[[alarms]]\nname = \"quiet\"\nstate = \"OK\"\n", FAST);
    ended_at(&course, 0, &[&[Place::Waiting(1, 0)], &[Place::Waiting(2, 10)], &[Place::Waiting(3, 0)]]);
}

#[test]
fn a_pause_before_a_call_is_sent_again_and_a_slot_of_a_service_that_throttles() {
    let faults = "[[faults]]\noperation = \"ecr:DescribeImages\"\nkind = \"throttle\"\nnth = 2\ntimes = 3\n";
    let course = scripted_stage("pacing", "dpadpbd", "", "", faults, SLOW);
    ended_at(&course, 0, &[&[Place::Asked("DescribeImages", 60)], &[Place::Asked("DescribeImages", 250)]]);
}

#[test]
fn a_pause_before_a_write_whose_answer_was_lost() {
    let faults = "[[faults]]\noperation = \"ecr:PutImage\"\nkind = \"reset-after\"\nnth = 1\ntimes = 2\n";
    let course = scripted_stage("doubt", "pas02pb", "", "", faults, SLOW);
    ended_at(&course, 0, &[&[Place::Asked("PutImage", 10)], &[Place::Asked("PutImage", 40)]]);
}

#[test]
fn credentials_that_come_late() {
    let slow = "[[faults]]\noperation = \"sts:AssumeRole\"\nkind = \"delay\"\ndelay = \"60s\"\n";
    let course = scripted_stage("credentials", "papb", "", "environment = \"production\"\n", slow, FAST);
    ended_at(&course, 0, &[&[Place::During(2, 0)], &[Place::During(2, 100)]]);
}

#[test]
fn credentials_that_are_refused_at_first() {
    let refused = "[[faults]]\noperation = \"sts:AssumeRole\"\nkind = \"unavailable\"\ntimes = 3\n";
    let course = scripted_stage("refused", "papb", "", "environment = \"production\"\n", refused, SLOW);
    ended_at(&course, 0, &[&[Place::Waiting(1, 0)], &[Place::Waiting(2, 0)]]);
}

#[test]
fn the_gate_that_opens_when_the_run_knows_who_it_is() {
    // Each process asks. The first that goes on is answered very late, and its stage waits at the gate until then.
    let slow = "[[faults]]\noperation = \"sts:GetCallerIdentity\"\nkind = \"delay\"\ndelay = \"45m\"\nnth = 2\n";
    let course = scripted_stage("gate", "pas60pb", "", "", slow, FAST);
    ended_at(&course, 0, &[&[BEHIND_A_PUT, Place::During(1, 0)], &[BEHIND_A_PUT, Place::During(1, 100)]]);
}

/// A run that asks for a secret, which is answered late as `fault` says.
fn with_a_secret(fault: &str) -> Course {
    let world = format!(
        "[[secrets]]\nname = \"token\"\nvalue = \"a-value-of-some-length\"\n\
         [[faults]]\noperation = \"secretsmanager:GetSecretValue\"\nkind = \"delay\"\n{fault}\n"
    );
    let course = scripted_stage("secrets", "pas60pb", "", "", &world, FAST);
    let with = "run = \"pas60pb\", undo = \"\", vault = \"${secrets.token}\"";
    let pipeline =
        course.pipeline.replace("run = \"pas60pb\", undo = \"\"", with) + "[secrets.token]\nid = \"token\"\n";
    Course { pipeline, ..course }
}

#[test]
fn the_secrets_of_the_pipeline() {
    ended_at(&with_a_secret("delay = \"60s\""), 0, &[&[Place::During(2, 50)]]);
    let late = with_a_secret("delay = \"45m\"\nnth = 2");
    ended_at(&late, 0, &[&[BEHIND_A_PUT, Place::During(2, 0)], &[BEHIND_A_PUT, Place::During(2, 100)]]);
}

#[test]
fn a_lease_that_a_dead_process_holds() {
    let table = "[[tables]]\nname = \"kiln\"\npartition-key = \"pk\"\nsort-key = \"sk\"\n";
    let course = scripted_stage("lease", "pas09pb", "", "environment = \"production\"\n", table, SLOW);
    let env = [("KILN_STORE", "dynamodb://us-west-2/kiln"), ("KILN_LEASE_TTL", "1s")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let course = Course { env, ..course };
    // While the first is at its timer, and while the second waits until the first is certainly dead.
    let timer = Place::Asked("PutImage", 300);
    ended_at(&course, 0, &[&[timer], &[timer, Place::Waiting(1, 50)]]);
}
