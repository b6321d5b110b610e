/* Every function once at least, on its ordinary path and with handles that are null, closed or foreign. */

#include "check.h"
#include <stdlib.h>

static lumos_error *error;

static int64_t statistic(lumos_db *db, const char *name) {
    int64_t value = -1;
    CHECK_STATUS(lumos_db_stat(db, name, &value), LUMOS_OK);
    return value;
}

static lumos_db *open_memory(void) {
    lumos_db *db = NULL;
    CHECK_CALL(lumos_open(NULL, &db, &error));
    return db;
}

static lumos_conn *connect_to(lumos_db *db) {
    lumos_conn *conn = NULL;
    CHECK_CALL(lumos_connect(db, &conn, &error));
    return conn;
}

static void execute(lumos_conn *conn, const char *sql) {
    CHECK_CALL(lumos_exec(conn, sql, LUMOS_NTS, NULL, &error));
}

static lumos_stmt *prepare(lumos_conn *conn, const char *sql) {
    lumos_stmt *stmt = NULL;
    CHECK_CALL(lumos_prepare(conn, sql, LUMOS_NTS, LUMOS_PREPARE_PERSISTENT, &stmt, NULL, &error));
    return stmt;
}

/* The first column of the only row, as text. */
static void check_query(lumos_conn *conn, const char *sql, const char *expected) {
    lumos_result *result = NULL;
    CHECK_CALL(lumos_query(conn, sql, LUMOS_NTS, &result, &error));
    CHECK_STATUS(lumos_result_next(result, &error), LUMOS_ROW);
    CHECK_TEXT(lumos_get_text(result, 0, NULL), expected);
    CHECK_STATUS(lumos_result_next(result, &error), LUMOS_DONE);
    lumos_result_close(result);
}

static void library(void) {
    void *memory = lumos_malloc(100);
    CHECK(memory != NULL);
    lumos_free(memory);
    lumos_free(NULL);
}

/* Databases of one group share an account. */
static void databases_share_memory(void) {
    lumos_config *config = lumos_config_new();
    lumos_db *first = NULL, *second = NULL, *other = NULL;
    lumos_conn *conn = NULL;
    int64_t before;
    CHECK_CALL(lumos_config_set(config, "memory_limit", "32MB", &error));
    CHECK_CALL(lumos_config_set(config, "memory_group", "calls", &error));
    CHECK_CALL(lumos_open_config(NULL, config, &first, &error));
    CHECK_CALL(lumos_open_config(NULL, config, &second, &error));
    before = statistic(second, "memory_used");
    CHECK_CALL(lumos_connect(first, &conn, &error));
    CHECK_CALL(lumos_exec(conn, "CREATE TABLE t (a int, b text); "
        "INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 5000) g", LUMOS_NTS, NULL, &error));
    CHECK(statistic(second, "memory_used") > before + (1 << 20));
    CHECK(statistic(first, "memory_used") <= 32 << 20);
    CHECK_CALL(lumos_config_set(config, "memory_limit", "16MB", &error));
    CHECK_FAILS(lumos_open_config(NULL, config, &other, &error), LUMOS_ERROR, "22023");
    lumos_conn_close(conn);
    lumos_db_close(first);
    CHECK(statistic(second, "memory_used") <= before);
    lumos_db_close(second);
    CHECK_CALL(lumos_open_config(NULL, config, &other, &error));
    CHECK(statistic(other, "memory_limit") == 16 << 20);
    lumos_db_close(other);
    lumos_config_free(config);
}

static void configuration(void) {
    lumos_config *config = lumos_config_new();
    lumos_db *db = NULL;
    const char *name = NULL, *kind = NULL, *standard = NULL, *help = NULL;
    int32_t index, count = lumos_config_count();
    CHECK(config != NULL && count > 0);
    for (index = 0; index < count; index++) {
        CHECK_STATUS(lumos_config_describe(index, &name, &kind, &standard, &help), LUMOS_OK);
        CHECK(name[0] != 0 && kind[0] != 0 && standard[0] != 0 && help[0] != 0);
    }
    CHECK_STATUS(lumos_config_describe(count, &name, &kind, &standard, &help), LUMOS_DONE);
    CHECK_CALL(lumos_config_set(config, "memory_limit", "64MB", &error));
    CHECK_FAILS(lumos_config_set(config, "memory_limt", "64MB", &error), LUMOS_ERROR, "42704");
    CHECK_FAILS(lumos_config_set(config, "memory_limit", "much", &error), LUMOS_ERROR, "22023");
    CHECK_CALL(lumos_open_config(":memory:", config, &db, &error));
    CHECK(statistic(db, "memory_limit") == 64 << 20);
    lumos_config_free(config);
    lumos_config_free(config);
    lumos_config_free(NULL);
    CHECK_FAILS(lumos_config_set(config, "memory_limit", "64MB", &error), LUMOS_MISUSE, "55000");
    lumos_db_close(db);
}

