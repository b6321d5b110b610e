//! The types that their uses give a statement's parameters. (The parser numbers them.)

use crate::error::{Error, Result, SqlState};
use crate::sql::types::data_type::DataType;

/// What is known of the parameters so far.
#[derive(Debug)]
pub(super) struct Parameters {
    types: Vec<DataType>,
}

impl Parameters {
    /// Begins with the types the caller declared.
    pub(super) fn new(declared: &[DataType]) -> Parameters {
        Parameters { types: declared.to_vec() }
    }

    /// The type of a parameter so far; `Unknown` until a use decides it.
    pub(super) fn type_so_far(&mut self, index: usize) -> DataType {
        if self.types.len() <= index {
            self.types.resize(index + 1, DataType::Unknown);
        }
        self.types[index]
    }

    /// Fixes the type of a parameter that is used as `data_type`.
    pub(super) fn decide(&mut self, index: usize, data_type: DataType) -> Result<()> {
        let known = &mut self.types[index];
        if *known == DataType::Unknown {
            *known = data_type;
        } else if *known != data_type {
            let message = format!("inconsistent types deduced for parameter ${}", index + 1);
            return Err(Error::new(SqlState::AMBIGUOUS_PARAMETER, message)
                .detail(format!("{} versus {}", known.name(), data_type.name()))
                .hint("Cast the parameter to the type that is meant."));
        }
        Ok(())
    }

    /// The final types: what no use decided is text.
    pub(super) fn finish(self) -> Vec<DataType> {
        let text_if_unknown = |known| if known == DataType::Unknown { DataType::Text } else { known };
        self.types.into_iter().map(text_if_unknown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_keeps_its_first_type_and_refuses_another() {
        let mut parameters = Parameters::new(&[]);
        assert_eq!(parameters.type_so_far(1), DataType::Unknown);
        parameters.decide(1, DataType::Integer).unwrap();
        parameters.decide(1, DataType::Integer).unwrap();
        let error = parameters.decide(1, DataType::Text).unwrap_err();
        assert_eq!(error.state(), SqlState::AMBIGUOUS_PARAMETER);
        assert_eq!(error.detail_text(), Some("integer versus text"));
        assert_eq!(parameters.finish(), [DataType::Text, DataType::Integer]);
    }
}
