//! Payment (clause 2.5): a customer, by number or by last name, pays a district of a warehouse.

use super::data::{DISTRICTS, Size};
use super::random::{between, customer, last_name, name_number};
use crate::random::{Checksum, Random};
use crate::side::{Connection, Failure, Field, Handle, Isolation, Value};

const WAREHOUSE: &str = "UPDATE warehouse SET w_ytd = w_ytd + $2 WHERE w_id = $1 \
     RETURNING w_name, w_street_1, w_street_2, w_city, w_state, w_zip";
const DISTRICT: &str = "UPDATE district SET d_ytd = d_ytd + $3 WHERE d_w_id = $1 AND d_id = $2 \
     RETURNING d_name, d_street_1, d_street_2, d_city, d_state, d_zip";
const BY_NAME: &str =
    "SELECT c_id FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_last = $3 ORDER BY c_first";
const CUSTOMER: &str = "UPDATE customer SET c_balance = c_balance - $4, c_ytd_payment = c_ytd_payment + $4, \
     c_payment_cnt = c_payment_cnt + 1 WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3 \
     RETURNING c_credit, c_data, c_first, c_middle, c_last, c_street_1, c_street_2, c_city, c_state, c_zip, c_phone, \
     c_since, c_credit_lim, c_discount, c_balance";
const CREDIT: &str = "UPDATE customer SET c_data = $4 WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
const HISTORY: &str = "INSERT INTO history (h_c_id, h_c_d_id, h_c_w_id, h_d_id, h_w_id, h_date, h_amount, h_data) \
     VALUES ($1, $2, $3, $4, $5, CURRENT_TIMESTAMP, $6, $7)";

/// The longest data of a customer.
const DATA: usize = 500;

/// The statements of one client.
pub struct Payment {
    begin: Handle,
    warehouse: Handle,
    district: Handle,
    by_name: Handle,
    customer: Handle,
    credit: Handle,
    history: Handle,
    commit: Handle,
    found: Vec<i64>,
}

impl Payment {
    pub fn new<C: Connection>(connection: &mut C, isolation: Isolation) -> Payment {
        Payment {
            begin: connection.statement(C::begin(isolation)),
            warehouse: connection.statement(WAREHOUSE),
            district: connection.statement(DISTRICT),
            by_name: connection.statement(BY_NAME),
            customer: connection.statement(CUSTOMER),
            credit: connection.statement(CREDIT),
            history: connection.statement(HISTORY),
            commit: connection.statement("COMMIT"),
            found: Vec::new(),
        }
    }

    /// The cents that were paid.
    pub fn run<C: Connection>(
        &mut self,
        connection: &mut C,
        size: Size,
        home: i64,
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<i64, Failure> {
        let district = between(random, 1, DISTRICTS);
        let amount = between(random, 100, 500_000);
        let (mut of_warehouse, mut of_district) = (home, district);
        if size.warehouses > 1 && random.below(100) < 15 {
            of_warehouse = between(random, 1, size.warehouses - 1);
            of_warehouse += i64::from(of_warehouse >= home);
            of_district = between(random, 1, DISTRICTS);
        }
        let [w, d, cw, cd, h] = [home, district, of_warehouse, of_district, amount].map(Value::Integer);
        let mut ignore = |_: Field<'_>| {};
        connection.query(self.begin, &[], &mut ignore)?;
        connection.add(self.warehouse, &[w, h], checksum)?;
        connection.add(self.district, &[w, d, h], checksum)?;
        let number = if random.below(100) < 60 {
            let name = last_name(name_number(random, size.customers));
            self.found.clear();
            let found = &mut self.found;
            connection.query(self.by_name, &[cw, cd, Value::Text(&name)], &mut |field| {
                if let Field::Integer(value) = field {
                    found.push(value);
                }
            })?;
            self.found[(self.found.len() - 1) / 2]
        } else {
            customer(random, size.customers)
        };
        let c = Value::Integer(number);
        // Credit and data are the first two columns.
        let mut texts: Vec<Vec<u8>> = Vec::new();
        connection.query(self.customer, &[cw, cd, c, h], &mut |field| {
            if let (true, Field::Bytes(text)) = (texts.len() < 2, field) {
                texts.push(text.to_vec());
            }
        })?;
        if let [credit, data] = &texts[..]
            && credit == b"BC"
        {
            let mut text = format!("{number} {of_district} {of_warehouse} {district} {home} {amount} ");
            text.push_str(std::str::from_utf8(data).expect("letters"));
            text.truncate(DATA);
            connection.query(self.credit, &[cw, cd, c, Value::Text(&text)], &mut ignore)?;
        }
        let data = format!("warehouse {home:2}  {district:2}");
        let values = [c, cd, cw, d, w, h, Value::Text(&data)];
        connection.query(self.history, &values, &mut ignore)?;
        connection.query(self.commit, &[], &mut ignore)?;
        Ok(amount)
    }
}
