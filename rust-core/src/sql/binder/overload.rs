//! Which of several functions, operators or aggregates of one name is meant, and the common type of several values.
//! Knows types alone: no expressions, no names.
//!
//! PostgreSQL's rules (documentation, chapter "Type Conversion"): an exact match wins; else the candidates that the
//! arguments can be converted to implicitly are narrowed by counting exact matches, then preferred types, then by
//! what the untyped literals could be.

use crate::sql::types::cast::{CastContext, cast_context};
use crate::sql::types::data_type::DataType;
use smallvec::SmallVec;

/// PostgreSQL's type categories, as far as there are types for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TypeCategory {
    Boolean,
    Number,
    String,
    DateTime,
    TimeSpan,
    Bytes,
    Unknown,
}

/// The category of a type.
pub(super) fn category(data_type: DataType) -> TypeCategory {
    match data_type {
        DataType::Unknown => TypeCategory::Unknown,
        DataType::Boolean => TypeCategory::Boolean,
        DataType::SmallInt
        | DataType::Integer
        | DataType::BigInt
        | DataType::Real
        | DataType::Double
        | DataType::Numeric => TypeCategory::Number,
        DataType::Text | DataType::Varchar | DataType::Char => TypeCategory::String,
        DataType::Bytea => TypeCategory::Bytes,
        DataType::Date | DataType::Timestamp | DataType::TimestampTz => TypeCategory::DateTime,
        DataType::Interval => TypeCategory::TimeSpan,
    }
}

/// Whether a type wins in its category where nothing else decides.
pub(super) fn is_preferred(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean | DataType::Double | DataType::Text | DataType::TimestampTz | DataType::Interval
    )
}

/// Whether a value of `from` may stand where `to` is asked for without the user saying so.
/// An `Unknown` target stands for "any type".
pub(super) fn converts_implicitly(from: DataType, to: DataType) -> bool {
    from == to
        || from == DataType::Unknown
        || to == DataType::Unknown
        || cast_context(from, to) == Some(CastContext::Implicit)
}

/// Argument types of one candidate, as many as there are arguments in the call.
pub(super) type Signature = SmallVec<[DataType; 4]>;

/// A candidate's argument types stretched to `count` arguments; `None` where it does not take so many.
pub(super) fn signature_for(arguments: &[DataType], variadic: bool, count: usize) -> Option<Signature> {
    if !variadic {
        return (arguments.len() == count).then(|| Signature::from_slice(arguments));
    }
    let last = arguments.last().copied().unwrap_or(DataType::Unknown);
    if count + 1 < arguments.len() {
        return None;
    }
    Some((0..count).map(|index| arguments.get(index).copied().unwrap_or(last)).collect())
}

/// The result of looking for the best candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    /// This one.
    One(usize),
    /// Several fit equally.
    Ambiguous,
    /// None fits.
    NoMatch,
}

/// Chooses among function candidates (all with as many arguments as `inputs`).
pub(super) fn choose_function(candidates: &[Signature], inputs: &[DataType]) -> Choice {
    if let Some(index) = candidates.iter().position(|candidate| candidate.as_slice() == inputs) {
        return Choice::One(index);
    }
    choose_by_conversion(candidates, inputs)
}

/// Chooses among binary (or, with one input, prefix) operators: an untyped side is first taken to be of the
/// other side's type.
pub(super) fn choose_operator(candidates: &[Signature], inputs: &[DataType]) -> Choice {
    let mut assumed = Signature::from_slice(inputs);
    if let [left, right] = inputs {
        if *left == DataType::Unknown {
            assumed[0] = *right;
        } else if *right == DataType::Unknown {
            assumed[1] = *left;
        }
    }
    if let Some(index) = candidates.iter().position(|candidate| *candidate == assumed) {
        return Choice::One(index);
    }
    choose_by_conversion(candidates, inputs)
}

