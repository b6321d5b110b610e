/* One connection, one thread at a time: a second one is refused, and a waiting statement can be stopped. */

#include "check.h"
#include <pthread.h>
#include <sched.h>

static lumos_error *error;

struct waiter {
    lumos_conn *conn;
    lumos_status status;
    char state[6];
};

static void *update_in_thread(void *argument) {
    struct waiter *waiter = argument;
    lumos_error *failure = NULL;
    waiter->status = lumos_exec(waiter->conn, "UPDATE t SET v = 2 WHERE id = 1", LUMOS_NTS, NULL, &failure);
    strncpy(waiter->state, lumos_error_sqlstate(failure), sizeof waiter->state - 1);
    lumos_error_free(failure);
    return NULL;
}

static int64_t statistic(lumos_db *db, const char *name) {
    int64_t value = -1;
    CHECK_STATUS(lumos_db_stat(db, name, &value), LUMOS_OK);
    return value;
}

static void wait_for_lock(lumos_db *db, int64_t waits) {
    int64_t now = 0;
    while (lumos_db_stat(db, "lock_waits", &now) == LUMOS_OK && now < waits) {
        sched_yield();
    }
}

int main(void) {
    lumos_db *db = NULL;
    lumos_conn *holder = NULL;
    struct waiter waiter = {NULL, 0, {0}};
    lumos_stmt *stmt = NULL, *untouched;
    pthread_t thread;
    int round;
    CHECK_CALL(lumos_open(NULL, &db, &error));
    CHECK_CALL(lumos_connect(db, &holder, &error));
    CHECK_CALL(lumos_connect(db, &waiter.conn, &error));
    CHECK_CALL(lumos_exec(holder, "CREATE TABLE t (id bigint PRIMARY KEY, v bigint); INSERT INTO t VALUES (1, 0)",
                          LUMOS_NTS, NULL, &error));
    untouched = (lumos_stmt *)&round;
    for (round = 0; round < 2; round++) {
        int64_t waits = statistic(db, "lock_waits");
        CHECK_CALL(lumos_begin(holder, LUMOS_ISO_DEFAULT, 0, &error));
        CHECK_CALL(lumos_exec(holder, "UPDATE t SET v = 1 WHERE id = 1", LUMOS_NTS, NULL, &error));
        CHECK(pthread_create(&thread, NULL, update_in_thread, &waiter) == 0);
        wait_for_lock(db, waits + 1);
        CHECK_FAILS(lumos_exec(waiter.conn, "SELECT 1", LUMOS_NTS, NULL, &error), LUMOS_MISUSE, "55000");
        stmt = untouched;
        CHECK_FAILS(lumos_prepare(waiter.conn, "SELECT 1", LUMOS_NTS, 0, &stmt, NULL, &error), LUMOS_MISUSE, "55000");
        CHECK(stmt == untouched);
        if (round == 0) {
            CHECK_STATUS(lumos_interrupt(waiter.conn, lumos_conn_sequence(waiter.conn)), LUMOS_OK);
        } else {
            lumos_db_interrupt_all(db);
        }
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK_STATUS(waiter.status, LUMOS_INTERRUPTED);
        CHECK_TEXT(waiter.state, "57014");
        CHECK_CALL(lumos_rollback(holder, &error));
    }
    CHECK_CALL(lumos_exec(waiter.conn, "UPDATE t SET v = 3", LUMOS_NTS, NULL, &error));
    lumos_conn_close(holder);
    lumos_conn_close(waiter.conn);
    CHECK(statistic(db, "handles_open") == 1);
    CHECK(statistic(db, "panics_caught") == 0);
    lumos_db_close(db);
    return check_end("threads.c");
}