static void errors(lumos_conn *conn) {
    lumos_error *failure = NULL;
    const char *sql = "SELECT nothing FROM nowhere";
    CHECK_STATUS(lumos_exec(conn, sql, LUMOS_NTS, NULL, &failure), LUMOS_ERROR);
    CHECK_TEXT(lumos_error_sqlstate(failure), "42P01");
    CHECK_TEXT(lumos_error_message(failure), "relation \"nowhere\" does not exist");
    CHECK(lumos_error_position(failure) == 20);
    CHECK_TEXT(lumos_error_field(failure, 'C'), "42P01");
    CHECK_TEXT(lumos_error_field(failure, 'S'), "ERROR");
    CHECK_TEXT(lumos_error_field(failure, 'P'), "21");
    CHECK(lumos_error_field(failure, 'n') == NULL && lumos_error_field(failure, '?') == NULL);
    CHECK_STATUS(lumos_error_status(failure), LUMOS_ERROR);
    CHECK(!lumos_error_is_retryable(failure));
    lumos_error_free(failure);
    lumos_error_free(failure);
    lumos_error_free(NULL);
    CHECK_TEXT(lumos_error_sqlstate(failure), "");
    CHECK_TEXT(lumos_error_sqlstate(NULL), "");
    /* Without a place for the error nothing is stored, and nothing leaks. */
    CHECK_STATUS(lumos_exec(conn, sql, LUMOS_NTS, NULL, NULL), LUMOS_ERROR);
}

