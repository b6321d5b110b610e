/* In the host's world: descriptors, forks, file modes, names of one file, closing while others run, backups. */

#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static lumos_error *error;
static char path[4096];

static void beside(char *out, size_t size, const char *suffix) {
    snprintf(out, size, "%s%s", path, suffix);
}

static int64_t number(lumos_conn *conn, const char *sql) {
    lumos_result *result = NULL;
    int64_t value = -1;
    CHECK_CALL(lumos_query(conn, sql, LUMOS_NTS, &result, &error));
    if (result != NULL && lumos_result_next(result, &error) == LUMOS_ROW) {
        value = lumos_get_int64(result, 0);
    }
    lumos_result_close(result);
    return value;
}

/* Every descriptor of the library goes when the host starts another program. */
static void descriptors_close_on_exec(void) {
    int seen = 0, kept = 0;
    struct dirent *entry;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        char link[64], target[4096];
        ssize_t length;
        snprintf(link, sizeof link, "/proc/self/fd/%.16s", entry->d_name);
        length = readlink(link, target, sizeof target - 1);
        if (length <= 0) {
            continue;
        }
        target[length] = 0;
        if (strstr(target, ".lumos") != NULL) {
            int flags = fcntl(atoi(entry->d_name), F_GETFD);
            seen++;
            kept += (flags & FD_CLOEXEC) == 0;
        }
    }
    closedir(folder);
    CHECK(seen >= 2);
    CHECK(kept == 0);
}

static void only_the_owner_may_read(void) {
    struct stat file, folder;
    char log[4200];
    beside(log, sizeof log, "-wal");
    CHECK(stat(path, &file) == 0 && (file.st_mode & 0777) == 0600);
    CHECK(stat(log, &folder) == 0 && (folder.st_mode & 0777) == 0700);
}

