//! Commits of several threads while checkpoints run back to back, and power losses at any moment: whatever was
//! acknowledged when the power went is there.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result};
use lumos_core::io::fault::{FaultVfs, Survival};
use lumos_core::storage::CheckpointStep;
use lumos_crash::state::{findings_of, rows};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const CLIENTS: u64 = 3;
/// Rows of a client; each of its commits changes all of them, or one.
const ROWS: u64 = 40;
const ROUNDS: u64 = 25;

fn open(disk: &FaultVfs) -> Arc<Database> {
    let options = DatabaseOptions {
        memory_limit: Some(4 << 20),
        page_size: 1024,
        vfs: Some(Arc::new(disk.clone())),
        log_segment_first_bytes: 64 << 10,
        log_segment_max_bytes: 256 << 10,
        ..DatabaseOptions::default()
    };
    Database::open(Some(Path::new("/d/app.lumos")), options).unwrap()
}

/// Client, row, version of every row.
fn versions(database: &Arc<Database>) -> Vec<(u64, u64, u64)> {
    let mut session = database.connect().unwrap();
    let all =
        rows(&mut session, "SELECT client::text, id::text, n::text FROM t ORDER BY client, id").unwrap();
    all.iter()
        .map(|row| {
            let numbers: Vec<u64> = row
                .split('|')
                .map(|value| value.trim_start_matches("Text(\"").trim_end_matches("\")").parse().unwrap())
                .collect();
            (numbers[0], numbers[1], numbers[2])
        })
        .collect()
}

/// A checkpoint that lets the first client commit after the cut, and between the first steps.
fn slow_checkpoint(database: &Arc<Database>, acknowledged: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    let Some(mut checkpoint) = database.engine().manager.begin_checkpoint(false)? else { return Ok(()) };
    let mut steps = 0;
    loop {
        let target = acknowledged.load(Ordering::SeqCst) + u64::from(steps < 4);
        while acknowledged.load(Ordering::SeqCst) < target && !stop.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        steps += 1;
        if checkpoint.step()? == CheckpointStep::Done {
            return Ok(());
        }
    }
}

#[test]
fn checkpoints_back_to_back_lose_no_acknowledged_commit_and_show_no_half_of_one() {
    let disk = FaultVfs::new();
    let database = open(&disk);
    let mut session = database.connect().unwrap();
    session
        .execute_script("CREATE TABLE t (id bigint PRIMARY KEY, client bigint, n bigint, s text); CREATE INDEX t_n ON t (n)")
        .unwrap();
    for client in 0..CLIENTS {
        let values: Vec<String> = (0..ROWS)
            .map(|row| format!("({}, {client}, 0, repeat('x', 300))", row * CLIENTS + client))
            .collect();
        session.execute_script(&format!("INSERT INTO t VALUES {}", values.join(","))).unwrap();
    }
    let acknowledged: [AtomicU64; CLIENTS as usize] = std::array::from_fn(|_| AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let mut images = 0;
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (database, acknowledged, stop) = (&database, &acknowledged, &stop);
            scope.spawn(move || {
                let mut session = database.connect().unwrap();
                for n in 1.. {
                    // All rows of the client have the same version after each commit.
                    let sql = format!(
                        "UPDATE t SET n = {n}, s = repeat('y', {}) WHERE client = {client}",
                        n * 37 % 400
                    );
                    // The others are not to wait for what a panic here would never bring.
                    if let Err(error) = session.execute_script(&sql) {
                        stop.store(true, Ordering::SeqCst);
                        panic!("client {client}, commit {n}: {error:?}");
                    }
                    acknowledged[client as usize].store(n, Ordering::SeqCst);
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                if let Err(error) = slow_checkpoint(&database, &acknowledged[0], &stop) {
                    stop.store(true, Ordering::SeqCst);
                    panic!("{error:?}");
                }
            }
        });
        let mut random = Random::new(5);
        for round in 0..ROUNDS {
            let target = acknowledged[0].load(Ordering::SeqCst) + 2;
            while acknowledged[0].load(Ordering::SeqCst) < target && !stop.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let before: Vec<u64> = acknowledged.iter().map(|n| n.load(Ordering::SeqCst)).collect();
            let survival = [Survival::Nothing, Survival::Some, Survival::Prefix][random.below(3) as usize];
            let image = disk.image_after_power_loss(survival, random.next_u64());
            let after: Vec<u64> = acknowledged.iter().map(|n| n.load(Ordering::SeqCst) + 1).collect();
            let found = open(&image);
            let rows = versions(&found);
            assert_eq!(rows.len() as u64, CLIENTS * ROWS, "round {round}, {survival:?}");
            for (client, _, n) in &rows {
                let client = *client as usize;
                let first = rows.iter().find(|(other, ..)| *other as usize == client).unwrap().2;
                assert_eq!(*n, first, "round {round}, {survival:?}: client {client} is half way");
                assert!(
                    (before[client]..=after[client]).contains(n),
                    "round {round}, {survival:?}: client {client} at {n}, acknowledged {}",
                    before[client]
                );
            }
            assert_eq!(findings_of(&found), Vec::<String>::new(), "round {round}, {survival:?}");
            found.poison(Error::internal("judged"));
            images += 1;
        }
        stop.store(true, Ordering::SeqCst);
    });
    let figure = |name: &str| database.statistic(name).unwrap();
    println!(
        "{images} images, {} commits, {} checkpoints, {} pages, {} pre-images saved, {} written, {} old evictions",
        figure("commits"),
        figure("checkpoints"),
        figure("checkpoint_pages"),
        figure("checkpoint_images_saved"),
        figure("checkpoint_images_written"),
        figure("checkpoint_evictions")
    );
    assert!(figure("checkpoints") > 5 && figure("checkpoint_images_saved") > 0);
    assert_eq!(findings_of(&database), Vec::<String>::new());
    drop((session, database));
    assert_eq!(versions(&open(&disk)).len() as u64, CLIENTS * ROWS);
}