static void connections(lumos_db *db) {
    lumos_conn *conn = connect_to(db);
    char *value = NULL;
    int64_t affected = -5;
    uint64_t sequence, lsn = 77;
    CHECK(lumos_conn_id(conn) > 0 && lumos_conn_id(NULL) == 0);
    CHECK(lumos_conn_txn_status(conn) == 'I' && lumos_conn_txn_status(NULL) == 0);
    CHECK(lumos_conn_is_usable(conn) && !lumos_conn_is_usable(NULL));
    CHECK_CALL(lumos_conn_set(conn, "TimeZone", "Europe/Berlin", &error));
    CHECK_CALL(lumos_conn_get(conn, "timezone", &value, &error));
    CHECK_TEXT(value, "Europe/Berlin");
    lumos_free(value);
    CHECK_FAILS(lumos_conn_set(conn, "no_such", "1", &error), LUMOS_ERROR, "42704");
    value = NULL;
    CHECK_FAILS(lumos_conn_get(conn, "no_such", &value, &error), LUMOS_ERROR, "42704");
    CHECK(value == NULL);
    execute(conn, "CREATE TABLE c (id bigint PRIMARY KEY, v text)");
    CHECK_CALL(lumos_exec(conn, "INSERT INTO c VALUES (1, 'a'), (2, 'b'); DELETE FROM c WHERE id = 1", LUMOS_NTS,
                          &affected, &error));
    CHECK(affected == 1);
    CHECK_FAILS(lumos_exec(conn, "INSERT INTO c VALUES (2, 'c')", LUMOS_NTS, &affected, &error), LUMOS_CONSTRAINT,
                "23505");
    CHECK(affected == 1);
    sequence = lumos_conn_sequence(conn);
    CHECK(sequence > 0 && lumos_conn_sequence(NULL) == 0);
    CHECK_STATUS(lumos_interrupt(conn, sequence), LUMOS_OK);
    CHECK_STATUS(lumos_interrupt(NULL, 0), LUMOS_MISUSE);
    lumos_db_interrupt_all(db);
    check_query(conn, "SELECT v FROM c", "b");

    CHECK_CALL(lumos_begin(conn, LUMOS_ISO_REPEATABLE_READ, 0, &error));
    CHECK(lumos_conn_txn_status(conn) == 'T');
    CHECK_FAILS(lumos_begin(conn, LUMOS_ISO_DEFAULT, 0, &error), LUMOS_ERROR, "25001");
    execute(conn, "UPDATE c SET v = 'z'");
    CHECK_CALL(lumos_commit(conn, &lsn, &error));
    CHECK(lsn > 77);
    CHECK_CALL(lumos_begin(conn, LUMOS_ISO_READ_COMMITTED, LUMOS_TXN_READ_ONLY, &error));
    CHECK_FAILS(lumos_exec(conn, "DELETE FROM c", LUMOS_NTS, NULL, &error), LUMOS_READONLY, "25006");
    CHECK(lumos_conn_txn_status(conn) == 'E');
    CHECK_FAILS(lumos_exec(conn, "SELECT 1", LUMOS_NTS, NULL, &error), LUMOS_ERROR, "25P02");
    lsn = 77;
    CHECK_FAILS(lumos_commit(conn, &lsn, &error), LUMOS_ERROR, "40000");
    CHECK(lsn == 77 && lumos_conn_txn_status(conn) == 'I');
    CHECK_FAILS(lumos_rollback(conn, &error), LUMOS_ERROR, "25P01");
    CHECK_CALL(lumos_begin(conn, LUMOS_ISO_READ_UNCOMMITTED, 0, &error));
    execute(conn, "DELETE FROM c");
    CHECK_CALL(lumos_rollback(conn, &error));
    check_query(conn, "SELECT count(*) FROM c", "1");
    CHECK_CALL(lumos_begin(conn, LUMOS_ISO_SERIALIZABLE, 0, &error));
    check_query(conn, "SHOW transaction_isolation", "serializable");
    CHECK_CALL(lumos_rollback(conn, &error));
    CHECK_FAILS(lumos_begin(conn, 99, 0, &error), LUMOS_MISUSE, "55000");
    CHECK_CALL(lumos_begin(conn, LUMOS_ISO_DEFAULT, 0, &error));
    CHECK_CALL(lumos_conn_reset(conn, &error));
    CHECK(lumos_conn_txn_status(conn) == 'I');
    lumos_conn_close(conn);
    lumos_conn_close(conn);
    lumos_conn_close(NULL);
    CHECK(lumos_conn_id(conn) == 0);
    CHECK_FAILS(lumos_exec(conn, "SELECT 1", LUMOS_NTS, NULL, &error), LUMOS_MISUSE, "55000");
}

