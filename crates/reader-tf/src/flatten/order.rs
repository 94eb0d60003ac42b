//! The order in which nodes are computed, without recursion: graphs are deep.

/// What a node reads.
pub(super) struct Reads {
    /// What must be there before it.
    pub(super) before: Vec<usize>,
    /// What reaches it by the back edge of a loop, and stands behind it.
    pub(super) later: Vec<usize>,
}

/// The nodes that `roots` need, each behind what it reads.
///
/// # Errors
/// The nodes of a cycle, each read by the one before it.
pub(super) fn needed(
    count: usize,
    roots: impl IntoIterator<Item = usize>,
    reads: impl Fn(usize) -> Reads,
) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; count];
    let mut order = Vec::new();
    let mut roots: std::collections::VecDeque<usize> =
        roots.into_iter().filter(|&root| root < count).collect();
    while let Some(root) = roots.pop_front() {
        if state[root] != State::New {
            continue;
        }
        let mut stack: Vec<(usize, std::vec::IntoIter<usize>)> = Vec::new();
        let mut open = |node: usize, state: &mut Vec<State>| {
            state[node] = State::Open;
            let found = reads(node);
            roots.extend(found.later.into_iter().filter(|&later| later < count));
            (node, found.before.into_iter())
        };
        stack.push(open(root, &mut state));
        while let Some((node, before)) = stack.last_mut() {
            match before.find(|&next| next < count && state[next] != State::Done) {
                Some(next) if state[next] == State::Open => {
                    let start = stack.iter().position(|&(node, _)| node == next).unwrap_or(0);
                    return Err(stack[start..].iter().map(|&(node, _)| node).collect());
                }
                Some(next) => {
                    let opened = open(next, &mut state);
                    stack.push(opened);
                }
                None => {
                    state[*node] = State::Done;
                    order.push(*node);
                    stack.pop();
                }
            }
        }
    }
    // Where the file has that order already, its own is kept: there, branches follow each other as the program made them.
    if order.iter().all(|&node| {
        reads(node)
            .before
            .iter()
            .all(|&next| next >= count || next < node)
    }) {
        order.sort_unstable();
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(edges: &[&[usize]], roots: &[usize]) -> Result<Vec<usize>, Vec<usize>> {
        needed(edges.len(), roots.iter().copied(), |node| Reads {
            before: edges[node].to_vec(),
            later: Vec::new(),
        })
    }

    #[test]
    fn nodes_stand_behind_what_they_read() {
        assert_eq!(order(&[&[1, 2], &[2], &[], &[0]], &[0]), Ok(vec![2, 1, 0]));
        assert_eq!(order(&[&[1], &[2], &[1]], &[0]), Err(vec![1, 2]));
        let chain: Vec<Vec<usize>> = (0..200_000)
            .map(|i| if i == 0 { vec![] } else { vec![i - 1] })
            .collect();
        let chain: Vec<&[usize]> = chain.iter().map(Vec::as_slice).collect();
        assert_eq!(order(&chain, &[199_999]).map(|order| order.len()), Ok(200_000));
    }
}
