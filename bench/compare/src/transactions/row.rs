//! One row: every side in turn, run after run; then what each came to, the ratios, and the floor.

use super::Bench;
use super::clients::{Crew, Tally, Workload, answers};
use super::sides::{OfEach, Sides};
use crate::measure::Plan;
use crate::rate;
use crate::side::{Class, Database};

/// What a row must reach; below it is said.
#[derive(Clone, Copy)]
pub enum Floor {
    None,
    /// Times SQLite's rate.
    Sqlite(f64),
    /// Transactions a second.
    Rate(f64),
}

/// What is to be measured.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub name: &'a str,
    pub class: Class,
    pub clients: usize,
    pub floor: Floor,
}

pub fn header() {
    println!(
        "{:<33} {:>2}  {:<10} {:>10} {:>8}  {:>10} {:>10} {:>10}  {:>7} {:>8} {:>7}",
        "row",
        "cl",
        "side",
        "a second",
        "lumos x",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "aborts",
        "log B/tx",
        "sync/c"
    );
}

impl Row<'_> {
    /// Measures each side with its own instance of the workload. `check` sees the tables afterwards and gives a line,
    /// which begins with ERROR when something is wrong.
    pub fn measure<W: Workload>(
        &self,
        bench: &Bench<'_>,
        sides: &Sides<'_>,
        workloads: &OfEach<W>,
        check: &dyn Fn() -> String,
    ) -> OfEach<Tally> {
        let plan = bench.options.plan;
        let mut lumos = Side::new(&sides.lumos, &workloads.lumos, self);
        let mut sqlite = Side::new(&sides.sqlite, &workloads.sqlite, self);
        let mut postgres = sides
            .postgres
            .zip(workloads.postgres.as_ref())
            .map(|(database, workload)| Side::new(database, workload, self));
        for run in 0..=plan.runs {
            lumos.run(plan, run);
            sqlite.run(plan, run);
            if let Some(postgres) = &mut postgres {
                postgres.run(plan, run);
            }
        }
        let tallies = OfEach {
            lumos: lumos.tally,
            sqlite: sqlite.tally,
            postgres: postgres.map(|postgres| postgres.tally),
        };
        self.report(bench, &tallies, &check());
        tallies
    }

    fn report(&self, bench: &Bench<'_>, tallies: &OfEach<Tally>, check: &str) {
        let ours = tallies.lumos.median();
        for (index, (side, tally)) in tallies.list().into_iter().enumerate() {
            let name = if index == 0 { self.title() } else { String::new() };
            let clients = if index == 0 { self.clients.to_string() } else { String::new() };
            let beside = if index == 0 { String::new() } else { format!("{:.2}", ours / tally.median()) };
            let syncs = tally.syncs_each().map_or_else(String::new, |syncs| format!("{syncs:.3}"));
            println!(
                "{name:<33} {clients:>2}  {side:<10} {:>10} {beside:>8}  {:>10.1} {:>10.1} {:>10.1}  {:>7} {:>8.0} {syncs:>7}",
                rate(tally.median()),
                tally.micros(0.5),
                tally.micros(0.99),
                tally.micros(0.999),
                tally.aborts,
                tally.log_bytes_each(),
            );
        }
        let floor = match self.floor {
            Floor::None => None,
            Floor::Sqlite(floor) => {
                let ratio = ours / tallies.sqlite.median();
                Some((ratio >= floor, format!("floor {floor} x sqlite: {ratio:.2}")))
            }
            Floor::Rate(floor) => {
                Some((ours >= floor, format!("floor {} a second: {}", rate(floor), rate(ours))))
            }
        };
        if let Some((holds, text)) = &floor {
            println!("{:38}{text}, {}", "", if *holds { "holds" } else { "MISSED" });
            if !holds {
                bench.note(format!("{}, {} clients: {text}", self.title(), self.clients));
            }
        }
        println!("{:38}{check}", "");
        if check.starts_with("ERROR") {
            bench.note(format!("{}, {} clients: {check}", self.title(), self.clients));
        }
    }

    fn title(&self) -> String {
        format!("{} {}", self.name, format!("{:?}", self.class).to_lowercase())
    }
}

/// A side with its clients.
struct Side<'a, D: Database, W: Workload> {
    database: &'a D,
    workload: &'a W,
    crew: Crew<D::Connection, W::State>,
    tally: Tally,
}

impl<'a, D: Database, W: Workload> Side<'a, D, W> {
    fn new(database: &'a D, workload: &'a W, row: &Row<'_>) -> Side<'a, D, W> {
        database.enter(row.class);
        let crew = Crew::new(database, row.class, row.clients, workload);
        Side { database, workload, crew, tally: Tally::default() }
    }

    /// Run 0 warms up.
    fn run(&mut self, plan: Plan, run: usize) {
        let length = if run == 0 { plan.warm_up } else { plan.length };
        self.crew.run(self.database, self.workload, length, (run > 0).then_some(&mut self.tally));
    }
}

/// Whether all sides read the same; a line for reports.
pub fn compare<W: Workload>(sides: &Sides<'_>, workload: &W, count: usize) -> String {
    let lumos = answers(&sides.lumos, workload, count);
    let sqlite = answers(&sides.sqlite, workload, count);
    let postgres = sides.postgres.map(|postgres| answers(postgres, workload, count));
    let all = [Some(sqlite), postgres];
    if all.into_iter().flatten().all(|other| other == lumos) {
        format!("{} rows read alike, {:016x}", lumos.rows, lumos.sum)
    } else {
        format!("ERROR: lumos read {} rows, {:016x}; the others {all:?}", lumos.rows, lumos.sum)
    }
}
