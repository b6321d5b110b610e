//! How the values of one column lie, from a sample of it: most common values, an equi-depth histogram of the others,
//! correlation with the order of the rows.

use crate::sql::types::compare::{compare, equal};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;

/// Most common values kept, and parts of a histogram.
pub(super) const PARTS_MAX: usize = 100;
/// How much more common than the average a common value must be.
const COMMON_FACTOR: f64 = 1.25;

/// What a sample says of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Distribution {
    /// Values with their share of the sample, most common first.
    pub(super) most_common: Vec<(Datum, f64)>,
    /// Bounds of parts of equal counts of the other values.
    pub(super) histogram: Vec<Datum>,
    /// -1 to 1.
    pub(super) correlation: f64,
}

/// Describes `values`: those of the sample that are not NULL, in the order of the table, of `sample_rows` rows in all.
/// `distinct` is how many different values the whole column has, about; `complete`, whether the sample is the table.
pub(super) fn describe(
    values: &[&Datum],
    sample_rows: usize,
    data_type: DataType,
    distinct: f64,
    complete: bool,
) -> Distribution {
    if values.is_empty() {
        return Distribution::default();
    }
    // Ties keep the order of the table, so that equal values do not look disordered.
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    let value = |place: u32| values[place as usize].as_ref();
    order.sort_by(|left, right| compare(value(*left), value(*right), data_type));

    let mut runs: Vec<Run> = Vec::new();
    for (index, place) in order.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if equal(value(order[run.start]), value(*place), data_type) => run.length += 1,
            _ => runs.push(Run { start: index, length: 1 }),
        }
    }
    let mut common = common_runs(&runs, values.len(), distinct, complete);
    let most_common = common
        .iter()
        .map(|run| {
            let share = runs[*run].length as f64 / sample_rows as f64;
            (values[order[runs[*run].start] as usize].clone(), share)
        })
        .collect();
    common.sort_unstable();
    let mut rest = Vec::with_capacity(values.len());
    for (index, run) in runs.iter().enumerate() {
        if common.binary_search(&index).is_err() {
            rest.extend_from_slice(&order[run.start..run.start + run.length]);
        }
    }
    Distribution {
        most_common,
        histogram: bounds(&rest, values, runs.len() - common.len()),
        correlation: correlation(&order),
    }
}

/// Equal values in the sorted sample.
struct Run {
    start: usize,
    length: usize,
}

/// Which runs are common values, most common first.
fn common_runs(runs: &[Run], count: usize, distinct: f64, complete: bool) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..runs.len()).collect();
    let whole = runs.len() <= PARTS_MAX
        && runs.len() > 1
        && (complete || runs.iter().all(|run| run.length > 1))
        && runs.iter().any(|run| run.length > 1);
    if !whole && runs.len() > 1 {
        let average = count as f64 / distinct.max(runs.len() as f64);
        let least = (average * COMMON_FACTOR).max(2.0);
        chosen.retain(|run| runs[*run].length as f64 >= least);
    } else if runs.len() == 1 && runs[0].length == 1 {
        chosen.clear();
    }
    // The sort is stable: equally common values stay in their own order.
    chosen.sort_by(|left, right| runs[*right].length.cmp(&runs[*left].length));
    chosen.truncate(PARTS_MAX);
    chosen
}

fn bounds(rest: &[u32], values: &[&Datum], distinct: usize) -> Vec<Datum> {
    if distinct < 2 {
        // One value left: a histogram of one point.
        return rest.first().map_or_else(Vec::new, |place| vec![values[*place as usize].clone(); 2]);
    }
    let last = rest.len() - 1;
    let parts = last.min(PARTS_MAX);
    (0..=parts).map(|part| values[rest[part * last / parts] as usize].clone()).collect()
}

/// Pearson's coefficient of the places in the table and the places in the order of values.
fn correlation(order: &[u32]) -> f64 {
    let count = order.len() as f64;
    if order.len() < 2 {
        return 0.0;
    }
    let mean = (count - 1.0) / 2.0;
    let covariance: f64 =
        order.iter().enumerate().map(|(rank, place)| (rank as f64 - mean) * (f64::from(*place) - mean)).sum();
    let variance = count * (count * count - 1.0) / 12.0;
    (covariance / variance).clamp(-1.0, 1.0)
}
