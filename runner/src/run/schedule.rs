//! Which stage comes next: a pure state machine over the pipeline's graph.
//!
//! The main type is [`Schedule`]. A stage's life is one transition table, [`StageState::next`], which refuses what must
//! not happen. The cost of a step does not grow with the number of stages.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::StageOutcome;
use crate::pipeline::OnFailure;
use crate::types::StageName;

/// Where a stage is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageState {
    /// It waits for the stages that it needs.
    Waiting,
    /// It could begin.
    Ready,
    /// It is at work.
    Running,
    /// It has ended.
    Ended(StageOutcome),
}

/// What can happen to a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// All stages that it needs have ended well, or it asks how they ended.
    Release,
    /// It was begun.
    Begin,
    /// It ended.
    End(StageOutcome),
    /// It will not be run: something before it, or the whole run, came to a bad end.
    Forgo,
}

/// A step that a stage in this state cannot take: a defect of kiln.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stage {} cannot {}", state.words(), step.words())]
pub struct IllegalTransition {
    state: StageState,
    step: Transition,
}

impl Transition {
    fn words(self) -> &'static str {
        match self {
            Self::Release => "be released",
            Self::Begin => "begin",
            Self::End(_) => "end",
            Self::Forgo => "be left out",
        }
    }
}

impl StageState {
    fn words(self) -> &'static str {
        match self {
            Self::Waiting => "that waits",
            Self::Ready => "that is ready",
            Self::Running => "that is at work",
            Self::Ended(_) => "that has ended",
        }
    }

    /// The state after `step`.
    pub fn next(self, step: Transition) -> Result<Self, IllegalTransition> {
        match (self, step) {
            (Self::Waiting, Transition::Release) => Ok(Self::Ready),
            (Self::Ready, Transition::Begin) => Ok(Self::Running),
            (Self::Running, Transition::End(outcome)) => Ok(Self::Ended(outcome)),
            (Self::Waiting | Self::Ready, Transition::Forgo) => Ok(Self::Ended(StageOutcome::NotRun)),
            (Self::Waiting, Transition::Begin | Transition::End(_))
            | (Self::Ready, Transition::Release | Transition::End(_))
            | (Self::Running, Transition::Release | Transition::Begin | Transition::Forgo)
            | (Self::Ended(_), Transition::Release | Transition::Begin | Transition::End(_) | Transition::Forgo) => {
                Err(IllegalTransition { state: self, step })
            }
        }
    }
}

/// A stage as the schedule sees it.
#[derive(Debug, Clone)]
pub struct StageNode {
    /// Its name.
    pub name: StageName,
    /// The stages that must end well before it.
    pub needs: BTreeSet<StageName>,
    /// Those of them of which it asks how they ended: they need not end well.
    pub asks: BTreeSet<StageName>,
    /// What its failure means for the run.
    pub on_failure: OnFailure,
}

/// A stage that needs another.
#[derive(Debug, Clone, Copy)]
struct Dependent {
    position: usize,
    /// It asks how the other ended, so that it may run however that was.
    asks: bool,
}

#[derive(Debug)]
struct ScheduledStage {
    state: StageState,
    unmet: usize,
    dependents: Vec<Dependent>,
    on_failure: OnFailure,
    name: StageName,
}

/// The stages of a run and what may be done next.
#[derive(Debug)]
pub struct Schedule {
    entries: Vec<ScheduledStage>,
    index: BTreeMap<StageName, usize>,
    /// Positions of ready stages: the pipeline's order.
    ready: BTreeSet<usize>,
    running: usize,
    stopped: bool,
    undo: bool,
}

impl Schedule {
    /// A schedule in which nothing has begun. `nodes` is in an order in which each comes after those that it needs.
    pub fn new(nodes: Vec<StageNode>) -> Self {
        let index: BTreeMap<StageName, usize> =
            nodes.iter().enumerate().map(|(position, node)| (node.name.clone(), position)).collect();
        let mut entries: Vec<ScheduledStage> = nodes
            .iter()
            .map(|node| ScheduledStage {
                state: StageState::Waiting,
                unmet: node.needs.len(),
                dependents: Vec::new(),
                on_failure: node.on_failure,
                name: node.name.clone(),
            })
            .collect();
        for (position, node) in nodes.iter().enumerate() {
            for needed in &node.needs {
                if let Some(entry) = index.get(needed).and_then(|needed| entries.get_mut(*needed)) {
                    entry.dependents.push(Dependent { position, asks: node.asks.contains(needed) });
                }
            }
        }
        let mut schedule = Self { entries, index, ready: BTreeSet::new(), running: 0, stopped: false, undo: false };
        for position in 0..schedule.entries.len() {
            schedule.release_if_met(position);
        }
        schedule
    }

