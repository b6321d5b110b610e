/* Constants and structs are those of the library; rust-core/src/ffi/abi.rs asserts the same numbers. */

#include "check.h"

static void statuses(void) {
    CHECK_TEXT(lumos_status_name(LUMOS_OK), "LUMOS_OK");
    CHECK_TEXT(lumos_status_name(LUMOS_ROW), "LUMOS_ROW");
    CHECK_TEXT(lumos_status_name(LUMOS_DONE), "LUMOS_DONE");
    CHECK_TEXT(lumos_status_name(LUMOS_MORE), "LUMOS_MORE");
    CHECK_TEXT(lumos_status_name(LUMOS_ERROR), "LUMOS_ERROR");
    CHECK_TEXT(lumos_status_name(LUMOS_MISUSE), "LUMOS_MISUSE");
    CHECK_TEXT(lumos_status_name(LUMOS_BUSY), "LUMOS_BUSY");
    CHECK_TEXT(lumos_status_name(LUMOS_INTERRUPTED), "LUMOS_INTERRUPTED");
    CHECK_TEXT(lumos_status_name(LUMOS_CONFLICT), "LUMOS_CONFLICT");
    CHECK_TEXT(lumos_status_name(LUMOS_CONSTRAINT), "LUMOS_CONSTRAINT");
    CHECK_TEXT(lumos_status_name(LUMOS_READONLY), "LUMOS_READONLY");
    CHECK_TEXT(lumos_status_name(LUMOS_NOMEM), "LUMOS_NOMEM");
    CHECK_TEXT(lumos_status_name(LUMOS_IOERR), "LUMOS_IOERR");
    CHECK_TEXT(lumos_status_name(LUMOS_CORRUPT), "LUMOS_CORRUPT");
    CHECK_TEXT(lumos_status_name(LUMOS_PANIC), "LUMOS_PANIC");
    CHECK_TEXT(lumos_status_name(1234), "LUMOS_?");
}

int main(void) {
    CHECK(lumos_abi_version() == ((uint32_t)LUMOS_ABI_MAJOR << 16 | LUMOS_ABI_MINOR));
    CHECK(lumos_version_number() >= 0 && strchr(lumos_version(), '.') != NULL);
    CHECK(!lumos_has_feature("no such part") && !lumos_has_feature(NULL));
    CHECK(sizeof(lumos_status) == 4);
    CHECK(sizeof(lumos_run_info) == 48);
    CHECK(offsetof(lumos_run_info, rows) == 4);
    CHECK(offsetof(lumos_run_info, used) == 8);
    CHECK(offsetof(lumos_run_info, affected) == 16);
    CHECK(offsetof(lumos_run_info, sequence) == 24);
    CHECK(offsetof(lumos_run_info, needed) == 32);
    CHECK(offsetof(lumos_run_info, txn_status) == 40);
    CHECK(sizeof(lumos_column_info) == 40);
    CHECK(offsetof(lumos_column_info, type_oid) == 4);
    CHECK(offsetof(lumos_column_info, type_mod) == 8);
    CHECK(offsetof(lumos_column_info, table_oid) == 12);
    CHECK(offsetof(lumos_column_info, table_column) == 16);
    CHECK(offsetof(lumos_column_info, nullable) == 20);
    CHECK(offsetof(lumos_column_info, name) == 24);
    CHECK(offsetof(lumos_column_info, type_name) == 32);
    statuses();
    return check_end("layout.c");
}
