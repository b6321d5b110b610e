//! TPC-C's nine tables (clause 1.3), as every side takes them.

use super::super::sides::{Lines, Table};
use super::data::{self, Source};

const WAREHOUSE: &str = "w_id BIGINT PRIMARY KEY, w_name VARCHAR(10) NOT NULL, w_street_1 VARCHAR(20) NOT NULL, \
     w_street_2 VARCHAR(20) NOT NULL, w_city VARCHAR(20) NOT NULL, w_state CHAR(2) NOT NULL, \
     w_zip CHAR(9) NOT NULL, w_tax BIGINT NOT NULL, w_ytd BIGINT NOT NULL";

const DISTRICT: &str = "d_w_id BIGINT NOT NULL, d_id BIGINT NOT NULL, d_name VARCHAR(10) NOT NULL, \
     d_street_1 VARCHAR(20) NOT NULL, d_street_2 VARCHAR(20) NOT NULL, d_city VARCHAR(20) NOT NULL, \
     d_state CHAR(2) NOT NULL, d_zip CHAR(9) NOT NULL, d_tax BIGINT NOT NULL, d_ytd BIGINT NOT NULL, \
     d_next_o_id BIGINT NOT NULL, PRIMARY KEY (d_w_id, d_id)";

const CUSTOMER: &str = "c_w_id BIGINT NOT NULL, c_d_id BIGINT NOT NULL, c_id BIGINT NOT NULL, \
     c_first VARCHAR(16) NOT NULL, c_middle CHAR(2) NOT NULL, c_last VARCHAR(16) NOT NULL, \
     c_street_1 VARCHAR(20) NOT NULL, c_street_2 VARCHAR(20) NOT NULL, c_city VARCHAR(20) NOT NULL, \
     c_state CHAR(2) NOT NULL, c_zip CHAR(9) NOT NULL, c_phone CHAR(16) NOT NULL, c_since TIMESTAMP NOT NULL, \
     c_credit CHAR(2) NOT NULL, c_credit_lim BIGINT NOT NULL, c_discount BIGINT NOT NULL, \
     c_balance BIGINT NOT NULL, c_ytd_payment BIGINT NOT NULL, c_payment_cnt BIGINT NOT NULL, \
     c_delivery_cnt BIGINT NOT NULL, c_data VARCHAR(500) NOT NULL, PRIMARY KEY (c_w_id, c_d_id, c_id)";

const HISTORY: &str = "h_c_id BIGINT NOT NULL, h_c_d_id BIGINT NOT NULL, h_c_w_id BIGINT NOT NULL, \
     h_d_id BIGINT NOT NULL, h_w_id BIGINT NOT NULL, h_date TIMESTAMP NOT NULL, h_amount BIGINT NOT NULL, \
     h_data VARCHAR(24) NOT NULL";

const NEW_ORDER: &str = "no_w_id BIGINT NOT NULL, no_d_id BIGINT NOT NULL, no_o_id BIGINT NOT NULL, \
     PRIMARY KEY (no_w_id, no_d_id, no_o_id)";

const ORDERS: &str = "o_w_id BIGINT NOT NULL, o_d_id BIGINT NOT NULL, o_id BIGINT NOT NULL, \
     o_c_id BIGINT NOT NULL, o_entry_d TIMESTAMP NOT NULL, o_carrier_id BIGINT, o_ol_cnt BIGINT NOT NULL, \
     o_all_local BIGINT NOT NULL, PRIMARY KEY (o_w_id, o_d_id, o_id)";

const ORDER_LINE: &str = "ol_w_id BIGINT NOT NULL, ol_d_id BIGINT NOT NULL, ol_o_id BIGINT NOT NULL, \
     ol_number BIGINT NOT NULL, ol_i_id BIGINT NOT NULL, ol_supply_w_id BIGINT NOT NULL, \
     ol_delivery_d TIMESTAMP, ol_quantity BIGINT NOT NULL, ol_amount BIGINT NOT NULL, \
     ol_dist_info CHAR(24) NOT NULL, PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number)";

const ITEM: &str = "i_id BIGINT PRIMARY KEY, i_im_id BIGINT NOT NULL, i_name VARCHAR(24) NOT NULL, \
     i_price BIGINT NOT NULL, i_data VARCHAR(50) NOT NULL";

const STOCK: &str = "s_w_id BIGINT NOT NULL, s_i_id BIGINT NOT NULL, s_quantity BIGINT NOT NULL, \
     s_dist_01 CHAR(24) NOT NULL, s_dist_02 CHAR(24) NOT NULL, s_dist_03 CHAR(24) NOT NULL, \
     s_dist_04 CHAR(24) NOT NULL, s_dist_05 CHAR(24) NOT NULL, s_dist_06 CHAR(24) NOT NULL, \
     s_dist_07 CHAR(24) NOT NULL, s_dist_08 CHAR(24) NOT NULL, s_dist_09 CHAR(24) NOT NULL, \
     s_dist_10 CHAR(24) NOT NULL, s_ytd BIGINT NOT NULL, s_order_cnt BIGINT NOT NULL, \
     s_remote_cnt BIGINT NOT NULL, s_data VARCHAR(50) NOT NULL, PRIMARY KEY (s_w_id, s_i_id)";

/// Payments look customers up by name.
const BY_NAME: &[&str] = &["CREATE INDEX customer_name ON customer (c_w_id, c_d_id, c_last, c_first)"];

/// All nine with their rows.
pub fn tables<'a>(source: &'a Source) -> [Table<'a>; 9] {
    [
        table(source, "item", 5, ITEM, false, data::item),
        table(source, "warehouse", 9, WAREHOUSE, true, data::warehouse),
        table(source, "stock", 17, STOCK, false, data::stock),
        table(source, "district", 11, DISTRICT, true, data::district),
        Table { after: BY_NAME, ..table(source, "customer", 21, CUSTOMER, false, data::customer) },
        table(source, "history", 8, HISTORY, false, data::history),
        table(source, "orders", 8, ORDERS, true, data::order),
        table(source, "new_order", 3, NEW_ORDER, true, data::new_order),
        table(source, "order_line", 10, ORDER_LINE, true, data::order_line),
    ]
}

fn table<'a>(
    source: &'a Source,
    name: &'static str,
    width: usize,
    columns: &'static str,
    is_narrow: bool,
    row: data::Row,
) -> Table<'a> {
    let rows = move || -> Lines<'a> { source.rows(row) };
    Table { name, width, columns, is_narrow, rows: Box::new(rows), after: &[] }
}
