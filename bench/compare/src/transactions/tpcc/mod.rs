//! TPC-C's new-order and payment, 45 to 43 as in its mix, on its nine tables, without terminals and thinking times:
//! what the engine can do, no tpmC. Amounts are whole cents and rates ten-thousandths, so that every side adds exactly.
//! A new order that names no item is rolled back, one in a hundred, and counts; a transaction that the engine refuses
//! is an abort, and is run again.

mod consistency;
mod data;
mod new_order;
mod payment;
mod random;
mod schema;

use super::clients::{Tally, Workload};
use super::row::{Floor, Row};
use super::sides::{OfEach, Sides};
use super::{Bench, CLASSES};
use crate::random::{Checksum, Random};
use crate::side::{Class, Connection, Database, Failure, Isolation};
use data::Size;
use std::sync::atomic::{AtomicI64, Ordering};

/// Clients of the rows at the stricter levels.
const STRICT_CLIENTS: [usize; 2] = [8, 32];
/// What aborts at serializable may be of those at repeatable read.
const ABORTS_AT_MOST: f64 = 2.0;

/// The transactions on one side, and what was acknowledged.
struct Tpcc {
    size: Size,
    isolation: Isolation,
    done: Acknowledged,
}

/// Sums over committed transactions.
#[derive(Default)]
struct Acknowledged {
    orders: AtomicI64,
    payments: AtomicI64,
    paid: AtomicI64,
}

struct Client {
    warehouse: i64,
    new_order: new_order::NewOrder,
    payment: payment::Payment,
}

impl Workload for &Tpcc {
    type State = Client;

    fn client<C: Connection>(&self, connection: &mut C, number: usize) -> Client {
        Client {
            warehouse: 1 + number as i64 % self.size.warehouses,
            new_order: new_order::NewOrder::new(connection, self.isolation),
            payment: payment::Payment::new(connection, self.isolation),
        }
    }

    fn transaction<C: Connection>(
        &self,
        connection: &mut C,
        client: &mut Client,
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<(), Failure> {
        if random.below(88) < 45 {
            let is_committed =
                client.new_order.run(connection, self.size, client.warehouse, random, checksum)?;
            self.done.orders.fetch_add(i64::from(is_committed), Ordering::Relaxed);
        } else {
            let amount = client.payment.run(connection, self.size, client.warehouse, random, checksum)?;
            self.done.payments.fetch_add(1, Ordering::Relaxed);
            self.done.paid.fetch_add(amount, Ordering::Relaxed);
        }
        Ok(())
    }
}

pub fn run(bench: &Bench<'_>) {
    for &warehouses in &bench.options.warehouses {
        at(bench, Size::new(warehouses, bench.options.rows));
    }
}

fn at(bench: &Bench<'_>, size: Size) {
    let sides = Sides::new(bench.options, "transactions-tpcc", bench.postgres.as_ref());
    let name = format!("TPC-C {} W", size.warehouses);
    let source = data::Source::new(size);
    sides.load(&name, &schema::tables(&source));
    let work = |isolation| Tpcc { size, isolation, done: Acknowledged::default() };
    let works = || OfEach {
        lumos: work(Isolation::ReadCommitted),
        sqlite: work(Isolation::ReadCommitted),
        postgres: Some(work(Isolation::ReadCommitted)),
    };
    let mut works = works();
    for class in CLASSES {
        for &clients in &bench.options.clients {
            measure(bench, &sides, &works, &name, class, clients);
        }
    }
    if let Err(failure) = sides.lumos.connect(Class::Normal).attempt(Isolation::Serializable.begin()) {
        println!("{name}: no rows at serializable: {}", failure.message);
    }
    for clients in STRICT_CLIENTS {
        let mut aborts = Vec::new();
        for (level, isolation) in
            [("repeatable read", Isolation::RepeatableRead), ("serializable", Isolation::Serializable)]
        {
            if sides.lumos.connect(Class::Normal).attempt(isolation.begin()).is_err() {
                continue;
            }
            works.lumos.isolation = isolation;
            works.sqlite.isolation = isolation;
            works.postgres.iter_mut().for_each(|work| work.isolation = isolation);
            let name = format!("{name} {level}");
            let tallies = measure(bench, &sides, &works, &name, Class::Normal, clients);
            aborts.push(tallies.lumos.aborts as f64 / tallies.lumos.transactions.max(1) as f64);
        }
        if let [repeatable, serializable] = aborts[..] {
            let text = format!(
                "{name}, {clients} clients: aborts a transaction {serializable:.4} at serializable, {repeatable:.4} at repeatable read"
            );
            println!("{text}");
            if serializable > ABORTS_AT_MOST * repeatable {
                bench.note(text);
            }
        }
    }
}

fn measure(
    bench: &Bench<'_>,
    sides: &Sides<'_>,
    works: &OfEach<Tpcc>,
    name: &str,
    class: Class,
    clients: usize,
) -> OfEach<Tally> {
    let workloads = OfEach { lumos: &works.lumos, sqlite: &works.sqlite, postgres: works.postgres.as_ref() };
    let check = || {
        let found = sides.ask(&consistency::QUESTIONS);
        for ((side, found), (_, work)) in found.list().into_iter().zip(works.list()) {
            let findings = consistency::findings(found, work.size, &work.done);
            if let Some(first) = findings.first() {
                return format!("ERROR: {side}: {} findings: {first}", findings.len());
            }
        }
        "consistency conditions 1 to 4 hold, and everything acknowledged is there".to_owned()
    };
    let row = Row { name, class, clients, floor: Floor::None };
    row.measure(bench, sides, &workloads, &check)
}