static void statements(lumos_db *db) {
    lumos_conn *conn = connect_to(db);
    lumos_stmt *stmt = NULL, *kept;
    lumos_result *result = NULL;
    lumos_column_info info;
    size_t tail = 99;
    const char *two = "SELECT 1; SELECT 2";
    execute(conn, "CREATE TABLE s (id integer PRIMARY KEY, v numeric(10,2) NOT NULL)");
    CHECK_CALL(lumos_prepare(conn, two, LUMOS_NTS, 0, &stmt, &tail, &error));
    CHECK(stmt != NULL && tail == 9);
    lumos_stmt_close(stmt);
    CHECK_CALL(lumos_prepare(conn, "  -- nothing\n", LUMOS_NTS, 0, &stmt, &tail, &error));
    CHECK(stmt == NULL);
    kept = (lumos_stmt *)&tail;
    stmt = kept;
    CHECK_FAILS(lumos_prepare(conn, "SELEC 1", LUMOS_NTS, 0, &stmt, &tail, &error), LUMOS_ERROR, "42601");
    CHECK_FAILS(lumos_prepare(conn, "SELECT 1", LUMOS_NTS, 1u << 31, &stmt, &tail, &error), LUMOS_MISUSE, "55000");
    CHECK(stmt == kept);

    stmt = prepare(conn, "INSERT INTO s VALUES (:id, :v) RETURNING v, id");
    CHECK(lumos_stmt_kind(stmt) == LUMOS_STMT_INSERT && lumos_stmt_kind(NULL) == -1);
    CHECK(!lumos_stmt_is_readonly(stmt));
    CHECK(lumos_stmt_param_count(stmt) == 2);
    CHECK_TEXT(lumos_stmt_param_name(stmt, 2), "v");
    CHECK(lumos_stmt_param_name(stmt, 0) == NULL && lumos_stmt_param_name(stmt, 3) == NULL);
    CHECK(lumos_stmt_param_index(stmt, "id") == 1 && lumos_stmt_param_index(stmt, "x") == 0);
    CHECK(lumos_stmt_param_type(stmt, 1) == 23 && lumos_stmt_param_type(stmt, 2) == 1700);
    CHECK(lumos_stmt_param_type(stmt, 3) == 0);
    CHECK(lumos_stmt_column_count(stmt) == 2);
    memset(&info, 0x55, sizeof info);
    info.struct_size = sizeof info;
    CHECK_STATUS(lumos_stmt_column(stmt, 0, &info), LUMOS_OK);
    CHECK(info.type_oid == 1700 && info.table_oid > 0 && info.table_column == 2 && info.nullable == 0);
    CHECK_TEXT(info.name, "v");
    CHECK_TEXT(info.type_name, "numeric(10,2)");
    info.struct_size = 8;
    info.type_mod = 12345;
    CHECK_STATUS(lumos_stmt_column(stmt, 1, &info), LUMOS_OK);
    CHECK(info.type_oid == 23 && info.type_mod == 12345);
    CHECK_STATUS(lumos_stmt_column(stmt, 2, &info), LUMOS_MISUSE);
    CHECK_STATUS(lumos_bind_int64(stmt, 1, 7), LUMOS_OK);
    result = NULL;
    CHECK_FAILS(lumos_execute(stmt, &result, &error), LUMOS_ERROR, "42P02");
    CHECK(result == NULL);
    CHECK_STATUS(lumos_bind_numeric(stmt, 2, 0, 12345, 2), LUMOS_OK);
    CHECK_CALL(lumos_execute(stmt, &result, &error));
    CHECK(lumos_result_affected(result) == 1 && lumos_result_column_count(result) == 2);
    info.struct_size = sizeof info;
    CHECK_STATUS(lumos_result_column(result, 1, &info), LUMOS_OK);
    CHECK_TEXT(info.name, "id");
    CHECK_STATUS(lumos_result_next(result, &error), LUMOS_ROW);
    CHECK_TEXT(lumos_get_text(result, 0, NULL), "123.45");
    CHECK_STATUS(lumos_result_next(result, &error), LUMOS_DONE);
    CHECK_TEXT(lumos_result_tag(result), "INSERT 0 1");
    lumos_result_close(result);
    lumos_result_close(result);
    lumos_result_close(NULL);
    CHECK_STATUS(lumos_result_next(result, NULL), LUMOS_MISUSE);
    CHECK_STATUS(lumos_clear_bindings(stmt), LUMOS_OK);
    CHECK_FAILS(lumos_execute(stmt, &result, &error), LUMOS_ERROR, "42P02");
    CHECK_STATUS(lumos_bind_int64(stmt, 9, 1), LUMOS_MISUSE);
    CHECK_STATUS(lumos_bind_int64(NULL, 1, 1), LUMOS_MISUSE);
    CHECK_STATUS(lumos_bind_int64((lumos_stmt *)conn, 1, 1), LUMOS_MISUSE);
    lumos_stmt_close(stmt);
    lumos_stmt_close(stmt);
    lumos_stmt_close(NULL);
    CHECK_STATUS(lumos_bind_int64(stmt, 1, 1), LUMOS_MISUSE);
    stmt = prepare(conn, "SELECT * FROM s");
    CHECK(lumos_stmt_kind(stmt) == LUMOS_STMT_SELECT && lumos_stmt_is_readonly(stmt));
    lumos_stmt_close(stmt);
    lumos_conn_close(conn);
}

