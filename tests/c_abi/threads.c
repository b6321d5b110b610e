/* One connection, one thread at a time: a second one is refused, and a waiting statement can be stopped: by another thread, by
   a signal handler, and by the connection's number. */

#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>

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

static lumos_conn *volatile signalled;

static void interrupt_signalled(int number) {
    (void)number;
    lumos_interrupt(signalled, 0);
}

/* The waiting thread itself runs the handler: no lock of the library may be in its way. */
static void a_signal_handler_stops_its_own_thread(lumos_db *db, lumos_conn *holder, struct waiter *waiter) {
    struct sigaction action;
    int round;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt_signalled;
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    signalled = waiter->conn;
    for (round = 0; round < 20; round++) {
        pthread_t thread;
        int64_t waits = statistic(db, "lock_waits");
        CHECK_CALL(lumos_exec(holder, "BEGIN; UPDATE t SET v = 1 WHERE id = 1", LUMOS_NTS, NULL, &error));
        CHECK(pthread_create(&thread, NULL, update_in_thread, waiter) == 0);
        wait_for_lock(db, waits + 1);
        CHECK(pthread_kill(thread, SIGUSR1) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK_STATUS(waiter->status, LUMOS_INTERRUPTED);
        CHECK_TEXT(waiter->state, "57014");
        CHECK_CALL(lumos_rollback(holder, &error));
    }
}

struct listener {
    lumos_conn *conn;
    lumos_status status;
};

static void *listen_in_thread(void *argument) {
    struct listener *listener = argument;
    char *channel = NULL, *payload = NULL;
    listener->status = lumos_notification_wait(listener->conn, -1, &channel, &payload, NULL, NULL);
    lumos_free(channel);
    lumos_free(payload);
    return NULL;
}

/* What waits is cancelled and terminated by number; who is gone is not found. */
static void connections_end_by_number(lumos_db *db, lumos_conn *holder, struct waiter *waiter) {
    lumos_error *failure = NULL;
    lumos_conn *idle = NULL, *fresh = NULL;
    lumos_db *other = NULL;
    struct listener listener = {NULL, 0};
    pthread_t thread;
    uint64_t id = lumos_conn_id(waiter->conn), sequence, idle_id;
    int ends;
    for (ends = 0; ends < 2; ends++) {
        int64_t waits = statistic(db, "lock_waits");
        CHECK_CALL(lumos_exec(holder, "BEGIN; UPDATE t SET v = 1 WHERE id = 1", LUMOS_NTS, NULL, &error));
        CHECK(pthread_create(&thread, NULL, update_in_thread, waiter) == 0);
        wait_for_lock(db, waits + 1);
        CHECK(lumos_conn_id(waiter->conn) == id);
        CHECK_STATUS(ends ? lumos_terminate(db, id, &error) : lumos_cancel(db, id, &error), LUMOS_OK);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK_STATUS(waiter->status, ends ? LUMOS_ERROR : LUMOS_INTERRUPTED);
        CHECK_TEXT(waiter->state, ends ? "57P01" : "57014");
        CHECK(lumos_conn_is_usable(waiter->conn) == !ends);
        CHECK_CALL(lumos_rollback(holder, &error));
    }
    /* Terminated, but not closed: it is there, and answers nothing. */
    CHECK_STATUS(lumos_terminate(db, id, &error), LUMOS_OK);
    CHECK_FAILS(lumos_exec(waiter->conn, "SELECT 1", LUMOS_NTS, NULL, &error), LUMOS_ERROR, "57P01");
    CHECK_FAILS(lumos_conn_reset(waiter->conn, &error), LUMOS_ERROR, "57P01");
    lumos_conn_close(waiter->conn);
    CHECK_STATUS(lumos_terminate(db, id, &error), LUMOS_DONE);
    CHECK_STATUS(lumos_cancel(db, id, &error), LUMOS_DONE);

    /* An idle transaction goes before the call returns; the next call says that it did nothing. */
    CHECK_CALL(lumos_connect(db, &idle, &error));
    CHECK_CALL(lumos_exec(idle, "BEGIN; UPDATE t SET v = 9 WHERE id = 1", LUMOS_NTS, NULL, &error));
    idle_id = lumos_conn_id(idle);
    sequence = lumos_conn_sequence(idle);
    CHECK_STATUS(lumos_cancel(db, idle_id, &error), LUMOS_OK);
    CHECK_CALL(lumos_exec(idle, "SELECT 1", LUMOS_NTS, NULL, &error));
    CHECK(lumos_conn_sequence(idle) > sequence);
    sequence = lumos_conn_sequence(idle);
    CHECK_STATUS(lumos_terminate(db, idle_id, NULL), LUMOS_OK);
    CHECK_CALL(lumos_exec(holder, "UPDATE t SET v = 4 WHERE id = 1", LUMOS_NTS, NULL, &error));
    CHECK(!lumos_conn_is_usable(idle));
    CHECK_STATUS(lumos_exec(idle, "UPDATE t SET v = 10", LUMOS_NTS, NULL, &failure), LUMOS_ERROR);
    CHECK_TEXT(lumos_error_sqlstate(failure), "57P01");
    CHECK(lumos_error_is_unstarted(failure) && !lumos_error_is_unstarted(NULL));
    CHECK(lumos_conn_sequence(idle) == sequence);
    lumos_error_free(failure);
    failure = NULL;
    CHECK_STATUS(lumos_exec(holder, "SELECT 1 / 0", LUMOS_NTS, NULL, &failure), LUMOS_ERROR);
    CHECK(!lumos_error_is_unstarted(failure));
    lumos_error_free(failure);
    CHECK(!lumos_error_is_unstarted(failure));

    /* A wait for a notification ends too; a connection may end itself. */
    CHECK_CALL(lumos_connect(db, &listener.conn, &error));
    CHECK_CALL(lumos_exec(listener.conn, "LISTEN c", LUMOS_NTS, NULL, &error));
    id = lumos_conn_id(listener.conn);
    sequence = lumos_conn_sequence(listener.conn);
    CHECK(pthread_create(&thread, NULL, listen_in_thread, &listener) == 0);
    while (lumos_conn_sequence(listener.conn) == sequence) {
        sched_yield();
    }
    CHECK_STATUS(lumos_cancel(db, id, &error), LUMOS_OK);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(listener.status, LUMOS_INTERRUPTED);
    CHECK_STATUS(lumos_terminate(db, id, &error), LUMOS_OK);
    CHECK_FAILS(lumos_exec(listener.conn, "SELECT 1", LUMOS_NTS, NULL, &error), LUMOS_ERROR, "57P01");
    lumos_exec(holder, "SELECT pg_terminate_backend(pg_backend_pid())", LUMOS_NTS, NULL, NULL);
    CHECK(!lumos_conn_is_usable(holder));

    /* The database is as good as before. Numbers that nobody has, and handles that are none. */
    CHECK_CALL(lumos_connect(db, &fresh, &error));
    CHECK_CALL(lumos_exec(fresh, "UPDATE t SET v = 5 WHERE id = 1 AND v = 4", LUMOS_NTS, NULL, &error));
    CHECK_STATUS(lumos_cancel(db, 0, &error), LUMOS_DONE);
    CHECK_STATUS(lumos_terminate(db, UINT64_MAX, &error), LUMOS_DONE);
    CHECK_FAILS(lumos_cancel(NULL, id, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_terminate(NULL, id, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_cancel((lumos_db *)fresh, id, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_terminate((lumos_db *)&thread, id, &error), LUMOS_MISUSE, "55000");
    CHECK_STATUS(lumos_terminate(NULL, id, NULL), LUMOS_MISUSE);
    CHECK_CALL(lumos_open(NULL, &other, &error));
    CHECK_STATUS(lumos_terminate(other, lumos_conn_id(fresh), &error), LUMOS_DONE);
    lumos_db_close(other);
    CHECK_FAILS(lumos_terminate(other, id, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_cancel(other, id, &error), LUMOS_MISUSE, "55000");
    CHECK_CALL(lumos_exec(fresh, "SELECT 1", LUMOS_NTS, NULL, &error));
    lumos_conn_close(fresh);
    lumos_conn_close(idle);
    lumos_conn_close(listener.conn);
}

enum { WORKERS = 2, ROUNDS = 150 };

struct worker {
    lumos_db *db;
    int acknowledged, stopped, wrong;
};

static pthread_mutex_t finished_mutex = PTHREAD_MUTEX_INITIALIZER;
static int finished;

static void *open_insert_close(void *argument) {
    struct worker *worker = argument;
    int round;
    for (round = 0; round < ROUNDS; round++) {
        lumos_conn *conn = NULL;
        lumos_error *failure = NULL;
        if (lumos_connect(worker->db, &conn, NULL) < 0) {
            worker->wrong++;
            continue;
        }
        if (lumos_exec(conn, "INSERT INTO hits VALUES (1)", LUMOS_NTS, NULL, &failure) == LUMOS_OK) {
            worker->acknowledged++;
        } else if (strcmp(lumos_error_sqlstate(failure), "57P01") == 0 || strcmp(lumos_error_sqlstate(failure), "57014") == 0) {
            worker->stopped++;
        } else {
            worker->wrong++;
        }
        lumos_error_free(failure);
        lumos_conn_close(conn);
    }
    pthread_mutex_lock(&finished_mutex);
    finished++;
    pthread_mutex_unlock(&finished_mutex);
    return NULL;
}

/* Connections come and go while every number is terminated or cancelled: what was acknowledged is there, and nothing else. */
static void numbers_are_stopped_at_random(lumos_db *db) {
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    lumos_conn *conn = NULL;
    lumos_result *result = NULL;
    int64_t acknowledged = 0;
    uint64_t base, id = 0;
    int i, all = 0;
    CHECK_CALL(lumos_connect(db, &conn, &error));
    CHECK_CALL(lumos_exec(conn, "CREATE TABLE hits (a int)", LUMOS_NTS, NULL, &error));
    base = lumos_conn_id(conn) + 1;
    for (i = 0; i < WORKERS; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        workers[i].db = db;
        CHECK(pthread_create(&threads[i], NULL, open_insert_close, &workers[i]) == 0);
    }
    while (!all) {
        lumos_status status = id % 2 == 0 ? lumos_terminate(db, base + id / 2, NULL) : lumos_cancel(db, base + id / 2, NULL);
        if (status != LUMOS_OK && status != LUMOS_DONE) {
            CHECK_STATUS(status, LUMOS_DONE);
            break;
        }
        id = (id + 1) % (2 * WORKERS * ROUNDS);
        pthread_mutex_lock(&finished_mutex);
        all = finished == WORKERS;
        pthread_mutex_unlock(&finished_mutex);
    }
    for (i = 0; i < WORKERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(workers[i].wrong == 0);
        CHECK(workers[i].acknowledged + workers[i].stopped == ROUNDS);
        acknowledged += workers[i].acknowledged;
    }
    CHECK_CALL(lumos_query(conn, "SELECT count(*) FROM hits", LUMOS_NTS, &result, &error));
    CHECK_STATUS(lumos_result_next(result, &error), LUMOS_ROW);
    CHECK(lumos_get_int64(result, 0) == acknowledged);
    lumos_result_close(result);
    lumos_conn_close(conn);
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
    a_signal_handler_stops_its_own_thread(db, holder, &waiter);
    connections_end_by_number(db, holder, &waiter);
    numbers_are_stopped_at_random(db);
    lumos_conn_close(holder);
    lumos_conn_close(waiter.conn);
    CHECK(statistic(db, "handles_open") == 1);
    CHECK(statistic(db, "panics_caught") == 0);
    lumos_db_close(db);
    return check_end("threads.c");
}
