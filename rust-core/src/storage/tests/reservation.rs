//! What a commit sets aside is enough for what it does, and not much more.

use super::{TREE, checkpoint, put, storage};
use crate::common::ids::Lsn;
use crate::common::random::Random;
use crate::storage::{ApplyEstimate, Change, ChangeSize, ChangeSurvey};
use std::collections::BTreeMap;

type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn random_rows(random: &mut Random, count: u64, keys: u64, value_bytes: u64, delete_share: u64) -> Rows {
    let mut rows = Rows::new();
    for _ in 0..count {
        let number = random.below(keys);
        let mut key = number.to_be_bytes().to_vec();
        // Some keys are long.
        key.extend(vec![b'k'; (number % 7 * (number % 11)) as usize]);
        let value = vec![7; random.below(value_bytes + 1) as usize];
        rows.insert(key, (delete_share == 0 || random.below(delete_share) > 0).then_some(value));
    }
    rows
}

#[test]
fn a_survey_finds_as_many_pages_as_the_changes_need() {
    let (mut estimated, mut needed) = (0, 0);
    for seed in 1..120 {
        let mut random = Random::new(seed);
        let (storage, _) = storage(1024, 64 << 20);
        let tree = storage.tree(TREE).unwrap();
        let value_bytes = 1 + random.below(if seed % 3 == 0 { 300 } else { 40 });
        let keys = 1 + random.below(4000);
        for (key, value) in random_rows(&mut random, keys, keys, value_bytes, 0) {
            put(&tree, &key, &value.unwrap_or_default(), 5);
        }
        checkpoint(&storage, 10).unwrap();
        let count = 1 + random.below(3000);
        let delete_share = random.below(4);
        let keys = if random.below(2) == 0 { keys } else { keys * 4 };
        let value_bytes = 1 + random.below(if seed % 5 == 0 { 300 } else { 60 });
        let rows = random_rows(&mut random, count, keys, value_bytes, delete_share);
        let entries: Vec<_> = rows.iter().collect();
        let mut survey = ChangeSurvey::new(&tree, tree.spare_bytes());
        for part in entries.chunks(100) {
            let lens = part.iter().map(|(key, value)| (key.as_slice(), value.as_ref().map(Vec::len)));
            survey.add(lens).unwrap();
        }
        let estimate = survey.estimate();
        let before = storage.statistics();
        assert_eq!(before.frames_dirty, 0, "seed {seed}");
        let reservation = storage.reserve(estimate).unwrap();
        for part in entries.chunks(100) {
            let changes = part.iter().map(|(key, value)| {
                (key.as_slice(), value.as_ref().map_or(Change::Delete, |value| Change::Put(value)))
            });
            let sink: &dyn crate::storage::VersionSink = &super::NoVersions;
            reservation.used(tree.apply_sorted(changes, Lsn(20), Some(sink)).unwrap());
            // What is left, and what is promised to the pages that changed, is what was set aside at least.
            let dirty = storage.statistics().frames_dirty;
            assert!(dirty + reservation.left() >= estimate.changed.min(dirty), "seed {seed}");
        }
        let after = storage.statistics();
        let made = after.pages - before.pages;
        assert!(made <= estimate.made, "seed {seed}: {made} of {estimate:?}");
        let changed = after.frames_dirty;
        assert!(changed <= estimate.changed + estimate.made, "seed {seed}: {changed} of {estimate:?}");
        estimated += estimate.changed + estimate.made;
        needed += changed;
    }
    assert!(estimated < 4 * needed, "{estimated} for {needed}");
}

#[test]
fn rows_behind_the_end_need_hardly_more_than_their_leaves() {
    for seed in 1..40 {
        let mut random = Random::new(seed);
        let (storage, _) = storage(1024, 64 << 20);
        let tree = storage.tree(TREE).unwrap();
        put(&tree, b"", b"first", 5);
        let value_bytes = if seed % 3 == 0 { 300 } else { 20 };
        let rows = random_rows(&mut random, 2000, 100_000, value_bytes, 0);
        let mut size = ChangeSize::default();
        rows.iter().for_each(|(key, value)| size.add_put(key.len(), value.as_ref().map_or(0, Vec::len)));
        let estimate = ApplyEstimate::of_appending(storage.page_size(), size, tree.spare_bytes());
        let before = storage.statistics().pages;
        let entries: Vec<_> = rows.iter().map(|(key, value)| (key, value.as_ref().unwrap())).collect();
        if seed % 2 == 0 {
            let changes = entries.iter().map(|(key, value)| (key.as_slice(), Change::Put(value)));
            tree.apply_sorted(changes, Lsn(20), None).unwrap();
        } else {
            let mut done = 0;
            while done < entries.len() {
                let entry = |index: usize| (entries[index].0.as_slice(), entries[index].1.as_slice());
                done += tree.append(done..entries.len(), entry, Lsn(20)).unwrap().0;
            }
        }
        let made = storage.statistics().pages - before;
        assert!(made <= estimate.made, "seed {seed}: {made} of {estimate:?}");
        // Rows of a third of a page may leave much of each leaf free.
        let most = if value_bytes > 100 { 3 * made } else { 2 * made + 20 };
        assert!(estimate.made < most, "seed {seed}: {estimate:?} for {made}");
    }
}

#[test]
fn ascending_keys_in_a_gap_leave_full_leaves_behind() {
    let (storage, _) = storage(4096, 64 << 20);
    let tree = storage.tree(TREE).unwrap();
    for number in [0, 1_000_000, 2_000_000] {
        put(&tree, &u64::to_be_bytes(number), &[1; 100], 5);
    }
    let rows: Vec<_> = (1..10_000).map(u64::to_be_bytes).collect();
    for part in rows.chunks(1000) {
        let changes = part.iter().map(|key| (key.as_slice(), Change::Put(&[1; 100])));
        tree.apply_sorted(changes, Lsn(9), None).unwrap();
    }
    let space = storage.tree_space(TREE).unwrap().unwrap();
    assert!(space.pages < 10_000 / 33 + 10, "{space:?}");
}