static void values(lumos_db *db) {
    lumos_conn *conn = connect_to(db);
    lumos_stmt *stmt = prepare(conn, "SELECT $1::boolean, $2::integer, $3::double precision, $4::text, $5::bytea, "
                                     "$6::numeric, $7::date, $8::timestamp, $9::timestamptz, $10::interval, "
                                     "$11::text");
    lumos_result *result = NULL;
    const unsigned char bytes[3] = {1, 0, 255};
    size_t length = 0;
    int64_t high = 9;
    uint64_t low = 9;
    int32_t scale = 9;
    CHECK_STATUS(lumos_bind_bool(stmt, 1, true), LUMOS_OK);
    CHECK_STATUS(lumos_bind_int64(stmt, 2, -42), LUMOS_OK);
    CHECK_STATUS(lumos_bind_double(stmt, 3, 0.5), LUMOS_OK);
    CHECK_STATUS(lumos_bind_text(stmt, 4, "h\xc3\xa9llo", LUMOS_NTS), LUMOS_OK);
    CHECK_STATUS(lumos_bind_text(stmt, 4, "\xff", 1), LUMOS_ERROR);
    CHECK_STATUS(lumos_bind_bytes(stmt, 5, bytes, sizeof bytes), LUMOS_OK);
    CHECK_STATUS(lumos_bind_numeric(stmt, 6, -1, (uint64_t)-12345, 2), LUMOS_OK);
    CHECK_STATUS(lumos_bind_date(stmt, 7, 1), LUMOS_OK);
    CHECK_STATUS(lumos_bind_timestamp(stmt, 8, 1000000, false), LUMOS_OK);
    CHECK_STATUS(lumos_bind_timestamp(stmt, 9, 2000000, true), LUMOS_OK);
    CHECK_STATUS(lumos_bind_interval(stmt, 10, 1, 2, 3000000), LUMOS_OK);
    CHECK_STATUS(lumos_bind_null(stmt, 11), LUMOS_OK);
    CHECK_CALL(lumos_execute(stmt, &result, &error));
    CHECK_STATUS(lumos_result_next(result, &error), LUMOS_ROW);
    CHECK(lumos_get_bool(result, 0) && !lumos_get_is_null(result, 0));
    CHECK(lumos_get_int64(result, 1) == -42);
    CHECK(lumos_get_double(result, 2) == 0.5 && lumos_get_double(result, 1) == -42.0);
    CHECK_TEXT(lumos_get_text(result, 3, &length), "h\xc3\xa9llo");
    CHECK(length == 6);
    CHECK(memcmp(lumos_get_bytes(result, 4, &length), bytes, 3) == 0 && length == 3);
    CHECK_TEXT(lumos_get_text(result, 5, NULL), "-123.45");
    CHECK(lumos_get_numeric(result, 5, &high, &low, &scale));
    CHECK(high == -1 && low == (uint64_t)-12345 && scale == 2);
    CHECK(!lumos_get_numeric(result, 10, &high, &low, &scale));
    CHECK_TEXT(lumos_get_text(result, 6, NULL), "1970-01-02");
    CHECK(lumos_get_timestamp(result, 6) == INT64_C(86400000000));
    CHECK(lumos_get_timestamp(result, 7) == 1000000 && lumos_get_timestamp(result, 8) == 2000000);
    CHECK_TEXT(lumos_get_text(result, 9, NULL), "1 mon 2 days 00:00:03");
    CHECK(lumos_get_is_null(result, 10) && lumos_get_text(result, 10, NULL) == NULL);
    CHECK(lumos_get_is_null(result, 99) && lumos_get_int64(result, 99) == 0);
    CHECK(lumos_result_last_error(result) == NULL);
    CHECK(lumos_get_int64(result, 3) == 0);
    CHECK_TEXT(lumos_error_sqlstate(lumos_result_last_error(result)), "22P02");
    lumos_result_close(result);
    lumos_stmt_close(stmt);
    lumos_conn_close(conn);
}

