//! Binary search over what is reached by index: places and ranges of keys.
//! Knows indices and bounds. Knows nothing of what lies there.

use std::cmp::Ordering;
use std::ops::{Bound, Range};

/// The first index below `count` that `is_before` says no of; `count`: there is none. It says yes of the first ones
/// and no of the others.
pub fn partition_point(count: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The indices of the keys between two bounds, of `count` keys in ascending order. `compare` compares the key at an
/// index with another.
pub fn index_range(
    count: usize,
    lower: Bound<&[u8]>,
    upper: Bound<&[u8]>,
    compare: impl Fn(usize, &[u8]) -> Ordering,
) -> Range<usize> {
    let below = |key: &[u8]| partition_point(count, |index| compare(index, key).is_lt());
    let up_to = |key: &[u8]| partition_point(count, |index| compare(index, key).is_le());
    let start = match lower {
        Bound::Unbounded => 0,
        Bound::Included(key) => below(key),
        Bound::Excluded(key) => up_to(key),
    };
    let end = match upper {
        Bound::Unbounded => count,
        Bound::Included(key) => up_to(key),
        Bound::Excluded(key) => below(key),
    };
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_keys_between_its_bounds_and_none_where_they_cross() {
        let keys: Vec<[u8; 1]> = [2u8, 4, 4, 6].map(|key| [key]).into();
        let range = |lower, upper| {
            index_range(keys.len(), lower, upper, |index, key: &[u8]| keys[index].as_slice().cmp(key))
        };
        assert_eq!(range(Bound::Unbounded, Bound::Unbounded), 0..4);
        assert_eq!(range(Bound::Included(&[4]), Bound::Included(&[4])), 1..3);
        assert_eq!(range(Bound::Excluded(&[2]), Bound::Excluded(&[6])), 1..3);
        assert_eq!(range(Bound::Excluded(&[4]), Bound::Unbounded), 3..4);
        assert_eq!(range(Bound::Included(&[5]), Bound::Included(&[3])), 3..3);
        assert_eq!(partition_point(0, |_| true), 0);
    }
}