    /// Take up where a run stopped: `begun` are the stages that had begun, `ended` those of them that had ended, in their
    /// order. Answers the stages that will not be run, as [`end`](Self::end) does.
    pub fn restore<'a>(
        &mut self,
        begun: impl IntoIterator<Item = &'a StageName>,
        ended: impl IntoIterator<Item = (&'a StageName, StageOutcome)>,
    ) -> Result<Vec<StageName>, IllegalTransition> {
        for stage in begun {
            let Some(position) = self.index.get(stage).copied() else { continue };
            self.ready.remove(&position);
            if let Some(entry) = self.entries.get_mut(position) {
                // What it needs had ended when it began: its own end follows in this order again.
                entry.state = StageState::Running;
                self.running += 1;
            }
        }
        let mut forgone = Vec::new();
        for (stage, outcome) in ended {
            forgone.extend(self.end(stage, outcome)?);
        }
        Ok(forgone)
    }

    /// The stages that are at work.
    pub fn at_work(&self) -> Vec<StageName> {
        let running = self.entries.iter().filter(|entry| entry.state == StageState::Running);
        running.map(|entry| entry.name.clone()).collect()
    }

    /// Begin the next stage that can, in the pipeline's order.
    pub fn begin_next(&mut self) -> Option<StageName> {
        if self.stopped {
            return None;
        }
        let position = self.ready.pop_first()?;
        let entry = self.entries.get_mut(position)?;
        entry.state = entry.state.next(Transition::Begin).ok()?;
        self.running += 1;
        Some(entry.name.clone())
    }

    /// A stage ended. Answers the stages that will not be run because of it.
    pub fn end(&mut self, stage: &StageName, outcome: StageOutcome) -> Result<Vec<StageName>, IllegalTransition> {
        let Some(position) = self.index.get(stage).copied() else { return Ok(Vec::new()) };
        let Some(entry) = self.entries.get_mut(position) else { return Ok(Vec::new()) };
        entry.state = entry.state.next(Transition::End(outcome))?;
        self.running -= 1;
        match outcome {
            StageOutcome::Done | StageOutcome::Skipped => {
                self.settle(position);
                Ok(Vec::new())
            }
            StageOutcome::Failed => match entry.on_failure {
                OnFailure::Continue => Ok(self.forgo_dependents(position)),
                OnFailure::Stop => Ok(self.stop()),
                OnFailure::Undo => {
                    self.undo = true;
                    Ok(self.stop())
                }
            },
            StageOutcome::NotRun | StageOutcome::Interrupted | StageOutcome::Stuck => Ok(self.stop()),
        }
    }

    /// The stage's failure will be no reason to undo anything: the run stops instead. Answers whether it would have been one.
    pub fn spare(&mut self, stage: &StageName) -> bool {
        let entry = self.index.get(stage).and_then(|position| self.entries.get_mut(*position));
        let Some(entry) = entry.filter(|entry| entry.on_failure == OnFailure::Undo) else { return false };
        entry.on_failure = OnFailure::Stop;
        true
    }

    /// Begin nothing more. Answers the stages that will not be run.
    pub fn stop(&mut self) -> Vec<StageName> {
        self.stopped = true;
        self.ready.clear();
        let mut forgone = Vec::new();
        for entry in &mut self.entries {
            if let Ok(state) = entry.state.next(Transition::Forgo) {
                entry.state = state;
                forgone.push(entry.name.clone());
            }
        }
        forgone
    }

    /// Whether nothing is at work and nothing can begin.
    pub fn is_over(&self) -> bool {
        self.running == 0 && self.ready.is_empty()
    }

    /// How many stages are at work.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether a failure asks for what was done to be undone.
    pub fn wants_undo(&self) -> bool {
        self.undo
    }

    fn settle(&mut self, position: usize) {
        let dependents = self.entries.get(position).map(|entry| entry.dependents.clone()).unwrap_or_default();
        for dependent in dependents {
            self.meet(dependent.position);
        }
    }

    /// One that the stage needs has ended, and it may go on.
    fn meet(&mut self, position: usize) {
        if let Some(entry) = self.entries.get_mut(position) {
            entry.unmet -= 1;
        }
        self.release_if_met(position);
    }

    fn release_if_met(&mut self, position: usize) {
        let stopped = self.stopped;
        let Some(entry) = self.entries.get_mut(position) else { return };
        if entry.unmet > 0 || stopped {
            return;
        }
        if let Ok(state) = entry.state.next(Transition::Release) {
            entry.state = state;
            self.ready.insert(position);
        }
    }

