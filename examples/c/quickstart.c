/* Quickstart, first half: loads TPC-H's eight tables from .tbl files into quickstart.lumos, looks rows up by key and
 * runs queries 1, 3, 6, 13 and 18. usage: quickstart FOLDER [FILE [QUERIES]]. The second half is
 * examples/go/quickstart. */

#define _POSIX_C_SOURCE 200809L
#include "lumos_core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS_PER_TRANSACTION 50000
#define LINE_BYTES 4096

static lumos_error *error;

/* The tables of TPC-H, in the order in which they are loaded. */
static const struct {
    const char *name, *create;
    int columns;
} tables[] = {
    {"region",
     "CREATE TABLE region (r_regionkey integer NOT NULL PRIMARY KEY, r_name char(25) NOT NULL, r_comment "
     "varchar(152))",
     3},
    {"nation",
     "CREATE TABLE nation (n_nationkey integer NOT NULL PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey "
     "integer NOT NULL, n_comment varchar(152))",
     4},
    {"part",
     "CREATE TABLE part (p_partkey integer NOT NULL PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr "
     "char(25) NOT NULL, p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL, "
     "p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL)",
     9},
    {"supplier",
     "CREATE TABLE supplier (s_suppkey integer NOT NULL PRIMARY KEY, s_name char(25) NOT NULL, s_address "
     "varchar(40) NOT NULL, s_nationkey integer NOT NULL, s_phone char(15) NOT NULL, s_acctbal "
     "decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL)",
     7},
    {"partsupp",
     "CREATE TABLE partsupp (ps_partkey integer NOT NULL, ps_suppkey integer NOT NULL, ps_availqty integer "
     "NOT NULL, ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY "
     "(ps_partkey, ps_suppkey))",
     5},
    {"customer",
     "CREATE TABLE customer (c_custkey integer NOT NULL PRIMARY KEY, c_name varchar(25) NOT NULL, "
     "c_address varchar(40) NOT NULL, c_nationkey integer NOT NULL, c_phone char(15) NOT NULL, c_acctbal "
     "decimal(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL)",
     8},
    {"orders",
     "CREATE TABLE orders (o_orderkey bigint NOT NULL PRIMARY KEY, o_custkey integer NOT NULL, "
     "o_orderstatus char(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, "
     "o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL, "
     "o_comment varchar(79) NOT NULL)",
     9},
    {"lineitem",
     "CREATE TABLE lineitem (l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT "
     "NULL, l_linenumber integer NOT NULL, l_quantity decimal(15,2) NOT NULL, l_extendedprice "
     "decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, "
     "l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate "
     "date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) "
     "NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))",
     16},
};

/* Every failure ends the program, with the engine's own words. */
static lumos_status check(lumos_status status, const char *what) {
    if (status < 0) {
        fprintf(stderr, "quickstart: %s: %s: %s\n", what, error ? lumos_error_sqlstate(error) : lumos_status_name(status),
                error ? lumos_error_message(error) : "");
        exit(1);
    }
    return status;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static unsigned char *put_u32(unsigned char *at, uint32_t value) {
    at[0] = (unsigned char)(value >> 24);
    at[1] = (unsigned char)(value >> 16);
    at[2] = (unsigned char)(value >> 8);
    at[3] = (unsigned char)value;
    return at + 4;
}

/* `a|b|c|` becomes packed parameters: type 0 is the text of a literal that takes its column's type. */
static size_t pack_line(const char *line, int columns, unsigned char *params) {
    unsigned char *at = params;
    int column;
    *at++ = 0;
    *at++ = (unsigned char)columns;
    for (column = 0; column < columns; column++) {
        const char *end = strchr(line, '|');
        size_t length = end ? (size_t)(end - line) : strcspn(line, "\r\n");
        at = put_u32(put_u32(at, 0), (uint32_t)length);
        memcpy(at, line, length);
        at += length;
        line += length + (end ? 1 : 0);
    }
    return (size_t)(at - params);
}

static void load(lumos_conn *conn, const char *folder, const char *table, const char *create, int columns) {
    static char line[LINE_BYTES];
    static unsigned char params[LINE_BYTES + 8 * 32];
    char path[1024], sql[256];
    lumos_stmt *insert = NULL;
    long rows = 0;
    double started = seconds();
    int column;
    FILE *file;
    snprintf(path, sizeof path, "%s/%s.tbl", folder, table);
    file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "quickstart: %s is missing: run tools/quickstart-data first\n", path);
        exit(1);
    }
    check(lumos_exec(conn, create, LUMOS_NTS, NULL, &error), table);
    snprintf(sql, sizeof sql, "INSERT INTO %s VALUES ($1", table);
    for (column = 2; column <= columns; column++) {
        snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ", $%d", column);
    }
    strcat(sql, ")");
    check(lumos_prepare(conn, sql, LUMOS_NTS, LUMOS_PREPARE_PERSISTENT, &insert, NULL, &error), sql);
    while (fgets(line, sizeof line, file) != NULL) {
        if (rows % ROWS_PER_TRANSACTION == 0) {
            if (rows > 0) {
                check(lumos_commit(conn, NULL, &error), "commit");
            }
            check(lumos_begin(conn, LUMOS_ISO_DEFAULT, 0, &error), "begin");
        }
        check(lumos_run(insert, params, pack_line(line, columns, params), NULL, 0, NULL, &error), line);
        rows++;
    }
    if (rows > 0) {
        check(lumos_commit(conn, NULL, &error), "commit");
    }
    lumos_stmt_close(insert);
    fclose(file);
    started = seconds() - started;
    printf("%-8s %7ld rows loaded in %6.2f s, %.0f rows/s\n", table, rows, started, (double)rows / started);
}

