//! Histories of concurrent transactions: recorded while several threads work on a database, and judged afterwards.
//!
//! ```text
//!  sessions in threads ──▶ history: who began and ended when, appended and read what, and how it ended
//!      list_append         the order in which lists grew says who came before whom (ww, wr, rw, real time)
//!      graph               a cycle is an anomaly; its edges say which one
//!      bank, predicate     sums and counts that every level keeps, and those that only serializable keeps
//!      references          rows that refer to others, and numbers that sequences give them
//! ```
//! Source: Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations for Distributed Transactions",
//! 1999; Kingsbury, Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", 2020.

pub mod anomaly;
pub mod bank;
pub mod client;
pub mod faults;
pub mod graph;
pub mod history;
pub mod list_append;
pub mod predicate;
pub mod references;
pub mod tally;
pub mod workload;
