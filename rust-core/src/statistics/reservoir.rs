//! A uniform sample of a stream of unknown length (Li, "Reservoir-Sampling Algorithms of Time Complexity
//! O(n(1 + log(N/n)))", TOMS 1994): says which positions to take. Holds no values.

use crate::common::random::Random;

/// Chooses rows of a stream, each with equal probability.
#[derive(Clone, Debug)]
pub(super) struct Reservoir {
    capacity: usize,
    taken: usize,
    seen: u64,
    /// The stream position that is taken next.
    next: u64,
    weight: f64,
    random: Random,
}

impl Reservoir {
    /// Chooses `capacity` rows, at least one.
    pub(super) fn new(capacity: usize, seed: u64) -> Reservoir {
        let mut random = Random::new(seed);
        let capacity = capacity.max(1);
        let weight = (uniform(&mut random).ln() / capacity as f64).exp();
        Reservoir { capacity, taken: 0, seen: 0, next: 0, weight, random }
    }

    /// Shows the next `rows` rows of the stream: `take` gets each chosen one's offset among them with the slot that it
    /// goes to, a new one or one whose row it replaces.
    pub(super) fn offer(&mut self, rows: usize, mut take: impl FnMut(usize, usize)) {
        let end = self.seen + rows as u64;
        while self.next < end {
            let offset = (self.next - self.seen) as usize;
            if self.taken < self.capacity {
                take(offset, self.taken);
                self.taken += 1;
                self.next += 1;
                if self.taken == self.capacity {
                    self.skip();
                }
            } else {
                take(offset, self.random.below(self.capacity as u64) as usize);
                self.weight *= (uniform(&mut self.random).ln() / self.capacity as f64).exp();
                self.next += 1;
                self.skip();
            }
        }
        self.seen = end;
    }

    fn skip(&mut self) {
        let gap = (uniform(&mut self.random).ln() / (-self.weight).ln_1p()).floor();
        // Beyond 2^62 nothing comes any more.
        self.next = self.next.saturating_add(gap.min(4.6e18) as u64);
    }
}

/// Uniform in `(0, 1]`: its logarithm is finite.
fn uniform(random: &mut Random) -> f64 {
    1.0 - random.unit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_stream_is_sampled_alike() {
        let mut tenths = [0_u32; 10];
        for seed in 1..=200 {
            let mut reservoir = Reservoir::new(50, seed);
            let mut slots = Vec::new();
            let mut base = 0;
            for rows in [10, 40, 1, 949, 9_000] {
                reservoir.offer(rows, |offset, slot| {
                    assert!(offset < rows, "seed {seed}");
                    if slot == slots.len() {
                        slots.push(0);
                    }
                    slots[slot] = base + offset;
                });
                base += rows;
            }
            assert_eq!(slots.len(), 50, "seed {seed}");
            slots.iter().for_each(|row| tenths[row / 1_000] += 1);
        }
        // 10,000 draws: 1,000 a tenth, standard deviation 30.
        assert!(tenths.iter().all(|count| (850..1_150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn a_short_stream_is_taken_whole() {
        let mut reservoir = Reservoir::new(10, 3);
        let mut rows = Vec::new();
        reservoir.offer(7, |offset, slot| rows.push((offset, slot)));
        assert_eq!(rows, (0..7).map(|row| (row, row)).collect::<Vec<_>>());
    }
}
