//! The three promises a commit can make.

use serde::{Deserialize, Serialize};

/// What an acknowledged commit survives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Durability {
    /// A killed process may lose the newest commits; the file stays consistent.
    Off,
    /// A killed process loses nothing; a power loss may lose the newest commits; consistent.
    Normal,
    /// A power loss loses nothing.
    #[default]
    Full,
}

impl Durability {
    /// The setting's value.
    pub const fn name(self) -> &'static str {
        match self {
            Durability::Off => "off",
            Durability::Normal => "normal",
            Durability::Full => "full",
        }
    }
}
