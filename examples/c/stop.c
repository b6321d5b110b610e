/* An operator's work: who waits for whom is asked in SQL, and a connection is stopped by its number, from another thread:
   cc stop.c -I../../include -L../../lib -Wl,-rpath,../../lib -l:liblumos_core.so -lpthread -o stop */

#include "lumos_core.h"
#include <pthread.h>
#include <stdio.h>

/* A statement of a thread of its own; it will wait for the lock that another connection forgot to give back. */
static void *update(void *argument) {
    lumos_error *err = NULL;
    if (lumos_exec(argument, "UPDATE stock SET left_over = left_over - 1 WHERE id = 1", LUMOS_NTS, NULL, &err) < 0) {
        printf("the statement that waited: %s\n", lumos_error_sqlstate(err));
        lumos_error_free(err);
    } else {
        printf("the statement that waited: done\n");
    }
    return NULL;
}

/* The only number that a query gives; 0: no row. */
static uint64_t ask(lumos_conn *conn, const char *sql) {
    lumos_result *result = NULL;
    uint64_t number = 0;
    if (lumos_query(conn, sql, LUMOS_NTS, &result, NULL) < 0) return 0;
    if (lumos_result_next(result, NULL) == LUMOS_ROW) number = (uint64_t)lumos_get_int64(result, 0);
    lumos_result_close(result);
    return number;
}

/* Waits until a connection waits for a lock, and gives its number. */
static uint64_t find_waiter(lumos_conn *admin) {
    uint64_t id = 0;
    while (id == 0) {
        id = ask(admin, "SELECT session_id FROM lumos_stat_activity WHERE wait_event IS NOT NULL");
    }
    return id;
}

int main(void) {
    lumos_db *db = NULL;
    lumos_conn *forgetful = NULL, *busy = NULL, *admin = NULL;
    lumos_error *err = NULL;
    pthread_t thread;
    uint64_t waiter, holder, busy_id, forgetful_id;
    if (lumos_open(NULL, &db, &err) < 0 || lumos_connect(db, &forgetful, &err) < 0 ||
        lumos_connect(db, &busy, &err) < 0 || lumos_connect(db, &admin, &err) < 0 ||
        lumos_exec(forgetful,
                   "CREATE TABLE stock (id int PRIMARY KEY, left_over int NOT NULL);"
                   "INSERT INTO stock VALUES (1, 10)", LUMOS_NTS, NULL, &err) < 0 ||
        /* A transaction that nobody ends. */
        lumos_exec(forgetful, "BEGIN; UPDATE stock SET left_over = 0 WHERE id = 1", LUMOS_NTS, NULL, &err) < 0) {
        fprintf(stderr, "%s\n", lumos_error_message(err));
        return 1;
    }

    busy_id = lumos_conn_id(busy);
    forgetful_id = lumos_conn_id(forgetful);

    /* Cancel: the statement ends with 57014, its connection goes on. */
    if (pthread_create(&thread, NULL, update, busy) != 0) return 1;
    waiter = find_waiter(admin);
    lumos_cancel(db, waiter, NULL);
    pthread_join(thread, NULL);

    /* Terminate whoever is waited for: its transaction is rolled back at once, and the waiting statement goes on. */
    if (pthread_create(&thread, NULL, update, busy) != 0) return 1;
    waiter = find_waiter(admin);
    holder = ask(admin, "SELECT CAST(blocked_by AS bigint) FROM lumos_stat_activity WHERE wait_event IS NOT NULL");
    printf("%s waits for %s\n", waiter == busy_id ? "busy" : "?",
           holder == forgetful_id ? "forgetful" : "?");
    lumos_terminate(db, holder, NULL);
    pthread_join(thread, NULL);

    /* The terminated connection answers nothing any more, and says whether a call did anything. */
    if (lumos_exec(forgetful, "COMMIT", LUMOS_NTS, NULL, &err) < 0) {
        printf("forgetful: %s, %s\n", lumos_error_sqlstate(err),
               lumos_error_is_unstarted(err) ? "nothing was done" : "it had begun");
        lumos_error_free(err);
    }
    lumos_conn_close(forgetful);
    printf("terminated again: %s\n", lumos_status_name(lumos_terminate(db, holder, NULL)));
    printf("left over: %d\n", (int)ask(admin, "SELECT left_over FROM stock"));
    lumos_conn_close(busy);
    lumos_conn_close(admin);
    lumos_db_close(db);
    return 0;
}
