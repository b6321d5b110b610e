/* COPY through the C ABI: rows come in from the program's own bytes and go out to them, without a file in between:
   cc copy.c -I../../include -L../../lib -Wl,-rpath,../../lib -l:liblumos_core.so -o copy */

#include "lumos_core.h"
#include <stdio.h>
#include <string.h>

/* Where the data come from. Here they are a text; a file, a socket or a decompressor is read in the same way. */
typedef struct {
    const char *rest;
} source;

/* Puts up to `capacity` bytes into `buffer` and tells how many; 0: the end; a negative number would end the COPY
 * without a row put in. Lines need not end where a piece ends. */
static int64_t read_source(void *user, void *buffer, size_t capacity) {
    source *from = user;
    size_t length = strlen(from->rest);
    if (length > capacity) length = capacity;
    memcpy(buffer, from->rest, length);
    from->rest += length;
    return (int64_t)length;
}

/* Takes a piece of what goes out; anything but 0 would end the COPY. */
static int32_t write_to_file(void *user, const void *data, size_t length) {
    return fwrite(data, 1, length, user) == length ? 0 : 1;
}

static void report(const lumos_error *err) {
    const char *where = lumos_error_field(err, 'W'); /* where in the data, with the number of the line */
    printf("%s: %s\n", lumos_error_sqlstate(err), lumos_error_message(err));
    if (where != NULL) printf("  %s\n", where);
}

int main(void) {
    static const char wrong[] = "1,2024-05-01 06:00,11.5\n"
                                "1,2024-05-01 07:00,warm\n",
                      right[] = "sensor,at,celsius\n"
                                "1,2024-05-01 06:00,11.5\n"
                                "2,2024-05-01 06:00,\n"
                                "1,2024-05-01 07:00,13.25\n"
                                "2,2024-05-01 07:00,12\n";
    source from;
    lumos_error *err = NULL;
    lumos_db *db = NULL;
    lumos_conn *conn = NULL;
    uint64_t rows = 0;
    int failed = lumos_open(":memory:", &db, &err) || lumos_connect(db, &conn, &err) ||
                 lumos_exec(conn,
                            "CREATE TABLE reading (sensor int, at timestamp, celsius numeric(5,2), "
                            "PRIMARY KEY (sensor, at))",
                            LUMOS_NTS, NULL, &err);
    /* A row that does not fit is told with its line; COPY is one statement: no row of it is kept. */
    from.rest = wrong;
    if (!failed && lumos_copy_in(conn, "COPY reading FROM STDIN (FORMAT csv)", LUMOS_NTS, read_source, &from, &rows,
                                 &err) < 0) {
        failed = strcmp(lumos_error_sqlstate(err), "22P02") != 0; /* invalid_text_representation */
        report(err);
        lumos_error_free(err);
        err = NULL;
    }
    from.rest = right;
    failed = failed || lumos_copy_in(conn, "COPY reading FROM STDIN (FORMAT csv, HEADER)", LUMOS_NTS, read_source,
                                     &from, &rows, &err) < 0;
    if (!failed) printf("%llu readings came in\n", (unsigned long long)rows);
    /* A table, or a query, goes out row by row; an empty field is NULL. */
    failed = failed ||
             lumos_copy_out(conn,
                            "COPY (SELECT sensor, count(*) AS readings, avg(celsius)::numeric(5,2) AS mean "
                            "FROM reading GROUP BY sensor ORDER BY sensor) TO STDOUT (FORMAT csv, HEADER)",
                            LUMOS_NTS, write_to_file, stdout, &rows, &err) < 0;
    if (err != NULL) report(err);
    lumos_error_free(err);
    lumos_conn_close(conn);
    lumos_db_close(db);
    return failed || rows != 2;
}
