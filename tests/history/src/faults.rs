//! Histories on a disk that fails: commits whose outcome is unknown, crashes, and recovery in between. What was
//! acknowledged is there afterwards, what was refused is not, and an unknown commit is there whole or not at all.

use crate::anomaly::{Anomaly, Finding};
use crate::history::Level;
use crate::references;
use crate::workload::{Lists, Record, WorkloadOptions, create, read_all, run};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::durability::policy::Durability;
use lumos_core::error::{Error, Result};
use lumos_core::io::fault::{Fault, FaultPlan, FaultVfs, Survival};
use std::path::Path;
use std::sync::Arc;

/// How a disk may fail.
const FAULTS: [Fault; 5] =
    [Fault::PowerLoss, Fault::IoError, Fault::FailedSync, Fault::ShortWrite, Fault::DiskFull];
/// What a power loss leaves of what was not synced.
const SURVIVALS: [Survival; 4] = [Survival::Nothing, Survival::Some, Survival::Prefix, Survival::Everything];

fn open(disk: &FaultVfs) -> Result<Arc<Database>> {
    let options = DatabaseOptions {
        memory_limit: Some(4 << 20),
        page_size: 1024,
        vfs: Some(Arc::new(disk.clone())),
        log_segment_first_bytes: 64 << 10,
        log_segment_max_bytes: 256 << 10,
        durability: Durability::Full,
        background_checkpoints: false,
        ..DatabaseOptions::default()
    };
    Database::open(Some(Path::new("/d/app.lumos")), options)
}

/// Runs `rounds` rounds of transactions of `level`, each until the disk fails at a call that the seed says, or until there were
/// `transactions`; between them the disk is as a power loss leaves it, and is recovered. Gives the record and how many
/// rounds met their fault.
/// # Errors
/// Opening, and reading at the end, may not fail.
pub fn run_rounds(level: Level, rounds: u64, transactions: usize, seed: u64) -> Result<(Record, u64)> {
    let mut random = Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut disk = FaultVfs::new();
    let database = open(&disk)?;
    create(&database)?;
    drop(database);
    let lists = Lists::new(8);
    let mut whole = Record::default();
    let mut met = 0;
    for round in 0..rounds {
        let database = open(&disk)?;
        whole.findings.extend(references::find_orphans(&database)?);
        let plan = FaultPlan {
            at: 20 + random.below(400),
            fault: FAULTS[random.below(FAULTS.len() as u64) as usize],
            forever: random.below(2) == 0,
        };
        disk.set_plan(Some(plan));
        let options = WorkloadOptions {
            transactions,
            checkpoint_every: 40,
            levels: vec![level],
            references: true,
            seed: random.next_u64(),
            ..WorkloadOptions::default()
        };
        let mut record: Record = run(&database, &lists, &options);
        met += u64::from(disk.faults_shown() > 0);
        // What a disk that fails makes of statements is another harness's matter.
        let is_own = |finding: &Finding| {
            finding.anomaly != Anomaly::UnexpectedError || finding.text.contains("panicked")
        };
        record.findings.retain(is_own);
        whole.add(record);
        database.poison(Error::internal("the machine stopped"));
        drop(database);
        let survival = SURVIVALS[random.below(SURVIVALS.len() as u64) as usize];
        disk = disk.image_after_power_loss(survival, seed ^ round);
    }
    let database = open(&disk)?;
    whole.add(read_all(&database, &lists, level)?);
    whole.findings.extend(references::judge(&whole.drawn));
    Ok((whole, met))
}
