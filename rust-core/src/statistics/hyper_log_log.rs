//! How many different values there are, in fixed space (Flajolet, Fusy, Gandouet, Meunier, AofA 2007), by the
//! estimator of Ertl ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), which needs no tables.
//! Knows hashes, not values.

/// Bits of the hash that choose a register.
const INDEX_BITS: u32 = 12;
/// Registers: 4,096 give a standard error of 1.6 %.
const REGISTERS: usize = 1 << INDEX_BITS;
/// The highest rank: the bits that do not choose the register are all zero.
const RANK_MAX: usize = (u64::BITS - INDEX_BITS) as usize + 1;

/// A sketch of a set of hashes.
#[derive(Clone, Debug)]
pub(super) struct HyperLogLog(Box<[u8; REGISTERS]>);

impl HyperLogLog {
    /// The empty set.
    pub(super) fn new() -> HyperLogLog {
        HyperLogLog(Box::new([0; REGISTERS]))
    }

    /// Adds a value by its hash.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        let hash = scrambled(hash);
        let index = (hash >> (u64::BITS - INDEX_BITS)) as usize;
        let rank = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() as u8 + 1;
        let register = &mut self.0[index];
        *register = (*register).max(rank);
    }

    /// About how many different hashes were added.
    pub(super) fn estimate(&self) -> f64 {
        let mut counts = [0.0; RANK_MAX + 1];
        for rank in self.0.iter() {
            counts[usize::from(*rank)] += 1.0;
        }
        let registers = REGISTERS as f64;
        let mut sum = registers * tau(1.0 - counts[RANK_MAX] / registers);
        for count in counts[1..RANK_MAX].iter().rev() {
            sum = 0.5 * (sum + count);
        }
        sum += registers * sigma(counts[0] / registers);
        registers * registers / (2.0 * std::f64::consts::LN_2 * sum)
    }
}

/// Spreads what differs over all bits: hashes made for tables need only few good ones (Stafford's thirteenth mixer).
fn scrambled(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

/// Corrects for registers that are empty.
fn sigma(mut share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut factor, mut sum) = (1.0, share);
    loop {
        share *= share;
        let before = sum;
        sum += share * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

/// Corrects for registers that are full.
fn tau(mut share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut factor, mut sum) = (1.0, 1.0 - share);
    loop {
        share = share.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - share).powi(2) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::compare::hash_i64;

    #[test]
    fn estimates_stay_within_five_hundredths_from_one_to_a_million() {
        for count in [1_i64, 10, 100, 1_000, 5_000, 10_000, 20_000, 100_000, 1_000_000] {
            let mut sketch = HyperLogLog::new();
            for value in 0..count {
                sketch.add(hash_i64(value * 7));
                sketch.add(hash_i64(value * 7));
            }
            let error = (sketch.estimate() - count as f64).abs() / count as f64;
            assert!(error < 0.05, "{count}: {}", sketch.estimate());
        }
    }

    #[test]
    fn an_empty_set_has_no_values() {
        assert!(HyperLogLog::new().estimate() < 0.5);
    }
}
