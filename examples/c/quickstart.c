/* Quickstart, first half: loads TPC-H's eight tables from .tbl files into quickstart.lumos, looks rows up by key and
 * runs queries 1, 3, 6, 13 and 18. usage: quickstart FOLDER [FILE [QUERIES]]. The second half is
 * examples/go/quickstart. */

#define _POSIX_C_SOURCE 200809L
#include "lumos_core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_BYTES 4096

static lumos_error *error;

/* The tables of TPC-H, in the order in which they are loaded. */
static const struct {
    const char *name, *create;
} tables[] = {
    {"region",
     "CREATE TABLE region (r_regionkey integer NOT NULL PRIMARY KEY, r_name char(25) NOT NULL, r_comment "
     "varchar(152))"},
    {"nation",
     "CREATE TABLE nation (n_nationkey integer NOT NULL PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey "
     "integer NOT NULL, n_comment varchar(152))"},
    {"part",
     "CREATE TABLE part (p_partkey integer NOT NULL PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr "
     "char(25) NOT NULL, p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL, "
     "p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL)"},
    {"supplier",
     "CREATE TABLE supplier (s_suppkey integer NOT NULL PRIMARY KEY, s_name char(25) NOT NULL, s_address "
     "varchar(40) NOT NULL, s_nationkey integer NOT NULL, s_phone char(15) NOT NULL, s_acctbal "
     "decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL)"},
    {"partsupp",
     "CREATE TABLE partsupp (ps_partkey integer NOT NULL, ps_suppkey integer NOT NULL, ps_availqty integer "
     "NOT NULL, ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY "
     "(ps_partkey, ps_suppkey))"},
    {"customer",
     "CREATE TABLE customer (c_custkey integer NOT NULL PRIMARY KEY, c_name varchar(25) NOT NULL, "
     "c_address varchar(40) NOT NULL, c_nationkey integer NOT NULL, c_phone char(15) NOT NULL, c_acctbal "
     "decimal(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL)"},
    {"orders",
     "CREATE TABLE orders (o_orderkey bigint NOT NULL PRIMARY KEY, o_custkey integer NOT NULL, "
     "o_orderstatus char(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, "
     "o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL, "
     "o_comment varchar(79) NOT NULL)"},
    {"lineitem",
     "CREATE TABLE lineitem (l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT "
     "NULL, l_linenumber integer NOT NULL, l_quantity decimal(15,2) NOT NULL, l_extendedprice "
     "decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, "
     "l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate "
     "date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) "
     "NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))"},
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

/* A .tbl file that is being read, and what has not been given out of its current line. */
typedef struct {
    FILE *file;
    char line[LINE_BYTES];
    size_t start, end;
} tbl_file;

/* What COPY asks for its data: puts up to `capacity` bytes into `buffer` and tells how many, 0 at the end. In a .tbl
 * file a bar ends each field, also the last; in COPY's text form a bar stands only between fields. */
static int64_t read_lines(void *user, void *buffer, size_t capacity) {
    tbl_file *tbl = user;
    size_t given = 0;
    while (given < capacity) {
        size_t part;
        if (tbl->start == tbl->end) {
            if (fgets(tbl->line, sizeof tbl->line, tbl->file) == NULL) {
                break;
            }
            tbl->start = 0;
            tbl->end = strlen(tbl->line);
            if (tbl->end >= 2 && strcmp(tbl->line + tbl->end - 2, "|\n") == 0) {
                tbl->end--;
                tbl->line[tbl->end - 1] = '\n';
            }
        }
        part = tbl->end - tbl->start < capacity - given ? tbl->end - tbl->start : capacity - given;
        memcpy((char *)buffer + given, tbl->line + tbl->start, part);
        tbl->start += part;
        given += part;
    }
    return ferror(tbl->file) ? -1 : (int64_t)given;
}

/* A table comes in whole, or not at all: COPY is one statement. */
static void load(lumos_conn *conn, const char *folder, const char *table, const char *create) {
    static tbl_file tbl;
    char path[1024], sql[256];
    uint64_t rows = 0;
    double started = seconds();
    snprintf(path, sizeof path, "%s/%s.tbl", folder, table);
    tbl.start = tbl.end = 0;
    tbl.file = fopen(path, "r");
    if (tbl.file == NULL) {
        fprintf(stderr, "quickstart: %s is missing: run tools/quickstart-data first\n", path);
        exit(1);
    }
    check(lumos_exec(conn, create, LUMOS_NTS, NULL, &error), table);
    snprintf(sql, sizeof sql, "COPY %s FROM STDIN (DELIMITER '|')", table);
    check(lumos_copy_in(conn, sql, LUMOS_NTS, read_lines, &tbl, &rows, &error), sql);
    fclose(tbl.file);
    started = seconds() - started;
    printf("%-8s %7llu rows loaded in %6.2f s, %.0f rows/s\n", table, (unsigned long long)rows, started,
           (double)rows / started);
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
    /* Packed parameters: one of them, of type 20 (bigint), 8 bytes long, big-endian. */
    unsigned char params[18] = {0, 1, 0, 0, 0, 20, 0, 0, 0, 8};
    lumos_stmt *stmt = NULL;
    uint64_t random = 88172645463325252u;
    long found = 0;
    double started;
    int index, byte;
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
        for (byte = 0; byte < 8; byte++) {
            params[10 + byte] = (unsigned char)(key >> (56 - 8 * byte));
        }
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
        load(conn, folder, tables[index].name, tables[index].create);
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