/* Names of earlier designs. */
static void earlier_names(void) {
    lumos_db *db = lumos_db_init(":memory:");
    lumos_conn *conn = connect_to(db);
    lumos_result *result;
    void *ast = &result;
    uint64_t number;
    CHECK(db != NULL && lumos_last_error() == NULL);
    result = lumos_db_query(db, "SELECT 6 * 7");
    CHECK(result != NULL && lumos_result_next(result, NULL) == LUMOS_ROW && lumos_get_int64(result, 0) == 42);
    lumos_result_close(result);
    CHECK(lumos_db_query(db, "SELEC") == NULL);
    CHECK_TEXT(lumos_error_sqlstate(lumos_last_error()), "42601");
    CHECK(lumos_sql_parse("SELECT FROM WHERE", &ast) < 0 && ast == (void *)&result);
    CHECK_STATUS(lumos_sql_parse("SELECT 1; SELECT 2", &ast), LUMOS_OK);
    CHECK(lumos_ast_count((lumos_ast *)ast) == 2 && lumos_ast_count(NULL) == 0);
    lumos_ast_free((lumos_ast *)ast);
    lumos_ast_free((lumos_ast *)ast);
    execute(conn, "CREATE TABLE e (id bigint PRIMARY KEY)");
    number = lumos_txn_begin(conn, LUMOS_ISO_READ_COMMITTED);
    CHECK(number > 0 && lumos_txn_begin(conn, LUMOS_ISO_READ_COMMITTED) == 0);
    CHECK_STATUS(lumos_txn_commit(conn, number + 1), LUMOS_MISUSE);
    CHECK(lumos_wal_append(conn, number, (const uint8_t *)"record", 6) > 0);
    CHECK_STATUS(lumos_txn_commit(conn, number), LUMOS_OK);
    number = lumos_txn_begin(conn, LUMOS_ISO_DEFAULT);
    CHECK_STATUS(lumos_txn_rollback(conn, number), LUMOS_OK);
    CHECK_STATUS(lumos_txn_rollback(conn, number), LUMOS_MISUSE);
    CHECK(lumos_wal_append(conn, 0, (const uint8_t *)"alone", 5) > 0);
    CHECK(lumos_wal_append(NULL, 0, (const uint8_t *)"x", 1) == 0);
    lumos_conn_close(conn);
    lumos_db_close(db);
    /* Frees this thread's last error. */
    db = lumos_db_init(NULL);
    CHECK(lumos_last_error() == NULL);
    lumos_db_close(db);
}

static int32_t count_finding(void *user, const char *finding) {
    CHECK(finding[0] != 0);
    ++*(int *)user;
    return 0;
}

