/* Packed rows and packed parameters: what is read can be sent back, and gives the same rows. */

#include "check.h"
#include <stdlib.h>

#define COLUMNS 13

static lumos_error *error;

static uint32_t read_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint8_t *write_u32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
    return at + 4;
}

/* One packed row becomes packed parameters of the same types; their length. */
static size_t parameters_of(const uint8_t **row, const uint32_t *types, uint8_t *out) {
    const uint8_t *from = *row + 2;
    uint8_t *to = out;
    int column;
    *to++ = 0;
    *to++ = COLUMNS;
    CHECK((*row)[0] == 0 && (*row)[1] == COLUMNS);
    for (column = 0; column < COLUMNS; column++) {
        uint32_t length = read_u32(from), bytes = length == 0xFFFFFFFFu ? 0 : length;
        to = write_u32(to, types[column]);
        memcpy(to, from, 4 + bytes);
        from += 4 + bytes;
        to += 4 + bytes;
    }
    *row = from;
    return (size_t)(to - out);
}

static void round_trip(lumos_conn *conn) {
    static uint8_t buffer[4096], params[4096];
    static const char *const columns =
        "(a boolean, b smallint, c integer, d bigint, e real, f double precision, g numeric(20,4), h text, "
        "i bytea, j date, k timestamp, l timestamptz, m interval)";
    char sql[512];
    uint32_t types[COLUMNS], row, column;
    lumos_stmt *insert = NULL;
    lumos_result *result = NULL, *left = NULL, *right = NULL;
    lumos_column_info column_info;
    lumos_run_info info;
    const uint8_t *at = buffer;
    sprintf(sql, "CREATE TABLE p %s; CREATE TABLE q %s", columns, columns);
    CHECK_CALL(lumos_exec(conn, sql, LUMOS_NTS, NULL, &error));
    CHECK_CALL(lumos_exec(conn,
                          "INSERT INTO p VALUES (true, -1, 2, -3, 0.5, '1e300', 1234567890.0001, 'h\xc3\xa9', "
                          "'\\x00ff', '2000-02-29', '1999-12-31 23:59:59.999999', '2024-06-01 12:00+02', "
                          "'1 year 2 days 03:04:05.6'), "
                          "(false, 32767, -2147483648, 9223372036854775807, 'NaN', '-Infinity', 'NaN', '', '', "
                          "'infinity', '-infinity', 'infinity', '-1 day'), "
                          "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
                          LUMOS_NTS, NULL, &error));
    CHECK_CALL(lumos_query(conn, "SELECT * FROM p", LUMOS_NTS, &result, &error));
    for (column = 0; column < COLUMNS; column++) {
        column_info.struct_size = sizeof column_info;
        CHECK_STATUS(lumos_result_column(result, column, &column_info), LUMOS_OK);
        types[column] = column_info.type_oid;
    }
    info.struct_size = sizeof info;
    /* No room: nothing is lost, and the need is told. */
    CHECK_STATUS(lumos_fetch_packed(result, buffer, 10, 10, &info, &error), LUMOS_MORE);
    CHECK(info.rows == 0 && info.needed > 10);
    CHECK_STATUS(lumos_fetch_packed(result, buffer, sizeof buffer, 1000, &info, &error), LUMOS_DONE);
    CHECK(info.rows == 3 && info.used > 0);
    lumos_result_close(result);
    CHECK_CALL(lumos_prepare(conn, "INSERT INTO q VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)", LUMOS_NTS,
                             LUMOS_PREPARE_PERSISTENT, &insert, NULL, &error));
    for (row = 0; row < 3; row++) {
        size_t length = parameters_of(&at, types, params);
        if (row == 1) {
            /* By the bound values instead. */
            CHECK_CALL(lumos_bind_packed(insert, params, length, &error));
            CHECK_STATUS(lumos_run(insert, NULL, 0, NULL, 0, &info, &error), LUMOS_DONE);
        } else {
            CHECK_STATUS(lumos_run(insert, params, length, NULL, 0, &info, &error), LUMOS_DONE);
        }
        CHECK(info.affected == 1 && info.txn_status == 'I' && info.rows == 0);
        CHECK(lumos_stmt_result(insert) == NULL);
    }
    CHECK(at == buffer + info.used || at > buffer);
    CHECK_FAILS(lumos_run(insert, params, 7, NULL, 0, &info, &error), LUMOS_ERROR, "08P01");
    lumos_stmt_close(insert);
    CHECK_CALL(lumos_query(conn, "SELECT * FROM p", LUMOS_NTS, &left, &error));
    CHECK_CALL(lumos_query(conn, "SELECT * FROM q", LUMOS_NTS, &right, &error));
    for (row = 0; row < 3; row++) {
        CHECK_STATUS(lumos_result_next(left, &error), LUMOS_ROW);
        CHECK_STATUS(lumos_result_next(right, &error), LUMOS_ROW);
        for (column = 0; column < COLUMNS; column++) {
            const char *expected = lumos_get_text(left, column, NULL);
            if (expected != NULL) {
                CHECK_TEXT(lumos_get_text(right, column, NULL), expected);
            } else {
                CHECK(row == 2 && lumos_get_is_null(right, column));
            }
        }
    }
    CHECK_STATUS(lumos_result_next(right, &error), LUMOS_DONE);
    lumos_result_close(left);
    lumos_result_close(right);
}

