//! TPC-C's consistency conditions 1 to 4 (clause 3.3.2), and that what was acknowledged is there.

use super::Acknowledged;
use super::data::{DISTRICT_YTD, DISTRICTS, Size};
use std::sync::atomic::Ordering;

/// What [`findings`] judges the answers of.
pub const QUESTIONS: [&str; 7] = [
    "SELECT w_id, w_ytd FROM warehouse ORDER BY w_id",
    "SELECT d_w_id, sum(d_ytd) FROM district GROUP BY d_w_id ORDER BY d_w_id",
    "SELECT d_w_id, d_id, d_next_o_id - 1 FROM district ORDER BY d_w_id, d_id",
    "SELECT o_w_id, o_d_id, max(o_id), sum(o_ol_cnt), count(*) FROM orders GROUP BY o_w_id, o_d_id \
     ORDER BY o_w_id, o_d_id",
    "SELECT no_w_id, no_d_id, max(no_o_id), min(no_o_id), count(*) FROM new_order GROUP BY no_w_id, no_d_id \
     ORDER BY no_w_id, no_d_id",
    "SELECT ol_w_id, ol_d_id, count(*) FROM order_line GROUP BY ol_w_id, ol_d_id ORDER BY ol_w_id, ol_d_id",
    "SELECT count(*), sum(h_amount) FROM history",
];

/// What is wrong with the answers of one side.
pub fn findings(answers: &[Vec<i64>], size: Size, done: &Acknowledged) -> Vec<String> {
    let [warehouses, sums, districts, orders, new_orders, lines, history] = answers else {
        return vec!["not all questions were answered".to_owned()];
    };
    let mut findings = Vec::new();
    if warehouses != sums {
        findings.push(format!("condition 1: w_ytd {warehouses:?}, sum(d_ytd) {sums:?}"));
    }
    let expected = (size.warehouses * DISTRICTS) as usize;
    let lengths = [(districts, 3), (orders, 5), (new_orders, 5), (lines, 3)];
    if lengths.iter().any(|(list, width)| list.len() != expected * width) {
        findings.push(format!("not every one of {expected} districts has rows"));
        return findings;
    }
    let each = districts.chunks_exact(3).zip(orders.chunks_exact(5));
    let each = each.zip(new_orders.chunks_exact(5).zip(lines.chunks_exact(3)));
    for ((district, order), (new_order, line)) in each {
        let place = format!("warehouse {}, district {}", district[0], district[1]);
        if order[2] != district[2] || new_order[2] != district[2] {
            findings.push(format!(
                "condition 2: {place}: next order - 1 is {}, last order {}, last new order {}",
                district[2], order[2], new_order[2]
            ));
        }
        if new_order[2] - new_order[3] + 1 != new_order[4] {
            findings.push(format!("condition 3: {place}: new orders {:?}", &new_order[2..]));
        }
        if order[3] != line[2] {
            findings.push(format!("condition 4: {place}: {} lines, sum(o_ol_cnt) {}", line[2], order[3]));
        }
    }
    let acknowledged = |count: &std::sync::atomic::AtomicI64| count.load(Ordering::Relaxed);
    let initial = size.orders();
    let ordered: i64 = orders.chunks_exact(5).map(|order| order[4]).sum();
    if ordered != initial + acknowledged(&done.orders) {
        findings.push(format!("{ordered} orders, {initial} and {} expected", acknowledged(&done.orders)));
    }
    let (payments, paid) = (acknowledged(&done.payments), acknowledged(&done.paid));
    if *history != [initial + payments, initial * 1000 + paid] {
        findings.push(format!("history {history:?}, {initial} rows and {payments} of {paid} expected"));
    }
    let taken: i64 = warehouses.chunks_exact(2).map(|warehouse| warehouse[1]).sum();
    if taken != size.warehouses * DISTRICTS * DISTRICT_YTD + paid {
        findings.push(format!("sum(w_ytd) {taken}, {paid} more than at first expected"));
    }
    findings
}
