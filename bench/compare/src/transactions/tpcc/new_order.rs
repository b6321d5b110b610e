//! New-order (clause 2.4): an order of 5 to 15 lines. Items are taken in the order of their keys, so that two orders
//! wait for each other in one direction only.

use super::data::{DISTRICTS, Size};
use super::random::{between, customer, item};
use crate::random::{Checksum, Random};
use crate::side::{Connection, Failure, Field, Handle, Isolation, Value};

const CUSTOMER: &str =
    "SELECT c_discount, c_last, c_credit FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
const WAREHOUSE: &str = "SELECT w_tax FROM warehouse WHERE w_id = $1";
const DISTRICT: &str = "UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = $1 AND d_id = $2 \
     RETURNING d_next_o_id, d_tax";
const ORDER: &str = "INSERT INTO orders (o_w_id, o_d_id, o_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local) \
     VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP, $5, $6)";
const NEW_ORDER: &str = "INSERT INTO new_order (no_w_id, no_d_id, no_o_id) VALUES ($1, $2, $3)";
const ITEM: &str = "SELECT i_price, i_name, i_data FROM item WHERE i_id = $1";
const LINE: &str = "INSERT INTO order_line (ol_w_id, ol_d_id, ol_o_id, ol_number, ol_i_id, ol_supply_w_id, \
     ol_quantity, ol_amount, ol_dist_info) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

macro_rules! stock {
    ($($district:literal)*) => {
        /// By district: its text of the stock goes into the order line.
        const STOCK: [&str; DISTRICTS as usize] = [$(concat!(
            "UPDATE stock SET s_quantity = CASE WHEN s_quantity >= $3 + 10 THEN s_quantity - $3 ",
            "ELSE s_quantity - $3 + 91 END, s_ytd = s_ytd + $3, s_order_cnt = s_order_cnt + 1, ",
            "s_remote_cnt = s_remote_cnt + $4 WHERE s_w_id = $1 AND s_i_id = $2 ",
            "RETURNING s_dist_", $district, ", s_quantity, s_data"
        )),*];
    };
}

stock!("01" "02" "03" "04" "05" "06" "07" "08" "09" "10");

/// The statements of one client.
pub struct NewOrder {
    begin: Handle,
    customer: Handle,
    warehouse: Handle,
    district: Handle,
    order: Handle,
    new_order: Handle,
    item: Handle,
    stock: [Handle; DISTRICTS as usize],
    line: Handle,
    commit: Handle,
    rollback: Handle,
    /// Supplying warehouse, item, quantity.
    lines: Vec<(i64, i64, i64)>,
    /// What the stock says of the district.
    info: String,
}

impl NewOrder {
    pub fn new<C: Connection>(connection: &mut C, isolation: Isolation) -> NewOrder {
        NewOrder {
            begin: connection.statement(C::begin(isolation)),
            customer: connection.statement(CUSTOMER),
            warehouse: connection.statement(WAREHOUSE),
            district: connection.statement(DISTRICT),
            order: connection.statement(ORDER),
            new_order: connection.statement(NEW_ORDER),
            item: connection.statement(ITEM),
            stock: STOCK.map(|sql| connection.statement(sql)),
            line: connection.statement(LINE),
            commit: connection.statement("COMMIT"),
            rollback: connection.statement("ROLLBACK"),
            lines: Vec::new(),
            info: String::new(),
        }
    }

    fn choose_lines(&mut self, size: Size, home: i64, random: &mut Random) {
        self.lines.clear();
        for _ in 0..between(random, 5, 15) {
            let mut supplier = home;
            if size.warehouses > 1 && random.below(100) == 0 {
                supplier = between(random, 1, size.warehouses - 1);
                supplier += i64::from(supplier >= home);
            }
            self.lines.push((supplier, item(random, size.items), between(random, 1, 10)));
        }
        // One order in a hundred asks for something that is not there.
        if random.below(100) == 0
            && let Some(last) = self.lines.last_mut()
        {
            last.1 = size.items + 1;
        }
        self.lines.sort_unstable();
    }

    /// Whether it was committed, and not rolled back for want of an item.
    pub fn run<C: Connection>(
        &mut self,
        connection: &mut C,
        size: Size,
        home: i64,
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<bool, Failure> {
        let district = between(random, 1, DISTRICTS);
        let customer = customer(random, size.customers);
        self.choose_lines(size, home, random);
        let is_local = self.lines.iter().all(|line| line.0 == home);
        let [w, d, c] = [home, district, customer].map(Value::Integer);
        let mut ignore = |_: Field<'_>| {};
        connection.query(self.begin, &[], &mut ignore)?;
        connection.add(self.customer, &[w, d, c], checksum)?;
        connection.add(self.warehouse, &[w], checksum)?;
        let mut next = None;
        connection.query(self.district, &[w, d], &mut |field| {
            if let Field::Integer(value) = field {
                next.get_or_insert(value);
            }
        })?;
        let order = Value::Integer(next.expect("a district with a next order") - 1);
        let count = Value::Integer(self.lines.len() as i64);
        let local = Value::Integer(i64::from(is_local));
        connection.query(self.order, &[w, d, order, c, count, local], &mut ignore)?;
        connection.query(self.new_order, &[w, d, order], &mut ignore)?;
        for index in 0..self.lines.len() {
            let (supplier, item, quantity) = self.lines[index];
            let mut price = None;
            connection.query(self.item, &[Value::Integer(item)], &mut |field| {
                if let Field::Integer(value) = field {
                    price = Some(value);
                }
            })?;
            let Some(price) = price else {
                connection.query(self.rollback, &[], &mut ignore)?;
                return Ok(false);
            };
            let remote = i64::from(supplier != home);
            let values = [supplier, item, quantity, remote].map(Value::Integer);
            self.info.clear();
            let info = &mut self.info;
            connection.query(self.stock[district as usize - 1], &values, &mut |field| {
                if let (true, Field::Bytes(text)) = (info.is_empty(), field) {
                    info.push_str(std::str::from_utf8(text).expect("letters"));
                }
            })?;
            let [number, supplier, item, amount, quantity] =
                [index as i64 + 1, supplier, item, quantity * price, quantity].map(Value::Integer);
            let info = Value::Text(&self.info);
            let values = [w, d, order, number, item, supplier, quantity, amount, info];
            connection.query(self.line, &values, &mut ignore)?;
        }
        connection.query(self.commit, &[], &mut ignore)?;
        Ok(true)
    }
}
