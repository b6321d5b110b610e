//! A page of untrusted bytes, put through everything that reading and changing pages does to one that passed its
//! check. For fuzzing: nothing else calls it.
//! Knows single pages. Knows nothing of files.

use super::header::page_size_is_valid;
use super::page::{Node, NodeMut, NodeShape, RECORD_HEADER_BYTES};
use crate::common::ids::{Lsn, PageId};

/// Keys that are looked for besides those of the page.
const KEYS: [&[u8]; 4] = [b"", b"\0", b"key", &[0xff; 300]];

/// Reads all of a page and changes it in every way; false: it does not pass for a page. After each change it must
/// still be one.
/// # Errors
/// What is wrong with the page after a change.
pub fn probe_page(bytes: &mut [u8]) -> Result<bool, String> {
    if !page_size_is_valid(bytes.len()) || Node::new(bytes).check().is_err() {
        return Ok(false);
    }
    let is_ordered = Node::new(bytes).check_order().is_ok();
    let keys = read(Node::new(bytes));
    let limit = bytes.len() / 4;
    if !is_ordered || !Node::new(bytes).is_leaf() || keys.iter().any(|key| key.len() > limit) {
        return Ok(true);
    }
    let checked = |bytes: &[u8], what: &str| {
        Node::new(bytes).check().map_err(|why| format!("after {what}: {why}"))?;
        Node::new(bytes).check_order().map_err(|entry| format!("after {what}: entry {entry} is out of order"))
    };
    for (number, key) in keys.iter().map(Vec::as_slice).chain(KEYS).enumerate() {
        let node = Node::new(bytes);
        if key.len() > limit || key < node.lower_fence() || !node.is_below_upper_fence(key) {
            continue;
        }
        match (node.search(key), number % 3) {
            (Ok(index), 0) => NodeMut::new(bytes).make_ghost(index, Lsn(number as u64)),
            (Ok(index), 1) => NodeMut::new(bytes).remove(index),
            (Ok(index), _) if node.can_replace(index, 40) => NodeMut::new(bytes).replace(index, &[7; 40]),
            (Err(index), _) if node.has_room(RECORD_HEADER_BYTES + key.len() - node.prefix_len() + 9) => {
                NodeMut::new(bytes).insert(index, key, &[8; 9]);
            }
            _ => {}
        }
        checked(bytes, "a change")?;
    }
    let count = Node::new(bytes).count();
    NodeMut::new(bytes).compact();
    checked(bytes, "compaction")?;
    if Node::new(bytes).count() != count {
        return Err("compaction loses entries".to_owned());
    }
    half(bytes)?;
    Ok(true)
}

/// Every entry, by every way of reading it.
fn read(node: Node<'_>) -> Vec<Vec<u8>> {
    let _ = (node.upper_fence(), node.right(), node.max_timestamp(), node.page_id(), node.tree());
    node.for_each_live(0..node.count(), |_, value| assert!(value.len() <= node.page_bytes()));
    let keys = (0..node.count()).map(|index| {
        let _ = (
            node.raw_value(index),
            node.live_value(index),
            node.ghost_timestamp(index),
            node.entry_bytes(index),
        );
        if !node.is_leaf() {
            let _ = node.child(index);
        }
        node.key(index)
    });
    let keys: Vec<Vec<u8>> = keys.collect();
    for key in keys.iter().map(Vec::as_slice).chain(KEYS) {
        let _ = (node.search(key), node.search_to_append(key), node.is_below_upper_fence(key));
        if !node.is_leaf() {
            assert!(node.child_index(key) < node.count(), "a search ends at a child");
        }
    }
    keys
}

/// Lays out the lower half of the entries on a new page, as a split does.
fn half(bytes: &[u8]) -> Result<(), String> {
    let node = Node::new(bytes);
    let shape = NodeShape {
        page: PageId(1),
        tree: node.tree(),
        level: 0,
        lower: node.lower_fence(),
        upper: None,
        right: PageId(0),
        max_timestamp: node.max_timestamp(),
    };
    let range = 0..node.count() / 2;
    if shape.bytes_for(node, range.clone()) > bytes.len() {
        return Ok(());
    }
    let mut new = vec![0; bytes.len()];
    NodeMut::new(&mut new).format(&shape);
    NodeMut::new(&mut new).append_from(node, range);
    Node::new(&new).check().map_err(|why| format!("half of it: {why}"))
}