fn choose_by_conversion(candidates: &[Signature], inputs: &[DataType]) -> Choice {
    let fits = |candidate: &Signature| {
        candidate.iter().zip(inputs).all(|(target, input)| converts_implicitly(*input, *target))
    };
    let mut left: Vec<usize> = (0..candidates.len()).filter(|&index| fits(&candidates[index])).collect();
    match left.as_slice() {
        [] => return Choice::NoMatch,
        [only] => return Choice::One(*only),
        _ => {}
    }
    keep_best(&mut left, |index| {
        let pairs = candidates[index].iter().zip(inputs);
        pairs.filter(|(target, input)| **input != DataType::Unknown && target == input).count()
    });
    if let [only] = left.as_slice() {
        return Choice::One(*only);
    }
    keep_best(&mut left, |index| {
        let pairs = candidates[index].iter().zip(inputs);
        pairs
            .filter(|(target, input)| {
                **input != DataType::Unknown
                    && (target == input
                        || (category(**target) == category(**input) && is_preferred(**target)))
            })
            .count()
    });
    if let [only] = left.as_slice() {
        return Choice::One(*only);
    }
    choose_by_unknowns(candidates, inputs, left)
}

/// The last rules: what the untyped arguments could be.
fn choose_by_unknowns(candidates: &[Signature], inputs: &[DataType], mut left: Vec<usize>) -> Choice {
    if !inputs.contains(&DataType::Unknown) {
        return Choice::Ambiguous;
    }
    let mut wanted: SmallVec<[Option<(TypeCategory, bool)>; 4]> = SmallVec::new();
    let mut decided = true;
    for (position, input) in inputs.iter().enumerate() {
        wanted.push(None);
        if *input != DataType::Unknown || !decided {
            continue;
        }
        let categories = || left.iter().map(|&index| category(candidates[index][position]));
        let chosen = if categories().any(|one| one == TypeCategory::String) {
            Some(TypeCategory::String)
        } else {
            let first = categories().next();
            first.filter(|first| categories().all(|one| one == *first))
        };
        match chosen {
            Some(chosen) => {
                let preferred = left.iter().any(|&index| {
                    let target = candidates[index][position];
                    category(target) == chosen && is_preferred(target)
                });
                wanted[position] = Some((chosen, preferred));
            }
            None => decided = false,
        }
    }
    if decided {
        let keeps = |index: &usize| {
            wanted.iter().zip(&candidates[*index]).all(|(wanted, target)| match wanted {
                Some((chosen, preferred)) => {
                    category(*target) == *chosen && (!preferred || is_preferred(*target))
                }
                None => true,
            })
        };
        let narrowed: Vec<usize> = left.iter().copied().filter(keeps).collect();
        if let [only] = narrowed.as_slice() {
            return Choice::One(*only);
        }
        if !narrowed.is_empty() {
            left = narrowed;
        }
    }
    choose_by_known_type(candidates, inputs, &left)
}

/// Where all typed arguments have one type, the untyped ones are taken to have it as well.
fn choose_by_known_type(candidates: &[Signature], inputs: &[DataType], left: &[usize]) -> Choice {
    let mut known = inputs.iter().copied().filter(|input| *input != DataType::Unknown);
    let Some(first) = known.next() else { return Choice::Ambiguous };
    if !known.all(|other| other == first) {
        return Choice::Ambiguous;
    }
    let mut fitting = left
        .iter()
        .filter(|&&index| candidates[index].iter().all(|target| converts_implicitly(first, *target)));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Choice::One(*only),
        _ => Choice::Ambiguous,
    }
}

fn keep_best(left: &mut Vec<usize>, score: impl Fn(usize) -> usize) {
    let best = left.iter().map(|&index| score(index)).max().unwrap_or(0);
    left.retain(|&index| score(index) == best);
}

