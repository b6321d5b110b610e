/* Parameters, errors by SQLSTATE, and a transaction that is run again where another one came in between:
   cc transfer.c -I../../include -L../../lib -Wl,-rpath,../../lib -l:liblumos_core.so -lpthread -o transfer */

#define _POSIX_C_SOURCE 200809L
#include "lumos_core.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ATTEMPTS_MAX = 50, TRANSFERS = 200, THREADS = 2 };

static lumos_db *db;

/* Whether the whole transaction may be run again: it was undone because of another one, not because it is wrong. */
static int can_retry(const lumos_error *err) {
    const char *state = lumos_error_sqlstate(err);
    return strcmp(state, "40001") == 0    /* serialization_failure: somebody changed the row after our snapshot */
           || strcmp(state, "40P01") == 0; /* deadlock_detected */
}

/* Moves an amount; 0: done, 1: refused (not enough money), negative: an error, in *err. */
static int transfer_once(lumos_conn *conn, lumos_stmt *change, int64_t from, int64_t to, int64_t amount,
                         lumos_error **err) {
    const int64_t ids[2] = {from, to}, changes[2] = {-amount, amount};
    int i;
    if (lumos_exec(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ", LUMOS_NTS, NULL, err) < 0) return -1;
    for (i = 0; i < 2; i++) {
        lumos_result *result = NULL;
        if (lumos_bind_int64(change, 1, ids[i]) < 0 || lumos_bind_int64(change, 2, changes[i]) < 0) return -1;
        if (lumos_execute(change, &result, err) < 0) {
            /* 23514, check_violation: the constraint says what must never be; no look before the leap is needed. */
            int refused = *err != NULL && strcmp(lumos_error_sqlstate(*err), "23514") == 0;
            lumos_exec(conn, "ROLLBACK", LUMOS_NTS, NULL, NULL);
            return refused ? 1 : -1;
        }
        lumos_result_close(result);
    }
    return lumos_exec(conn, "COMMIT", LUMOS_NTS, NULL, err) < 0 ? -1 : 0;
}

/* Whoever tries again at once meets the same competitor again; longer and longer pauses let it finish. */
static void pause_before(int attempt) {
    struct timespec pause = {0, 0};
    pause.tv_nsec = (attempt + 1) * 200000L; /* 0.2 ms more each time */
    nanosleep(&pause, NULL);
}

static int transfer(lumos_conn *conn, lumos_stmt *change, int64_t from, int64_t to, int64_t amount, int *retries) {
    int attempt;
    for (attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        lumos_error *err = NULL;
        int status = transfer_once(conn, change, from, to, amount, &err);
        int again = status < 0 && err != NULL && can_retry(err);
        if (status < 0 && !again) {
            fprintf(stderr, "transfer: %s\n", err != NULL ? lumos_error_message(err) : "misuse");
        }
        lumos_error_free(err);
        if (!again) return status;
        ++*retries;
        lumos_exec(conn, "ROLLBACK", LUMOS_NTS, NULL, NULL); /* in case the block is still open */
        pause_before(attempt);
    }
    return -1;
}

static void *work(void *argument) {
    int retries = 0, refused = 0, i;
    const int64_t thread = (int64_t)(size_t)argument;
    lumos_conn *conn = NULL;
    lumos_stmt *change = NULL;
    if (lumos_connect(db, &conn, NULL) < 0 ||
        lumos_prepare(conn, "UPDATE account SET balance = balance + $2 WHERE id = $1", LUMOS_NTS, 0, &change, NULL,
                      NULL) < 0) {
        return (void *)"connect or prepare";
    }
    for (i = 0; i < TRANSFERS; i++) {
        /* The two threads go in opposite directions: sooner or later they meet. */
        int64_t from = 1 + (i + thread) % 2, to = 3 - from;
        int status = transfer(conn, change, from, to, 1 + i % 70, &retries);
        if (status < 0) return (void *)"transfer";
        refused += status;
    }
    printf("thread %d: %d transfers, %d refused for want of money; some were run again: %s\n", (int)thread, TRANSFERS,
           refused, retries > 0 ? "yes" : "no");
    lumos_stmt_close(change);
    lumos_conn_close(conn);
    return NULL;
}

int main(void) {
    lumos_error *err = NULL;
    lumos_conn *conn = NULL;
    lumos_result *rows = NULL;
    pthread_t threads[THREADS];
    int failed = 0, i;
    int64_t sum = 0;
    if (lumos_open(":memory:", &db, &err) < 0 || lumos_connect(db, &conn, &err) < 0 ||
        lumos_exec(conn,
                   "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));"
                   "INSERT INTO account VALUES (1, 100), (2, 100)",
                   LUMOS_NTS, NULL, &err) < 0) {
        fprintf(stderr, "%s: %s\n", lumos_error_sqlstate(err), lumos_error_message(err));
        return 1;
    }
    for (i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)(size_t)i);
    for (i = 0; i < THREADS; i++) {
        void *what = NULL;
        pthread_join(threads[i], &what);
        if (what != NULL) {
            fprintf(stderr, "a thread failed: %s\n", (const char *)what);
            failed = 1;
        }
    }
    if (lumos_query(conn, "SELECT sum(balance)::bigint FROM account", LUMOS_NTS, &rows, &err) < 0) return 1;
    if (lumos_result_next(rows, NULL) == LUMOS_ROW) sum = lumos_get_int64(rows, 0);
    printf("together they still have %lld\n", (long long)sum);
    lumos_result_close(rows);
    lumos_conn_close(conn);
    lumos_db_close(db);
    return failed || sum != 200;
}