/* More rows than a buffer holds: the rest is the statement's result. */
static void many_rows(lumos_conn *conn) {
    uint8_t buffer[64];
    lumos_stmt *stmt = NULL;
    lumos_run_info info;
    uint32_t rows = 0;
    int64_t sum = 0;
    lumos_status status;
    CHECK_CALL(lumos_exec(conn, "CREATE TABLE n (i bigint PRIMARY KEY); BEGIN", LUMOS_NTS, NULL, &error));
    CHECK_CALL(lumos_prepare(conn, "INSERT INTO n VALUES ($1)", LUMOS_NTS, 0, &stmt, NULL, &error));
    for (rows = 1; rows <= 100; rows++) {
        uint8_t params[18] = {0, 1, 0, 0, 0, 20, 0, 0, 0, 8};
        write_u32(params + 14, rows);
        CHECK_STATUS(lumos_run(stmt, params, sizeof params, NULL, 0, NULL, &error), LUMOS_DONE);
    }
    lumos_stmt_close(stmt);
    CHECK_CALL(lumos_commit(conn, NULL, &error));
    CHECK_CALL(lumos_prepare(conn, "SELECT i FROM n ORDER BY i", LUMOS_NTS, 0, &stmt, NULL, &error));
    info.struct_size = sizeof info;
    rows = 0;
    status = lumos_run(stmt, NULL, 0, buffer, sizeof buffer, &info, &error);
    for (;;) {
        uint32_t row;
        CHECK(status == LUMOS_ROW || status == LUMOS_DONE);
        CHECK(info.used == 14u * info.rows && info.used <= sizeof buffer);
        for (row = 0; row < info.rows; row++) {
            sum += read_u32(buffer + 14 * row + 10);
        }
        rows += info.rows;
        if (status != LUMOS_ROW) {
            break;
        }
        status = lumos_fetch_packed(lumos_stmt_result(stmt), buffer, sizeof buffer, 3, &info, &error);
    }
    CHECK(rows == 100 && sum == 5050);
    lumos_stmt_close(stmt);
}

int main(void) {
    lumos_db *db = NULL;
    lumos_conn *conn = NULL;
    int64_t open = -1;
    CHECK_CALL(lumos_open(NULL, &db, &error));
    CHECK_CALL(lumos_connect(db, &conn, &error));
    round_trip(conn);
    many_rows(conn);
    lumos_conn_close(conn);
    CHECK_STATUS(lumos_db_stat(db, "handles_open", &open), LUMOS_OK);
    CHECK(open == 1);
    CHECK_STATUS(lumos_db_stat(db, "panics_caught", &open), LUMOS_OK);
    CHECK(open == 0);
    lumos_db_close(db);
    return check_end("packed.c");
}
