//! The RFC 6962 Merkle tree: hashes, an append-only frontier, proofs and their checks.
//!
//! Complete subtrees are read back through a closure `(level, index) -> Hash`, where level 0 holds leaf hashes and node
//! `(l, i)` covers leaves `i << l .. (i + 1) << l`; the store decides which of them it keeps.

use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// Hash of a leaf: SHA-256(0x00 || entry) (RFC 6962, 2.1).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

/// Hash of an inner node: SHA-256(0x01 || left || right) (RFC 6962, 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a tree: enough to append and to name the root, in O(log n).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees, largest first: one for each set bit of `size`.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Rebuilds the edge of a tree of `size` leaves from its complete subtrees.
    pub fn from_nodes<E>(size: u64, mut node: impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Self, E> {
        let peaks = cover(0, size).map(|(level, index)| node(level, index)).collect::<Result<_, E>>()?;
        Ok(Self { size, peaks })
    }

    /// Appends a leaf hash. `completed` is told of each subtree that this leaf completes, the leaf itself first.
    pub fn push(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, &Hash)) {
        let mut hash = leaf;
        completed(0, self.size, &hash);
        let mut level = 0;
        while self.size >> level & 1 == 1 {
            let left = self.peaks.pop().expect("invariant: a set bit has a peak");
            hash = node_hash(&left, &hash);
            level += 1;
            completed(level, self.size >> level, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root hash.
    pub fn root(&self) -> Hash {
        fold(&self.peaks)
    }
}

/// Proof that the tree of `old` leaves is the beginning of the tree of `new` leaves (RFC 6962, 2.1.2).
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    mut node: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    // Iterative SUBPROOF(old, D[begin:end], whole): go down to where the old tree ends.
    let (mut begin, mut end, mut whole) = (0, new, true);
    let mut outside: Vec<(u64, u64)> = Vec::new();
    while begin < old && old < end {
        let split = begin + largest_power_below(end - begin);
        if old <= split {
            outside.push((split, end));
            end = split;
        } else {
            outside.push((begin, split));
            begin = split;
            whole = false;
        }
    }
    if !whole {
        proof.push(subtree(begin, end, &mut node)?);
    }
    for (from, to) in outside.into_iter().rev() {
        proof.push(subtree(from, to, &mut node)?);
    }
    Ok(proof)
}

/// Proof that leaf `index` is in the tree of `size` leaves (RFC 6962, 2.1.1).
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    mut node: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut begin, mut end) = (0, size);
    let mut outside = Vec::new();
    while end - begin > 1 {
        let split = begin + largest_power_below(end - begin);
        if index < split {
            outside.push((split, end));
            end = split;
        } else {
            outside.push((begin, split));
            begin = split;
        }
    }
    outside.into_iter().rev().map(|(from, to)| subtree(from, to, &mut node)).collect()
}

/// Checks a consistency proof (RFC 9162, 2.1.4.2).
pub fn verify_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    let mut rest = proof.iter();
    let seed = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(seed) = seed else { return false };
    let (mut fewer, mut last) = (old - 1, new - 1);
    while fewer & 1 == 1 {
        fewer >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (*seed, *seed);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if fewer & 1 == 1 || fewer == last {
            from_old = node_hash(hash, &from_old);
            from_new = node_hash(hash, &from_new);
            while fewer & 1 == 0 && fewer != 0 {
                fewer >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node_hash(&from_new, hash);
        }
        fewer >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}

/// Checks an inclusion proof (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The complete subtrees that cover leaves `begin..end`, left to right, for a `begin` that is aligned.
fn cover(begin: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    let mut at = begin;
    core::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let size = 1u64 << (63 - (end - at).leading_zeros());
        let level = size.trailing_zeros();
        let node = (u8::try_from(level).expect("invariant: below 64"), at >> level);
        at += size;
        Some(node)
    })
}

fn subtree<E>(begin: u64, end: u64, node: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let peaks = cover(begin, end).map(|(level, index)| node(level, index)).collect::<Result<Vec<_>, E>>()?;
    Ok(fold(&peaks))
}

fn fold(peaks: &[Hash]) -> Hash {
    peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}

fn largest_power_below(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use core::convert::Infallible;

    struct Tree {
        frontiers: Vec<Frontier>,
        nodes: BTreeMap<(u8, u64), Hash>,
    }

    fn tree(size: u64) -> Tree {
        let mut nodes = BTreeMap::new();
        let mut frontier = Frontier::default();
        let mut frontiers = alloc::vec![frontier.clone()];
        for leaf in 0..size {
            frontier.push(leaf_hash(&leaf.to_be_bytes()), |level, index, hash| {
                nodes.insert((level, index), *hash);
            });
            frontiers.push(frontier.clone());
        }
        Tree { frontiers, nodes }
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        fn definition(leaves: &[Hash]) -> Hash {
            match leaves {
                [] => empty_root(),
                [one] => *one,
                many => {
                    let split = largest_power_below(many.len() as u64) as usize;
                    node_hash(&definition(&many[..split]), &definition(&many[split..]))
                }
            }
        }
        let tree = tree(70);
        let leaves: Vec<Hash> = (0..70u64).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect();
        for size in 0..=70 {
            assert_eq!(tree.frontiers[size].root(), definition(&leaves[..size]), "{size}");
        }
    }

    #[test]
    fn every_proof_verifies_and_every_change_breaks_it() {
        let tree = tree(40);
        let node = |level, index| Ok::<_, Infallible>(tree.nodes[&(level, index)]);
        for new in 1..=40u64 {
            let root = tree.frontiers[new as usize].root();
            assert_eq!(Frontier::from_nodes(new, node).unwrap(), tree.frontiers[new as usize]);
            for old in 1..=new {
                let old_root = tree.frontiers[old as usize].root();
                let mut proof = consistency_proof(old, new, node).unwrap();
                assert!(verify_consistency(old, &old_root, new, &root, &proof), "{old} {new}");
                assert!(!verify_consistency(old, &root, new, &root, &proof) || old == new, "{old} {new}");
                for at in 0..proof.len() {
                    proof[at][0] ^= 1;
                    assert!(!verify_consistency(old, &old_root, new, &root, &proof));
                    proof[at][0] ^= 1;
                }
                if proof.pop().is_some() {
                    assert!(!verify_consistency(old, &old_root, new, &root, &proof));
                }
            }
            for index in 0..new {
                let leaf = tree.nodes[&(0, index)];
                let proof = inclusion_proof(index, new, node).unwrap();
                assert!(verify_inclusion(&leaf, index, new, &root, &proof));
                assert!(!verify_inclusion(&leaf, (index + 1) % new, new, &root, &proof) || new == 1);
            }
        }
    }
}
