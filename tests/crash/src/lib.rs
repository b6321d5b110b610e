//! Crashes of whole databases, and judgement of what they leave. Four harnesses over `Database` and `Session`:
//! `kill` (SIGKILL of a real process on real files), `readers` (the same, with others that read beside it), `power` (every step of a workload cut off by a power loss, on
//! a simulated disk) and `faults` (I/O errors, full disks, lying syncs). Knows no layer below the database.

pub mod damage;
pub mod drawn;
pub mod faults;
pub mod figures;
pub mod full;
pub mod kill;
pub mod kinds;
pub mod model;
pub mod points;
pub mod power;
pub mod readers;
pub mod scenario;
pub mod shortage;
pub mod state;
pub mod tasks;
pub mod workloads;