/// The type that values of all `types` are converted to by CASE, COALESCE, VALUES and their like: PostgreSQL's rules
/// for UNION. `Err((first, other))`: the two types cannot be matched. All unknown: text.
pub(super) fn common_type(
    types: impl IntoIterator<Item = DataType>,
) -> Result<DataType, (DataType, DataType)> {
    let mut chosen = DataType::Unknown;
    for next in types {
        if next == DataType::Unknown || next == chosen {
            continue;
        }
        if chosen == DataType::Unknown {
            chosen = next;
        } else if category(chosen) != category(next) {
            return Err((chosen, next));
        } else if !is_preferred(chosen)
            && converts_implicitly(chosen, next)
            && !converts_implicitly(next, chosen)
        {
            chosen = next;
        }
    }
    Ok(if chosen == DataType::Unknown { DataType::Text } else { chosen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType::*;

    fn signatures(list: &[&[DataType]]) -> Vec<Signature> {
        list.iter().map(|one| Signature::from_slice(one)).collect()
    }

    const EQUALS: &[&[DataType]] = &[
        &[Boolean, Boolean],
        &[SmallInt, SmallInt],
        &[Integer, Integer],
        &[BigInt, BigInt],
        &[Real, Real],
        &[Double, Double],
        &[Numeric, Numeric],
        &[Text, Text],
        &[Char, Char],
        &[Bytea, Bytea],
        &[Date, Date],
        &[Timestamp, Timestamp],
        &[TimestampTz, TimestampTz],
        &[Interval, Interval],
    ];

    fn equals(left: DataType, right: DataType) -> Option<&'static [DataType]> {
        match choose_operator(&signatures(EQUALS), &[left, right]) {
            Choice::One(index) => Some(EQUALS[index]),
            _ => None,
        }
    }

    #[test]
    fn equality_meets_at_the_type_postgresql_chooses() {
        assert_eq!(equals(Integer, Integer), Some(&[Integer, Integer][..]));
        assert_eq!(equals(BigInt, Integer), Some(&[BigInt, BigInt][..]));
        assert_eq!(equals(SmallInt, Numeric), Some(&[Numeric, Numeric][..]));
        assert_eq!(equals(Double, Numeric), Some(&[Double, Double][..]));
        assert_eq!(equals(Varchar, Varchar), Some(&[Text, Text][..]));
        assert_eq!(equals(Varchar, Unknown), Some(&[Text, Text][..]));
        assert_eq!(equals(Char, Varchar), Some(&[Char, Char][..]));
        assert_eq!(equals(Date, Unknown), Some(&[Date, Date][..]));
        assert_eq!(equals(Date, Timestamp), Some(&[Timestamp, Timestamp][..]));
        assert_eq!(equals(Unknown, Unknown), Some(&[Text, Text][..]));
        assert_eq!(equals(Integer, Text), None);
        assert_eq!(equals(Boolean, Integer), None);
    }

    #[test]
    fn an_untyped_argument_prefers_strings_and_then_the_preferred_type() {
        let abs = signatures(&[&[SmallInt], &[Integer], &[BigInt], &[Real], &[Double], &[Numeric]]);
        assert_eq!(choose_function(&abs, &[Unknown]), Choice::One(4));
        assert_eq!(choose_function(&abs, &[Text]), Choice::NoMatch);
        let length = signatures(&[&[Bytea], &[Text]]);
        assert_eq!(choose_function(&length, &[Unknown]), Choice::One(1));
        let minus = signatures(&[&[Date, Integer], &[Date, Date], &[Timestamp, Interval]]);
        assert_eq!(choose_operator(&minus, &[Date, Unknown]), Choice::One(1));
        let plus = signatures(&[&[Date, Integer], &[Integer, Date]]);
        assert_eq!(choose_operator(&plus, &[Unknown, Unknown]), Choice::Ambiguous);
    }

    #[test]
    fn a_variadic_signature_repeats_its_last_type() {
        let stretched = signature_for(&[Text, Integer], true, 4);
        assert_eq!(stretched.as_deref(), Some(&[Text, Integer, Integer, Integer][..]));
        assert_eq!(signature_for(&[Text, Integer], true, 1).as_deref(), Some(&[Text][..]));
        assert_eq!(signature_for(&[Text, Integer], true, 0), None);
        assert_eq!(signature_for(&[Text], false, 2), None);
    }

    #[test]
    fn the_common_type_widens_and_refuses_other_categories() {
        assert_eq!(common_type([Integer, Numeric, SmallInt]), Ok(Numeric));
        assert_eq!(common_type([Unknown, Date, Timestamp]), Ok(Timestamp));
        assert_eq!(common_type([Unknown, Unknown]), Ok(Text));
        assert_eq!(common_type([Varchar, Text]), Ok(Varchar));
        assert_eq!(common_type([Integer, Text]), Err((Integer, Text)));
    }
}
