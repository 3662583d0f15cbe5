//! Puts stages into an order in which each comes after all that it needs, or shows why there is none.
//!
//! The main function is [`order`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// For each stage, by its place in the file: the places of those that it needs.
pub(super) type Needs = Vec<BTreeSet<usize>>;

/// The order, and every circle that stands in its way: each stage in it needs the next, and the last needs the first.
pub(super) fn order(needs: &Needs) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut missing: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut needed_by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (stage, needs) in needs.iter().enumerate() {
        for need in needs {
            needed_by.entry(*need).or_default().push(stage);
        }
    }
    // Of several stages that could come next, the first of the file does.
    let none_missing = missing.iter().enumerate().filter(|(_, missing)| **missing == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = none_missing.map(|(stage, _)| Reverse(stage)).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(Reverse(stage)) = ready.pop() {
        order.push(stage);
        for later in needed_by.get(&stage).into_iter().flatten() {
            if let Some(count) = missing.get_mut(*later) {
                *count -= 1;
                if *count == 0 {
                    ready.push(Reverse(*later));
                }
            }
        }
    }
    let circles = if order.len() == needs.len() { Vec::new() } else { circles(needs) };
    (order, circles)
}

/// The shortest circle through the first stage of every knot.
fn circles(needs: &Needs) -> Vec<Vec<usize>> {
    let mut graph = DiGraph::<(), ()>::new();
    let nodes: Vec<NodeIndex> = needs.iter().map(|_| graph.add_node(())).collect();
    for (stage, needs) in nodes.iter().zip(needs) {
        for need in needs.iter().filter_map(|need| nodes.get(*need)) {
            graph.add_edge(*stage, *need, ());
        }
    }
    let knots = kosaraju_scc(&graph).into_iter().filter(|knot| knot.len() > 1);
    let mut circles: Vec<Vec<usize>> = knots
        .filter_map(|knot| {
            let knot: BTreeSet<usize> = knot.into_iter().map(NodeIndex::index).collect();
            shortest_circle(needs, &knot)
        })
        .collect();
    circles.sort();
    circles
}

fn shortest_circle(needs: &Needs, knot: &BTreeSet<usize>) -> Option<Vec<usize>> {
    let start = *knot.first()?;
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(stage) = queue.pop_front() {
        for need in needs.get(stage)?.intersection(knot) {
            if *need == start {
                let mut circle = vec![stage];
                while let Some(before) = circle.last().and_then(|last| came_from.get(last)) {
                    circle.push(*before);
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(need) {
                came_from.insert(*need, stage);
                queue.push_back(*need);
            }
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "an index out of bounds is a failed test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needs(list: &[&[usize]]) -> Needs {
        list.iter().map(|needs| needs.iter().copied().collect()).collect()
    }

    #[test]
    fn stages_keep_the_order_of_the_file_where_they_can() {
        assert_eq!(order(&needs(&[&[], &[], &[]])).0, [0, 1, 2]);
        assert_eq!(order(&needs(&[&[2], &[], &[]])).0, [1, 2, 0]);
        assert_eq!(order(&needs(&[&[3], &[0], &[], &[]])).0, [2, 3, 0, 1]);
    }

    #[test]
    fn every_circle_is_shown_whole_and_short() {
        let (order, circles) = order(&needs(&[&[1], &[2], &[0, 1], &[], &[5], &[4], &[0]]));
        assert_eq!(order, [3]);
        assert_eq!(circles, [vec![0, 1, 2], vec![4, 5]]);
    }

    #[test]
    fn long_chains_are_no_matter() {
        let mut chain: Needs = (0..20_000).map(|stage| BTreeSet::from([stage + 1])).collect();
        chain.push(BTreeSet::new());
        assert_eq!(order(&chain).0.first(), Some(&20_000));
        if let Some(last) = chain.last_mut() {
            last.insert(0);
        }
        assert_eq!(order(&chain).1.first().map(Vec::len), Some(20_001));
    }

    proptest! {
        #[test]
        fn needs_come_first(edges in proptest::collection::vec((0_usize..12, 0_usize..12), 0..30)) {
            let mut needs: Needs = vec![BTreeSet::new(); 12];
            for (from, to) in edges {
                if from != to {
                    needs[from].insert(to);
                }
            }
            let (order, circles) = order(&needs);
            prop_assert_eq!(order.len() == 12, circles.is_empty());
            for (place, stage) in order.iter().enumerate() {
                for need in &needs[*stage] {
                    prop_assert!(order[..place].contains(need));
                }
            }
            for circle in circles {
                for (stage, next) in circle.iter().zip(circle.iter().cycle().skip(1)) {
                    prop_assert!(needs[*stage].contains(next));
                }
            }
        }
    }
}