/* The child may not use what its parent opened; it may open files of its own; its end changes nothing. */
static void a_fork_leaves_the_parent_alone(lumos_db *db, lumos_conn *conn, lumos_stmt *stmt) {
    int status = -1;
    pid_t child;
    CHECK_CALL(lumos_db_checkpoint(db, NULL, &error));
    CHECK_CALL(lumos_exec(conn, "BEGIN; INSERT INTO t VALUES (2)", LUMOS_NTS, NULL, &error));
    fflush(stdout);
    child = fork();
    if (child == 0) {
        lumos_db *other = NULL, *own = NULL;
        lumos_conn *mine = NULL;
        lumos_result *result = NULL;
        lumos_config *reading = lumos_config_new();
        int wrong = 0;
        wrong += lumos_exec(conn, "INSERT INTO t VALUES (3)", LUMOS_NTS, NULL, NULL) != LUMOS_MISUSE;
        wrong += lumos_execute(stmt, &result, NULL) != LUMOS_MISUSE;
        wrong += lumos_connect(db, &mine, NULL) != LUMOS_MISUSE;
        wrong += lumos_db_checkpoint(db, NULL, NULL) != LUMOS_MISUSE;
        wrong += lumos_interrupt(conn, 0) != LUMOS_MISUSE;
        wrong += lumos_conn_is_usable(conn);
        lumos_stmt_close(stmt);
        lumos_conn_close(conn);
        lumos_db_close(db);
        /* The parent has the file. */
        wrong += lumos_open(path, &other, NULL) != LUMOS_BUSY;
        /* To read its last checkpoint is for everybody. */
        wrong += lumos_config_set(reading, "read_only", "on", NULL) != LUMOS_OK;
        wrong += lumos_open_config(path, reading, &other, NULL) != LUMOS_OK;
        wrong += lumos_connect(other, &mine, NULL) != LUMOS_OK;
        wrong += number(mine, "SELECT count(*) FROM t") != 1;
        wrong += lumos_exec(mine, "INSERT INTO t VALUES (3)", LUMOS_NTS, NULL, NULL) != LUMOS_READONLY;
        lumos_conn_close(mine);
        lumos_db_close(other);
        lumos_config_free(reading);
        wrong += lumos_open(NULL, &own, NULL) != LUMOS_OK;
        wrong += lumos_connect(own, &mine, NULL) != LUMOS_OK;
        wrong += lumos_exec(mine, "CREATE TABLE c (a int)", LUMOS_NTS, NULL, NULL) != LUMOS_OK;
        exit(wrong);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_CALL(lumos_exec(conn, "INSERT INTO t VALUES (4); COMMIT", LUMOS_NTS, NULL, &error));
    CHECK(number(conn, "SELECT count(*) FROM t") == 3);
    only_the_owner_may_read();
}

/* Two spellings and a symbolic link are one engine. */
static void names_of_one_file_meet(lumos_conn *conn) {
    char spelled[8400], linked[4200];
    const char *name = strrchr(path, '/');
    const char *names[2];
    int i;
    snprintf(spelled, sizeof spelled, "%.*s/.%s", (int)(name - path), path, name);
    beside(linked, sizeof linked, "-link");
    unlink(linked);
    CHECK(symlink(path, linked) == 0);
    names[0] = spelled;
    names[1] = linked;
    for (i = 0; i < 2; i++) {
        lumos_db *same = NULL;
        lumos_conn *other = NULL;
        CHECK_CALL(lumos_open(names[i], &same, &error));
        CHECK_CALL(lumos_connect(same, &other, &error));
        CHECK_CALL(lumos_exec(other, "INSERT INTO t VALUES (5)", LUMOS_NTS, NULL, &error));
        CHECK(number(conn, "SELECT count(*) FROM t WHERE a = 5") == i + 1);
        lumos_conn_close(other);
        lumos_db_close(same);
    }
    unlink(linked);
}

struct runner {
    lumos_conn *conn;
    lumos_status status;
    char state[6];
};

static void *run_long(void *argument) {
    struct runner *runner = argument;
    lumos_error *failure = NULL;
    runner->status = lumos_exec(runner->conn, "UPDATE t SET a = 7 WHERE a = 1", LUMOS_NTS, NULL, &failure);
    strncpy(runner->state, lumos_error_sqlstate(failure), sizeof runner->state - 1);
    lumos_error_free(failure);
    return NULL;
}

/* A statement that waits in another thread ends with 57P01 when its connection, or its database, is closed. */
static void closing_ends_what_runs(void) {
    int by_database;
    for (by_database = 0; by_database < 2; by_database++) {
        lumos_db *db = NULL;
        lumos_conn *holder = NULL;
        struct runner runner = {NULL, 0, {0}};
        pthread_t thread;
        int64_t waits = 0, before = 0;
        CHECK_CALL(lumos_open(NULL, &db, &error));
        CHECK_CALL(lumos_connect(db, &holder, &error));
        CHECK_CALL(lumos_connect(db, &runner.conn, &error));
        CHECK_CALL(lumos_exec(holder, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)", LUMOS_NTS, NULL, &error));
        CHECK_CALL(lumos_exec(holder, "BEGIN; UPDATE t SET a = 1", LUMOS_NTS, NULL, &error));
        CHECK_STATUS(lumos_db_stat(db, "lock_waits", &before), LUMOS_OK);
        CHECK(pthread_create(&thread, NULL, run_long, &runner) == 0);
        while (lumos_db_stat(db, "lock_waits", &waits) == LUMOS_OK && waits == before) {
            sched_yield();
        }
        if (by_database) {
            lumos_db_close(db);
        } else {
            lumos_conn_close(runner.conn);
        }
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(runner.status < 0);
        CHECK_TEXT(runner.state, "57P01");
        /* What did not run is as it was. */
        CHECK_CALL(lumos_exec(holder, "COMMIT", LUMOS_NTS, NULL, &error));
        CHECK(number(holder, "SELECT a FROM t") == 1);
        CHECK(!lumos_conn_is_usable(runner.conn));
        lumos_conn_close(runner.conn);
        lumos_conn_close(holder);
        lumos_db_close(db);
    }
}

static void a_backup_is_a_database(lumos_db *db, lumos_conn *conn) {
    lumos_backup *backup = NULL;
    lumos_db *copy = NULL;
    lumos_conn *reader = NULL;
    char dest[4200];
    uint64_t remaining = 0, total = 0, findings = 1;
    int64_t rows = number(conn, "SELECT count(*) FROM t");
    lumos_status status;
    beside(dest, sizeof dest, "-copy.lumos");
    unlink(dest);
    CHECK_FAILS(lumos_backup_start(db, dest, 1, &backup, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_backup_start(db, path, 0, &backup, &error), LUMOS_ERROR, "42710");
    CHECK_CALL(lumos_backup_start(db, dest, 0, &backup, &error));
    CHECK_STATUS(lumos_backup_step(backup, 1, &remaining, &total, &error), LUMOS_MORE);
    CHECK(total > 0 && remaining <= total);
    lumos_backup_finish(backup);
    CHECK(access(dest, F_OK) != 0);
    CHECK_CALL(lumos_backup_start(db, dest, 0, &backup, &error));
    CHECK_CALL(lumos_exec(conn, "INSERT INTO t VALUES (100)", LUMOS_NTS, NULL, &error));
    do {
        status = lumos_backup_step(backup, 1, NULL, NULL, &error);
    } while (status == LUMOS_MORE);
    CHECK_STATUS(status, LUMOS_DONE);
    CHECK_STATUS(lumos_backup_step(backup, -1, &remaining, NULL, &error), LUMOS_DONE);
    CHECK(remaining == 0);
    lumos_backup_finish(backup);
    lumos_backup_finish(backup);
    lumos_backup_finish(NULL);
    CHECK_FAILS(lumos_backup_step(backup, -1, NULL, NULL, &error), LUMOS_MISUSE, "55000");
    CHECK_CALL(lumos_open(dest, &copy, &error));
    CHECK_CALL(lumos_connect(copy, &reader, &error));
    CHECK(number(reader, "SELECT count(*) FROM t") == rows);
    CHECK_CALL(lumos_verify(copy, NULL, NULL, &findings, &error));
    CHECK(findings == 0);
    lumos_conn_close(reader);
    lumos_db_close(copy);
    unlink(dest);
}

/* The same as bytes: opened again in memory, and as a file. */
static void a_database_as_bytes_is_opened_again(lumos_db *db, lumos_conn *conn) {
    lumos_db *copy = NULL;
    lumos_conn *reader = NULL;
    lumos_config *config = lumos_config_new();
    uint8_t *image = NULL;
    size_t length = 0;
    uint64_t findings = 1;
    char dest[4200];
    FILE *file;
    int64_t rows = number(conn, "SELECT count(*) FROM t");
    int as_file;
    CHECK_FAILS(lumos_serialize(db, NULL, &length, &error), LUMOS_MISUSE, "55000");
    CHECK_FAILS(lumos_serialize(NULL, &image, &length, &error), LUMOS_MISUSE, "55000");
    CHECK_CALL(lumos_serialize(db, &image, &length, &error));
    CHECK(image != NULL && length > (128 << 10));
    beside(dest, sizeof dest, "-image.lumos");
    file = fopen(dest, "wb");
    CHECK(file != NULL && fwrite(image, 1, length, file) == length && fclose(file) == 0);
    for (as_file = 0; as_file < 2; as_file++) {
        if (as_file) {
            CHECK_CALL(lumos_open(dest, &copy, &error));
        } else {
            CHECK_CALL(lumos_config_set(config, "memory_limit", "32MB", &error));
            CHECK_CALL(lumos_deserialize(image, length, config, &copy, &error));
        }
        CHECK_CALL(lumos_connect(copy, &reader, &error));
        CHECK(number(reader, "SELECT count(*) FROM t") == rows);
        CHECK_CALL(lumos_exec(reader, "INSERT INTO t VALUES (1); CREATE TABLE more (a int)", LUMOS_NTS, NULL, &error));
        CHECK_CALL(lumos_verify(copy, NULL, NULL, &findings, &error));
        CHECK(findings == 0);
        lumos_conn_close(reader);
        lumos_db_close(copy);
    }
    CHECK(number(conn, "SELECT count(*) FROM t") == rows);
    copy = NULL;
    CHECK_FAILS(lumos_deserialize(image, length / 2, NULL, &copy, &error), LUMOS_CORRUPT, "XX001");
    CHECK_FAILS(lumos_deserialize(image, 0, NULL, &copy, &error), LUMOS_CORRUPT, "XX001");
    CHECK_FAILS(lumos_deserialize(NULL, 1, NULL, &copy, &error), LUMOS_MISUSE, "55000");
    image[30] ^= 1;
    CHECK_FAILS(lumos_deserialize(image, length, NULL, &copy, &error), LUMOS_CORRUPT, "XX001");
    CHECK(copy == NULL);
    lumos_free(image);
    lumos_config_free(config);
    unlink(dest);
}

int main(int argc, char **argv) {
    lumos_db *db = NULL;
    lumos_conn *conn = NULL;
    lumos_stmt *stmt = NULL;
    umask(022);
    snprintf(path, sizeof path, "%s", argc > 1 ? argv[1] : "process.lumos");
    CHECK_CALL(lumos_open(path, &db, &error));
    CHECK_CALL(lumos_connect(db, &conn, &error));
    CHECK_CALL(lumos_exec(conn, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)", LUMOS_NTS, NULL, &error));
    CHECK_CALL(lumos_prepare(conn, "SELECT a FROM t", LUMOS_NTS, 0, &stmt, NULL, &error));
    descriptors_close_on_exec();
    only_the_owner_may_read();
    a_fork_leaves_the_parent_alone(db, conn, stmt);
    names_of_one_file_meet(conn);
    closing_ends_what_runs();
    a_backup_is_a_database(db, conn);
    a_database_as_bytes_is_opened_again(db, conn);
    lumos_stmt_close(stmt);
    lumos_conn_close(conn);
    lumos_db_close(db);
    return check_end("process.c");
}