/* Runs a query, shows its first rows and how long all of them took. */
static void ask(lumos_conn *conn, const char *sql) {
    lumos_result *result = NULL;
    double started = seconds();
    long rows = 0;
    uint32_t column;
    printf("\n%s\n", sql);
    check(lumos_query(conn, sql, LUMOS_NTS, &result, &error), sql);
    while (check(lumos_result_next(result, &error), sql) == LUMOS_ROW) {
        if (rows++ >= 5) {
            continue;
        }
        for (column = 0; column < lumos_result_column_count(result); column++) {
            const char *text = lumos_get_text(result, column, NULL);
            printf("%s%s", column == 0 ? "  " : " | ", text ? text : "NULL");
        }
        printf("\n");
    }
    lumos_result_close(result);
    printf("  (%ld rows, %.2f ms)\n", rows, (seconds() - started) * 1e3);
}

/* A query of TPC-H, by number. */
static void ask_file(lumos_conn *conn, const char *folder, int number) {
    static char sql[8192];
    char path[1024];
    size_t length;
    FILE *file;
    snprintf(path, sizeof path, "%s/q%02d.sql", folder, number);
    file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "quickstart: %s is missing\n", path);
        exit(1);
    }
    length = fread(sql, 1, sizeof sql - 1, file);
    sql[length] = 0;
    fclose(file);
    ask(conn, sql);
}

/* Prepared look-ups by key, each read to its end. */
static void look_up(lumos_conn *conn, int64_t orders) {
    const int count = 100000;
    static unsigned char buffer[1024];
    unsigned char params[18] = {0, 1, 0, 0, 0, 20, 0, 0, 0, 8};
    lumos_stmt *stmt = NULL;
    uint64_t random = 88172645463325252u;
    long found = 0;
    double started;
    int index;
    check(lumos_prepare(conn, "SELECT o_totalprice, o_orderdate FROM orders WHERE o_orderkey = $1", LUMOS_NTS,
                        LUMOS_PREPARE_PERSISTENT, &stmt, NULL, &error), "look-up");
    started = seconds();
    for (index = 0; index < count; index++) {
        lumos_run_info info;
        uint64_t key;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        key = random % (uint64_t)(orders * 4) + 1;
        put_u32(put_u32(params + 10, (uint32_t)(key >> 32)), (uint32_t)key);
        info.struct_size = sizeof info;
        check(lumos_run(stmt, params, sizeof params, buffer, sizeof buffer, &info, &error), "look-up");
        found += info.rows;
    }
    started = seconds() - started;
    lumos_stmt_close(stmt);
    printf("\n%d look-ups by key: %ld found, %.2f us each\n", count, found, started * 1e6 / count);
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : ".", *path = argc > 2 ? argv[2] : "quickstart.lumos";
    const char *query_folder = argc > 3 ? argv[3] : "tests/tpch/queries";
    static const int queries[] = {1, 3, 6, 13, 18};
    lumos_db *db = NULL;
    lumos_conn *conn = NULL;
    lumos_result *result = NULL;
    int64_t orders;
    uint64_t findings = 0;
    size_t index;
    check(lumos_open(path, &db, &error), path);
    check(lumos_connect(db, &conn, &error), "connect");
    for (index = 0; index < sizeof tables / sizeof tables[0]; index++) {
        char drop[64];
        snprintf(drop, sizeof drop, "DROP TABLE IF EXISTS %s", tables[index].name);
        check(lumos_exec(conn, drop, LUMOS_NTS, NULL, &error), "drop");
        load(conn, folder, tables[index].name, tables[index].create, tables[index].columns);
    }
    /* Counts and samples, so that joins are taken in a good order. */
    check(lumos_exec(conn, "ANALYZE", LUMOS_NTS, NULL, &error), "analyze");

    check(lumos_query(conn, "SELECT count(*) FROM orders", LUMOS_NTS, &result, &error), "count");
    check(lumos_result_next(result, &error), "count");
    orders = lumos_get_int64(result, 0);
    lumos_result_close(result);
    look_up(conn, orders);
    ask(conn, "SELECT o_orderkey, o_totalprice, o_orderdate FROM orders WHERE o_orderkey = 7");
    ask(conn, "SELECT l_linenumber, l_quantity, l_shipdate FROM lineitem WHERE l_orderkey = 7 ORDER BY l_linenumber");
    ask(conn, "SELECT o_orderkey, o_custkey FROM orders WHERE o_orderkey BETWEEN 1000 AND 1100 ORDER BY o_orderkey");
    ask(conn, "SELECT o_orderpriority, count(*) FROM orders WHERE o_orderdate >= DATE '1997-01-01' "
              "GROUP BY o_orderpriority ORDER BY o_orderpriority");
    for (index = 0; index < sizeof queries / sizeof queries[0]; index++) {
        ask_file(conn, query_folder, queries[index]);
    }

    check(lumos_verify(db, NULL, NULL, &findings, &error), "verify");
    printf("\nverified: %llu findings\n", (unsigned long long)findings);
    lumos_conn_close(conn);
    lumos_db_close(db);
    return findings == 0 ? 0 : 1;
}