/* A file: closed in any order, found again, whole. */
static void files(const char *path) {
    lumos_db *db = NULL, *again = NULL;
    lumos_conn *conn;
    lumos_stmt *stmt;
    lumos_result *result = NULL;
    uint64_t lsn = 0, found = 99;
    int64_t value = 0;
    int told = 0;
    CHECK_FAILS(lumos_open("/no/such/folder/x.lumos", &db, &error), LUMOS_IOERR, "58P01");
    CHECK(db == NULL);
    CHECK_CALL(lumos_open(path, &db, &error));
    conn = connect_to(db);
    execute(conn, "CREATE TABLE f (id bigint PRIMARY KEY, v text); CREATE INDEX ON f (v)");
    execute(conn, "INSERT INTO f VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    CHECK_CALL(lumos_db_checkpoint(db, &lsn, &error));
    CHECK(lsn > 0);
    CHECK_CALL(lumos_verify(db, count_finding, &told, &found, &error));
    /* A sound file may still be told about. */
    CHECK(found == 0 && told <= 1);
    CHECK_CALL(lumos_open(path, &again, &error));
    CHECK_STATUS(lumos_db_stat(again, "no such counter", &value), LUMOS_MISUSE);
    CHECK(value == 0);
    stmt = prepare(conn, "SELECT v FROM f ORDER BY id");
    CHECK_CALL(lumos_execute(stmt, &result, &error));
    /* Parents first. */
    lumos_db_close(db);
    lumos_db_close(db);
    lumos_db_close(again);
    lumos_db_close(NULL);
    CHECK_STATUS(lumos_result_next(result, &error), LUMOS_ROW);
    CHECK_TEXT(lumos_get_text(result, 0, NULL), "one");
    lumos_stmt_close(stmt);
    lumos_conn_close(conn);
    CHECK(lumos_result_next(result, NULL) == LUMOS_ROW || lumos_result_next(result, NULL) == LUMOS_MISUSE);
    lumos_result_close(result);
    CHECK_CALL(lumos_open(path, &db, &error));
    conn = connect_to(db);
    check_query(conn, "SELECT count(*) FROM f", "3");
    lumos_conn_close(conn);
    lumos_db_close(db);
}

struct text {
    char bytes[256];
    size_t length, at, step;
};

static int64_t read_text(void *user, void *buffer, size_t capacity) {
    struct text *text = user;
    size_t count = text->length - text->at;
    if (text->step == 0) {
        return -1;
    }
    count = count > text->step ? text->step : count;
    count = count > capacity ? capacity : count;
    memcpy(buffer, text->bytes + text->at, count);
    text->at += count;
    return (int64_t)count;
}

static int32_t write_text(void *user, const void *data, size_t length) {
    struct text *text = user;
    if (text->length + length > sizeof text->bytes) {
        return 1;
    }
    memcpy(text->bytes + text->length, data, length);
    text->length += length;
    return 0;
}

static void copies(lumos_db *db) {
    static const char data[] = "1,one\n2,\n3,\"\"\n4,\"two\nlines\"\n";
    struct text in, out;
    uint64_t rows = 0;
    lumos_conn *conn = connect_to(db);
    lumos_stmt *stmt;
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    execute(conn, "CREATE TABLE copied (a integer PRIMARY KEY, b text)");
    memcpy(in.bytes, data, sizeof data - 1);
    in.length = sizeof data - 1;
    in.step = 3;
    CHECK_CALL(lumos_copy_in(conn, "COPY copied FROM STDIN (FORMAT csv)", LUMOS_NTS, read_text, &in, &rows, &error));
    CHECK(rows == 4);
    check_query(conn, "SELECT count(b) FROM copied", "3");
    CHECK_CALL(lumos_copy_out(conn, "COPY copied TO STDOUT (FORMAT csv)", LUMOS_NTS, write_text, &out, &rows, &error));
    CHECK(rows == 4 && out.length == in.length && memcmp(out.bytes, in.bytes, in.length) == 0);
    /* Twice the same keys: nothing of it stays. */
    in.at = 0;
    CHECK_FAILS(lumos_copy_in(conn, "COPY copied FROM STDIN (FORMAT csv)", LUMOS_NTS, read_text, &in, NULL, &error),
                LUMOS_CONSTRAINT, "23505");
    in.step = 0;
    CHECK_FAILS(lumos_copy_in(conn, "COPY copied FROM STDIN", LUMOS_NTS, read_text, &in, NULL, &error),
                LUMOS_INTERRUPTED, "57014");
    out.length = sizeof out.bytes;
    CHECK_FAILS(lumos_copy_out(conn, "COPY copied TO STDOUT", LUMOS_NTS, write_text, &out, NULL, &error),
                LUMOS_INTERRUPTED, "57014");
    CHECK_FAILS(lumos_copy_in(conn, "SELECT 1", LUMOS_NTS, read_text, &in, NULL, &error), LUMOS_ERROR, "42601");
    CHECK_FAILS(lumos_copy_in(conn, "COPY copied FROM STDIN", LUMOS_NTS, NULL, NULL, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_exec(conn, "COPY copied FROM STDIN", LUMOS_NTS, NULL, &error), LUMOS_ERROR, "0A000");
    check_query(conn, "SELECT count(*) FROM copied", "4");
    /* Statements of other kinds, through the ordinary calls. */
    execute(conn, "CREATE VIEW seen AS SELECT a FROM copied WHERE a > 1");
    check_query(conn, "SELECT count(*) FROM seen", "3");
    CHECK_FAILS(lumos_exec(conn, "DROP TABLE copied", LUMOS_NTS, NULL, &error), LUMOS_ERROR, "2BP01");
    execute(conn, "CREATE TABLE kept AS SELECT * FROM seen");
    execute(conn, "ANALYZE kept");
    stmt = prepare(conn, "EXPLAIN SELECT * FROM kept");
    CHECK(lumos_stmt_kind(stmt) == LUMOS_STMT_OTHER && lumos_stmt_column_count(stmt) == 1);
    lumos_stmt_close(stmt);
    stmt = prepare(conn, "CREATE VIEW another AS SELECT 1 AS one");
    CHECK(lumos_stmt_kind(stmt) == LUMOS_STMT_DDL && lumos_stmt_column_count(stmt) == 0);
    lumos_stmt_close(stmt);
    execute(conn, "DROP TABLE copied CASCADE; DROP TABLE kept");
    lumos_conn_close(conn);
}

static void misuse(lumos_db *db) {
    lumos_conn *conn = NULL;
    lumos_db *other = NULL;
    lumos_result *result = NULL;
    char local = 0;
    CHECK_FAILS(lumos_open(NULL, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_connect(NULL, &conn, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_connect((lumos_db *)&local, &conn, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_connect(db, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK(conn == NULL);
    conn = connect_to(db);
    CHECK_FAILS(lumos_connect((lumos_db *)conn, &conn, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_exec((lumos_conn *)db, "SELECT 1", LUMOS_NTS, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_exec(conn, NULL, LUMOS_NTS, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_query(conn, "SELECT 1", LUMOS_NTS, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_query(conn, "SELECT 1; SELECT 2", LUMOS_NTS, &result, &error), LUMOS_ERROR, "42601");
    CHECK(result == NULL);
    CHECK_FAILS(lumos_run(NULL, NULL, 0, NULL, 0, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK(lumos_stmt_result(NULL) == NULL);
    CHECK_FAILS(lumos_fetch_packed(NULL, NULL, 0, 1, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_db_checkpoint(NULL, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_commit(NULL, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_conn_reset(NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_STATUS(lumos_db_stat(NULL, "commits", NULL), LUMOS_MISUSE);
    lumos_db_interrupt_all(NULL);
    CHECK(lumos_result_column_count(NULL) == 0 && lumos_result_affected(NULL) == -1);
    CHECK(lumos_stmt_param_count(NULL) == 0 && lumos_stmt_column_count(NULL) == 0);
    CHECK(other == NULL);
    lumos_conn_close(conn);
}

/* Goal: messages reach those who listen, in order, and an INSERT tells what it drew. */
static void notifications(lumos_db *db) {
    lumos_conn *conn = connect_to(db);
    lumos_conn *other = connect_to(db);
    char *channel = NULL;
    char *payload = NULL;
    uint64_t sender = 0;
    int64_t drawn = 77;
    execute(conn, "LISTEN jobs");
    CHECK_STATUS(lumos_notification_wait(conn, 0, &channel, &payload, &sender, &error), LUMOS_DONE);
    CHECK_STATUS(lumos_notification_wait(conn, 1, &channel, &payload, NULL, &error), LUMOS_DONE);
    CHECK(channel == NULL && payload == NULL && sender == 0);
    execute(other, "NOTIFY jobs, 'one'");
    execute(other, "NOTIFY elsewhere, 'lost'");
    execute(conn, "SELECT pg_notify('jobs', 'two')");
    CHECK_STATUS(lumos_notification_wait(conn, -1, &channel, &payload, &sender, &error), LUMOS_ROW);
    CHECK_TEXT(channel, "jobs");
    CHECK_TEXT(payload, "one");
    CHECK(sender == lumos_conn_id(other));
    lumos_free(channel);
    lumos_free(payload);
    CHECK_STATUS(lumos_notification_wait(conn, 0, &channel, &payload, NULL, &error), LUMOS_ROW);
    CHECK_TEXT(payload, "two");
    lumos_free(channel);
    lumos_free(payload);
    CHECK_CALL(lumos_begin(conn, LUMOS_ISO_DEFAULT, 0, &error));
    CHECK_FAILS(lumos_notification_wait(conn, 5, &channel, &payload, NULL, &error), LUMOS_ERROR, "25001");
    CHECK_CALL(lumos_rollback(conn, &error));
    CHECK_FAILS(lumos_notification_wait(conn, 0, NULL, &payload, NULL, &error), LUMOS_MISUSE, "55000");

    CHECK_STATUS(lumos_last_identity(conn, &drawn, &error), LUMOS_DONE);
    CHECK(drawn == 77);
    execute(conn, "CREATE TABLE identities (id serial, v int)");
    execute(conn, "INSERT INTO identities (v) VALUES (5)");
    CHECK_STATUS(lumos_last_identity(conn, &drawn, &error), LUMOS_ROW);
    CHECK(drawn == 1);
    execute(conn, "INSERT INTO identities (v) VALUES (6), (7)");
    CHECK_STATUS(lumos_last_identity(conn, &drawn, &error), LUMOS_DONE);
    execute(conn, "DROP TABLE identities");
    lumos_conn_close(conn);
    lumos_conn_close(other);
}

int main(int argc, char **argv) {
    lumos_db *db = open_memory();
    lumos_conn *conn = connect_to(db);
    CHECK(argc == 2);
    CHECK(statistic(db, "handles_open") == 2);
    library();
    configuration();
    databases_share_memory();
    errors(conn);
    connections(db);
    statements(db);
    values(db);
    copies(db);
    notifications(db);
    earlier_names();
    if (argc == 2) {
        files(argv[1]);
    }
    misuse(db);
    lumos_conn_close(conn);
    CHECK(statistic(db, "handles_open") == 1);
    CHECK(statistic(db, "panics_caught") == 0);
    lumos_db_close(db);
    CHECK(error == NULL);
    return check_end("calls.c");
}
