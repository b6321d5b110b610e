//! bool_and, bool_or, every, and the bitwise aggregates of integers.

use crate::error::Result;
use crate::sql::functions::aggregate::{State, aggregate};
use crate::sql::functions::kernel::{Argument, Bool, Int2, Int4, Int8, Output};
use crate::sql::functions::registry::AggregateFunction;

macro_rules! fold_states {
    ($($name:ident, $type:ident, |$a:ident, $b:ident| $join:expr;)*) => {$(
        #[derive(Clone, Default)]
        struct $name(Option<<$type as Output>::Value>);

        impl State for $name {
            type Input = $type;
            type Output = $type;
            #[inline]
            fn add(&mut self, $b: <$type as Argument>::Value<'_>) -> Result<()> {
                self.0 = Some(match self.0 {
                    Some($a) => $join,
                    None => $b,
                });
                Ok(())
            }
            fn finish(&self) -> Result<Option<<$type as Output>::Value>> {
                Ok(self.0)
            }
        }
    )*};
}

fold_states! {
    BoolAnd, Bool, |a, b| a && b;
    BoolOr, Bool, |a, b| a || b;
    BitAnd2, Int2, |a, b| a & b;
    BitAnd4, Int4, |a, b| a & b;
    BitAnd8, Int8, |a, b| a & b;
    BitOr2, Int2, |a, b| a | b;
    BitOr4, Int4, |a, b| a | b;
    BitOr8, Int8, |a, b| a | b;
    BitXor2, Int2, |a, b| a ^ b;
    BitXor4, Int4, |a, b| a ^ b;
    BitXor8, Int8, |a, b| a ^ b;
}

pub(super) static TABLE: &[AggregateFunction] = &[
    aggregate!("bool_and", BoolAnd, "whether all values are true"),
    aggregate!("every", BoolAnd, "whether all values are true"),
    aggregate!("bool_or", BoolOr, "whether some value is true"),
    aggregate!("bit_and", BitAnd2, "bitwise and"),
    aggregate!("bit_and", BitAnd4, "bitwise and"),
    aggregate!("bit_and", BitAnd8, "bitwise and"),
    aggregate!("bit_or", BitOr2, "bitwise or"),
    aggregate!("bit_or", BitOr4, "bitwise or"),
    aggregate!("bit_or", BitOr8, "bitwise or"),
    aggregate!("bit_xor", BitXor2, "bitwise exclusive or"),
    aggregate!("bit_xor", BitXor4, "bitwise exclusive or"),
    aggregate!("bit_xor", BitXor8, "bitwise exclusive or"),
];
