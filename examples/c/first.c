/* A first program: cc first.c -I../../include -L../../lib -Wl,-rpath,../../lib -l:liblumos_core.so -o first */

#include "lumos_core.h"
#include <stdio.h>

int main(void) {
    lumos_error *err = NULL;
    lumos_db *db = NULL;
    lumos_conn *conn = NULL;
    lumos_stmt *stmt = NULL;
    lumos_result *rows = NULL;
    int failed = lumos_open("first.lumos", &db, &err) || lumos_connect(db, &conn, &err) ||
                 lumos_exec(conn, "DROP TABLE IF EXISTS city; CREATE TABLE city (id bigint PRIMARY KEY, name text)",
                            LUMOS_NTS, NULL, &err) ||
                 lumos_exec(conn, "INSERT INTO city VALUES (1, 'Oslo'), (2, 'Lima')", LUMOS_NTS, NULL, &err) ||
                 lumos_prepare(conn, "SELECT id, name FROM city WHERE id >= $1", LUMOS_NTS, 0, &stmt, NULL, &err) ||
                 lumos_bind_int64(stmt, 1, 1) || lumos_execute(stmt, &rows, &err);
    while (!failed && lumos_result_next(rows, &err) == LUMOS_ROW) {
        printf("%lld %s\n", (long long)lumos_get_int64(rows, 0), lumos_get_text(rows, 1, NULL));
    }
    /* What fails says why by SQLSTATE; 23505 is a duplicate key. */
    if (!failed && lumos_exec(conn, "INSERT INTO city VALUES (1, 'Rome')", LUMOS_NTS, NULL, &err) < 0) {
        printf("%s: %s\n", lumos_error_sqlstate(err), lumos_error_message(err));
    } else if (err != NULL) {
        fprintf(stderr, "%s: %s\n", lumos_error_sqlstate(err), lumos_error_message(err));
    }
    lumos_error_free(err);
    lumos_result_close(rows);
    lumos_stmt_close(stmt);
    lumos_conn_close(conn);
    lumos_db_close(db);
    return failed ? 1 : 0;
}
