//! Sessions: the only conductor of a statement's life, from text to rows.
//!
//! A statement is checked, parsed, bound against the newest catalog (plus the transaction's own definitions),
//! its tables are locked, the catalog is compared once more, it is planned, run, and committed or undone.
//! Knows every layer below. Knows nothing of files, of other sessions, or of C.

mod activity;
mod add_column;
mod alter;
mod analyze;
mod beside;
mod block;
mod calls;
mod computed;
mod concurrent_drop;
mod concurrent_index;
mod constraints;
mod copy;
mod create_table_as;
mod damage;
mod definition;
mod definition_gate;
mod drop;
pub mod engine;
mod environment;
mod execution;
mod explain;
mod generation;
mod leavings;
mod listening;
mod lock;
mod locks;
mod named;
mod notice;
mod notifications;
mod parameters;
mod plan_cache;
mod portal;
mod prepare;
mod prepared;
mod presence;
mod reindex;
pub mod result;
mod savepoint;
mod script;
mod sequence;
mod sequence_values;
#[allow(clippy::module_inception, reason = "the folder is named for its main type")]
mod session;
mod sessions;
mod setting;
mod settings;
mod short_path;
pub mod statements;
mod transactions;
mod truncate;
mod utility;
mod vacuum;
mod view;

#[cfg(test)]
mod tests;

pub use computed::computed_values;
pub use copy::CopyDirection;
pub use definition_gate::DefinitionGate;
pub use notice::{Notice, Severity};
pub use notifications::{Notification, NotificationHub};
pub use portal::Portal;
pub use prepared::Prepared;
pub use session::Session;
pub use settings::{SettingDescription, setting_descriptions};