    fn forgo_dependents(&mut self, position: usize) -> Vec<StageName> {
        let mut forgone = Vec::new();
        let mut open = vec![position];
        while let Some(position) = open.pop() {
            let dependents = self.entries.get(position).map(|entry| entry.dependents.clone()).unwrap_or_default();
            for dependent in dependents {
                if dependent.asks {
                    self.meet(dependent.position);
                    continue;
                }
                let Some(entry) = self.entries.get_mut(dependent.position) else { continue };
                if let Ok(state) = entry.state.next(Transition::Forgo) {
                    entry.state = state;
                    self.ready.remove(&dependent.position);
                    forgone.push(entry.name.clone());
                    open.push(dependent.position);
                }
            }
        }
        forgone
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a name that is none has failed the test")]
mod tests {
    use super::*;

    fn name(text: &str) -> StageName {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn schedule(stages: &[(&str, &[&str], OnFailure)]) -> Schedule {
        Schedule::new(
            stages
                .iter()
                .map(|(stage, needs, on_failure)| StageNode {
                    name: name(stage),
                    needs: needs.iter().map(|need| name(need.trim_end_matches('?'))).collect(),
                    asks: needs.iter().filter_map(|need| need.strip_suffix('?')).map(name).collect(),
                    on_failure: *on_failure,
                })
                .collect(),
        )
    }

    fn begin_all(schedule: &mut Schedule) -> Vec<String> {
        std::iter::from_fn(|| schedule.begin_next()).map(String::from).collect()
    }

    #[test]
    fn stages_begin_when_what_they_need_is_done() {
        let stop = OnFailure::Stop;
        let mut schedule = schedule(&[("a", &[], stop), ("b", &[], stop), ("c", &["a", "b"], stop)]);
        assert_eq!(begin_all(&mut schedule), ["a", "b"]);
        schedule.end(&name("b"), StageOutcome::Done).unwrap_or_default();
        assert_eq!(begin_all(&mut schedule), [""; 0]);
        schedule.end(&name("a"), StageOutcome::Skipped).unwrap_or_default();
        assert_eq!(begin_all(&mut schedule), ["c"]);
        assert!(!schedule.is_over());
        schedule.end(&name("c"), StageOutcome::Done).unwrap_or_default();
        assert!(schedule.is_over() && !schedule.wants_undo());
    }

    #[test]
    fn a_failure_stops_the_run_or_only_what_needs_it() {
        let mut stopping =
            schedule(&[("a", &[], OnFailure::Undo), ("b", &["a"], OnFailure::Stop), ("c", &[], OnFailure::Stop)]);
        assert_eq!(stopping.begin_next(), Some(name("a")));
        assert_eq!(stopping.end(&name("a"), StageOutcome::Failed), Ok(vec![name("b"), name("c")]));
        assert!(stopping.is_over() && stopping.wants_undo());

        let continuing =
            [("a", [].as_slice(), OnFailure::Continue), ("b", &["a"], OnFailure::Stop), ("c", &[], OnFailure::Stop)];
        let mut continuing = schedule(&continuing);
        assert_eq!(continuing.begin_next(), Some(name("a")));
        assert_eq!(continuing.end(&name("a"), StageOutcome::Failed), Ok(vec![name("b")]));
        assert_eq!(continuing.begin_next(), Some(name("c")));
    }

    #[test]
    fn a_stage_that_asks_how_another_ended_runs_after_a_failure_that_stops_nothing_else() {
        let stages = [
            ("a", [].as_slice(), OnFailure::Continue),
            ("b", &["a"], OnFailure::Stop),
            ("c", &["a?"], OnFailure::Stop),
            ("d", &["b?"], OnFailure::Stop),
            ("e", &["a?", "b"], OnFailure::Stop),
        ];
        let mut failing = schedule(&stages);
        assert_eq!(begin_all(&mut failing), ["a"]);
        assert_eq!(failing.end(&name("a"), StageOutcome::Failed), Ok(vec![name("b"), name("e")]));
        assert_eq!(begin_all(&mut failing), ["c", "d"]);
        assert!(
            failing.end(&name("c"), StageOutcome::Done).is_ok() && failing.end(&name("d"), StageOutcome::Done).is_ok()
        );
        assert!(failing.is_over() && !failing.wants_undo());

        let mut stopped = schedule(&[("a", &[], OnFailure::Stop), ("b", &["a?"], OnFailure::Stop)]);
        stopped.begin_next();
        assert_eq!(stopped.end(&name("a"), StageOutcome::Failed), Ok(vec![name("b")]), "the run stops");
    }

    #[test]
    fn a_spared_failure_stops_the_run_and_undoes_nothing() {
        let mut schedule = schedule(&[("a", &[], OnFailure::Undo), ("b", &["a"], OnFailure::Stop)]);
        assert!(schedule.spare(&name("a")) && !schedule.spare(&name("b")));
        schedule.begin_next();
        assert_eq!(schedule.end(&name("a"), StageOutcome::Failed), Ok(vec![name("b")]));
        assert!(schedule.is_over() && !schedule.wants_undo());
    }

    #[test]
    fn what_must_not_happen_is_refused() {
        let mut schedule = schedule(&[("a", &[], OnFailure::Stop)]);
        assert!(schedule.end(&name("a"), StageOutcome::Done).is_err(), "it has not begun");
        schedule.begin_next();
        assert!(schedule.end(&name("a"), StageOutcome::Done).is_ok());
        assert!(schedule.end(&name("a"), StageOutcome::Done).is_err(), "it has ended");
    }
}
