/* Counting checks: a failed one is told and counted, and the program goes on. */

#ifndef CHECK_H
#define CHECK_H

#include "lumos_core.h"
#include <stdio.h>
#include <string.h>

static int passed_count;
static int failed_count;

#define CHECK(condition) check_that((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_TEXT(found, expected) check_text((found), (expected), __FILE__, __LINE__)
#define CHECK_STATUS(found, expected) check_status((found), (expected), #found, __FILE__, __LINE__)
/* The call must succeed; what it left in `error` is told when it does not. */
#define CHECK_CALL(call) check_call((call), &error, #call, __FILE__, __LINE__)
/* The call must fail with this status and SQLSTATE; the error is freed. */
#define CHECK_FAILS(call, status, state) check_fails((call), &error, (status), (state), #call, __FILE__, __LINE__)

static inline void check_that(int holds, const char *what, const char *file, int line) {
    if (holds) {
        passed_count++;
    } else {
        failed_count++;
        printf("%s:%d: failed: %s\n", file, line, what);
    }
}

static inline void check_text(const char *found, const char *expected, const char *file, int line) {
    int same = found != NULL && strcmp(found, expected) == 0;
    if (!same) {
        printf("%s:%d: found \"%s\", expected \"%s\"\n", file, line, found ? found : "(null)", expected);
    }
    check_that(same, "equal texts", file, line);
}

static inline void check_status(int found, int expected, const char *what, const char *file, int line) {
    if (found != expected) {
        printf("%s:%d: %s gave %s, expected %s\n", file, line, what, lumos_status_name(found),
               lumos_status_name(expected));
    }
    check_that(found == expected, what, file, line);
}

static inline void check_call(int status, lumos_error **error, const char *what, const char *file, int line) {
    if (status < 0) {
        printf("%s:%d: %s %s\n", file, line, lumos_error_sqlstate(*error), lumos_error_message(*error));
        lumos_error_free(*error);
        *error = NULL;
    }
    check_that(status >= 0 && *error == NULL, what, file, line);
}

static inline void check_fails(int status, lumos_error **error, int expected, const char *state, const char *what,
                               const char *file, int line) {
    check_status(status, expected, what, file, line);
    check_text(lumos_error_sqlstate(*error), state, file, line);
    lumos_error_free(*error);
    *error = NULL;
}

/* The last line of every program; its result is main's. */
static inline int check_end(const char *name) {
    printf("%s: %d passed, %d failed\n", name, passed_count, failed_count);
    return failed_count == 0 ? 0 : 1;
}

#endif
