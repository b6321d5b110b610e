//go:build cgo && rust

package capi

/*
#cgo CFLAGS: -I${SRCDIR}/../../../include -DLUMOS_STATIC
// The archive is named in full: with -llumos_core the linker would take the shared library beside it.
#cgo LDFLAGS: ${SRCDIR}/../../../lib/liblumos_core.a
#cgo linux LDFLAGS: -lpthread -ldl -lm
#cgo freebsd LDFLAGS: -lpthread -lm -lexecinfo
#cgo windows LDFLAGS: -lws2_32 -luserenv -lntdll -lbcrypt

// No function keeps a Go pointer; but for COPY none calls into Go.
#cgo noescape lgo_open
#cgo nocallback lgo_open
#cgo noescape lgo_config_set
#cgo nocallback lgo_config_set
#cgo noescape lgo_stat
#cgo nocallback lgo_stat
#cgo noescape lgo_checkpoint
#cgo nocallback lgo_checkpoint
#cgo noescape lgo_verify
#cgo nocallback lgo_verify
#cgo noescape lgo_backup_start
#cgo nocallback lgo_backup_start
#cgo noescape lgo_backup_step
#cgo nocallback lgo_backup_step
#cgo nocallback lgo_backup_finish
#cgo noescape lgo_serialize
#cgo nocallback lgo_serialize
#cgo noescape lgo_deserialize
#cgo nocallback lgo_deserialize
#cgo noescape lgo_connect
#cgo nocallback lgo_connect
#cgo noescape lgo_conn_reset
#cgo nocallback lgo_conn_reset
#cgo nocallback lgo_conn_is_usable
#cgo nocallback lgo_conn_id
#cgo nocallback lgo_conn_sequence
#cgo noescape lgo_cancel
#cgo nocallback lgo_cancel
#cgo noescape lgo_terminate
#cgo nocallback lgo_terminate
#cgo nocallback lgo_interrupt
#cgo noescape lgo_exec
#cgo nocallback lgo_exec
#cgo noescape lgo_prepare
#cgo nocallback lgo_prepare
#cgo noescape lgo_stmt_column
#cgo nocallback lgo_stmt_column
#cgo noescape lgo_run
#cgo nocallback lgo_run
#cgo nocallback lgo_stmt_result
#cgo nocallback lgo_result_close
#cgo noescape lgo_fetch_packed
#cgo nocallback lgo_fetch_packed
#cgo noescape lgo_begin
#cgo nocallback lgo_begin
#cgo noescape lgo_commit
#cgo nocallback lgo_commit
#cgo noescape lgo_rollback
#cgo nocallback lgo_rollback

#include <stdlib.h>
#include <string.h>
#include "lumos_core.h"

// Written by checksum.sh after each build of the archive. Go's build cache does not look into the archive, but
// it sees this header change, and its text is part of the compiled package, so the program is linked anew.
#if defined(__has_include)
#if __has_include("lumos_checksum.h")
#include "lumos_checksum.h"
#endif
#endif
#ifndef LUMOS_CHECKSUM
#define LUMOS_CHECKSUM "unknown"
#endif

// Handles cross as numbers, see the package comment.

static int32_t lgo_open(const uint8_t *path, uintptr_t config, uintptr_t *out, uintptr_t *err) {
	lumos_db *db = NULL;
	lumos_error *e = NULL;
	lumos_status s = lumos_open_config((const char *)path, (const lumos_config *)config, &db, &e);
	*out = (uintptr_t)db;
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_config_set(uintptr_t config, const uint8_t *name, const uint8_t *value, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_config_set((lumos_config *)config, (const char *)name, (const char *)value, &e);
	*err = (uintptr_t)e;
	return s;
}
static uintptr_t lgo_config_new(void) { return (uintptr_t)lumos_config_new(); }
static void lgo_config_free(uintptr_t config) { lumos_config_free((lumos_config *)config); }
static int32_t lgo_stat(uintptr_t db, const uint8_t *name, int64_t *out) {
	return lumos_db_stat((lumos_db *)db, (const char *)name, out);
}
static int32_t lgo_checkpoint(uintptr_t db, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_db_checkpoint((lumos_db *)db, NULL, &e);
	*err = (uintptr_t)e;
	return s;
}

// The findings of lumos_verify, each with its zero byte.
typedef struct {
	char *text;
	size_t length;
	uint32_t kept, kept_max;
} lgo_findings;

static int32_t lgo_collect(void *user, const char *finding) {
	lgo_findings *f = user;
	size_t n = strlen(finding) + 1;
	char *grown = realloc(f->text, f->length + n);
	if (grown == NULL) return 1;
	memcpy(grown + f->length, finding, n);
	f->text = grown;
	f->length += n;
	f->kept++;
	return f->kept >= f->kept_max;
}
static int32_t lgo_verify(uintptr_t db, uint32_t kept_max, uintptr_t *text, size_t *length, uint64_t *found, uintptr_t *err) {
	lgo_findings f = {NULL, 0, 0, kept_max};
	lumos_error *e = NULL;
	lumos_status s = lumos_verify((lumos_db *)db, lgo_collect, &f, found, &e);
	*text = (uintptr_t)f.text;
	*length = f.length;
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_backup_start(uintptr_t db, const uint8_t *path, uintptr_t *out, uintptr_t *err) {
	lumos_backup *backup = NULL;
	lumos_error *e = NULL;
	lumos_status s = lumos_backup_start((lumos_db *)db, (const char *)path, 0, &backup, &e);
	*out = (uintptr_t)backup;
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_backup_step(uintptr_t backup, int32_t pages, uint64_t *remaining, uint64_t *total, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_backup_step((lumos_backup *)backup, pages, remaining, total, &e);
	*err = (uintptr_t)e;
	return s;
}
static void lgo_backup_finish(uintptr_t backup) { lumos_backup_finish((lumos_backup *)backup); }
static int32_t lgo_serialize(uintptr_t db, uintptr_t *out, size_t *length, uintptr_t *err) {
	uint8_t *bytes = NULL;
	lumos_error *e = NULL;
	lumos_status s = lumos_serialize((lumos_db *)db, &bytes, length, &e);
	*out = (uintptr_t)bytes;
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_deserialize(const uint8_t *image, size_t length, uintptr_t config, uintptr_t *out, uintptr_t *err) {
	lumos_db *db = NULL;
	lumos_error *e = NULL;
	lumos_status s = lumos_deserialize(image, length, (const lumos_config *)config, &db, &e);
	*out = (uintptr_t)db;
	*err = (uintptr_t)e;
	return s;
}
static void lgo_lumos_free(uintptr_t memory) { lumos_free((void *)memory); }
static void lgo_free(uintptr_t memory) { free((void *)memory); }
static void lgo_db_close(uintptr_t db) { lumos_db_close((lumos_db *)db); }

static int32_t lgo_connect(uintptr_t db, uintptr_t *out, uintptr_t *err) {
	lumos_conn *conn = NULL;
	lumos_error *e = NULL;
	lumos_status s = lumos_connect((lumos_db *)db, &conn, &e);
	*out = (uintptr_t)conn;
	*err = (uintptr_t)e;
	return s;
}
static void lgo_conn_close(uintptr_t conn) { lumos_conn_close((lumos_conn *)conn); }
static int32_t lgo_conn_reset(uintptr_t conn, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_conn_reset((lumos_conn *)conn, &e);
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_conn_is_usable(uintptr_t conn) { return lumos_conn_is_usable((const lumos_conn *)conn); }
static uint64_t lgo_conn_id(uintptr_t conn) { return lumos_conn_id((const lumos_conn *)conn); }
static int32_t lgo_cancel(uintptr_t db, uint64_t id, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_cancel((lumos_db *)db, id, &e);
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_terminate(uintptr_t db, uint64_t id, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_terminate((lumos_db *)db, id, &e);
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_conn_txn_status(uintptr_t conn) { return lumos_conn_txn_status((const lumos_conn *)conn); }
static uint64_t lgo_conn_sequence(uintptr_t conn) { return lumos_conn_sequence((const lumos_conn *)conn); }
static int32_t lgo_interrupt(uintptr_t conn, uint64_t sequence) {
	return lumos_interrupt((const lumos_conn *)conn, sequence);
}

static int32_t lgo_exec(uintptr_t conn, const uint8_t *sql, size_t length, int64_t *affected, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_exec((lumos_conn *)conn, (const char *)sql, length, affected, &e);
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_prepare(uintptr_t conn, const uint8_t *sql, size_t length, uintptr_t *out, size_t *tail, uintptr_t *err) {
	lumos_stmt *stmt = NULL;
	lumos_error *e = NULL;
	lumos_status s = lumos_prepare((lumos_conn *)conn, (const char *)sql, length, LUMOS_PREPARE_PERSISTENT, &stmt, tail, &e);
	*out = (uintptr_t)stmt;
	*err = (uintptr_t)e;
	return s;
}
static void lgo_stmt_close(uintptr_t stmt) { lumos_stmt_close((lumos_stmt *)stmt); }
static int32_t lgo_stmt_kind(uintptr_t stmt) { return lumos_stmt_kind((const lumos_stmt *)stmt); }
static uint32_t lgo_stmt_param_count(uintptr_t stmt) { return lumos_stmt_param_count((const lumos_stmt *)stmt); }
static uint32_t lgo_stmt_param_type(uintptr_t stmt, uint32_t index) { return lumos_stmt_param_type((const lumos_stmt *)stmt, index); }
static uintptr_t lgo_stmt_param_name(uintptr_t stmt, uint32_t index) {
	return (uintptr_t)lumos_stmt_param_name((const lumos_stmt *)stmt, index);
}
static uint32_t lgo_stmt_column_count(uintptr_t stmt) { return lumos_stmt_column_count((const lumos_stmt *)stmt); }
static int32_t lgo_stmt_column(uintptr_t stmt, uint32_t index, uint8_t *info) {
	return lumos_stmt_column((const lumos_stmt *)stmt, index, (lumos_column_info *)info);
}
static int32_t lgo_run(uintptr_t stmt, const uint8_t *params, size_t params_length, uint8_t *buffer, size_t capacity,
		uint8_t *info, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_run((lumos_stmt *)stmt, params, params_length, buffer, capacity, (lumos_run_info *)info, &e);
	*err = (uintptr_t)e;
	return s;
}
static uintptr_t lgo_stmt_result(uintptr_t stmt) { return (uintptr_t)lumos_stmt_result((lumos_stmt *)stmt); }
static int32_t lgo_fetch_packed(uintptr_t result, uint8_t *buffer, size_t capacity, uint8_t *info, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_fetch_packed((lumos_result *)result, buffer, capacity, UINT32_MAX, (lumos_run_info *)info, &e);
	*err = (uintptr_t)e;
	return s;
}
static void lgo_result_close(uintptr_t result) { lumos_result_close((lumos_result *)result); }

static int32_t lgo_notification_wait(uintptr_t conn, int64_t timeout_ms, uintptr_t *channel, uintptr_t *payload,
		uint64_t *sender, uintptr_t *err) {
	char *c = NULL, *p = NULL;
	lumos_error *e = NULL;
	lumos_status s = lumos_notification_wait((lumos_conn *)conn, timeout_ms, &c, &p, sender, &e);
	*channel = (uintptr_t)c;
	*payload = (uintptr_t)p;
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_last_identity(uintptr_t conn, int64_t *value) { return lumos_last_identity((lumos_conn *)conn, value, NULL); }
static int32_t lgo_begin(uintptr_t conn, int32_t isolation, uint32_t flags, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_begin((lumos_conn *)conn, isolation, flags, &e);
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_commit(uintptr_t conn, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_commit((lumos_conn *)conn, NULL, &e);
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_rollback(uintptr_t conn, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_rollback((lumos_conn *)conn, &e);
	*err = (uintptr_t)e;
	return s;
}

// COPY calls back into Go: copy_cgo.go has these two, `user` is a handle.
extern int64_t lgoCopyRead(uintptr_t user, void *buffer, size_t capacity);
extern int32_t lgoCopyWrite(uintptr_t user, void *data, size_t length);

static int64_t lgo_copy_read(void *user, void *buffer, size_t capacity) {
	return lgoCopyRead((uintptr_t)user, buffer, capacity);
}
static int32_t lgo_copy_write(void *user, const void *data, size_t length) {
	return lgoCopyWrite((uintptr_t)user, (void *)data, length);
}
static int32_t lgo_copy_in(uintptr_t conn, const uint8_t *sql, size_t length, uintptr_t user, uint64_t *rows, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_copy_in((lumos_conn *)conn, (const char *)sql, length, lgo_copy_read, (void *)user, rows, &e);
	*err = (uintptr_t)e;
	return s;
}
static int32_t lgo_copy_out(uintptr_t conn, const uint8_t *sql, size_t length, uintptr_t user, uint64_t *rows, uintptr_t *err) {
	lumos_error *e = NULL;
	lumos_status s = lumos_copy_out((lumos_conn *)conn, (const char *)sql, length, lgo_copy_write, (void *)user, rows, &e);
	*err = (uintptr_t)e;
	return s;
}

static uintptr_t lgo_error_field(uintptr_t error, int32_t field) {
	return (uintptr_t)lumos_error_field((const lumos_error *)error, field);
}
static int64_t lgo_error_position(uintptr_t error) { return lumos_error_position((const lumos_error *)error); }
static int32_t lgo_error_is_unstarted(uintptr_t error) { return lumos_error_is_unstarted((const lumos_error *)error); }
static void lgo_error_free(uintptr_t error) { lumos_error_free((lumos_error *)error); }
static uintptr_t lgo_status_name(int32_t status) { return (uintptr_t)lumos_status_name(status); }
static uintptr_t lgo_version(void) { return (uintptr_t)lumos_version(); }
*/
import "C"

import (
	"runtime/cgo"
	"strings"
	"unsafe"
)

// Link says how the library is reached.
const Link = "cgo"

// LibraryChecksum is the linked archive's, as checksum.sh saw it.
const LibraryChecksum = C.LUMOS_CHECKSUM

// The layouts are the header's: a difference makes one of these constants negative.
const (
	_ = uint(unsafe.Sizeof(RunInfo{}) - C.sizeof_lumos_run_info)
	_ = uint(C.sizeof_lumos_run_info - unsafe.Sizeof(RunInfo{}))
	_ = uint(unsafe.Sizeof(columnInfo{}) - C.sizeof_lumos_column_info)
	_ = uint(C.sizeof_lumos_column_info - unsafe.Sizeof(columnInfo{}))
)

func load() error          { return nil }
func libraryPlace() string { return "linked in" }
func abiVersion() uint32   { return uint32(C.lumos_abi_version()) }

func bytesOf(b []byte) *C.uint8_t   { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))) }
func textOf(s string) *C.uint8_t    { return (*C.uint8_t)(unsafe.Pointer(unsafe.StringData(s))) }
func outOf(h *uintptr) *C.uintptr_t { return (*C.uintptr_t)(unsafe.Pointer(h)) }

// Version is the library's release.
func Version() string { return goString(uintptr(C.lgo_version())) }

func statusName(status Status) string { return goString(uintptr(C.lgo_status_name(C.int32_t(status)))) }

func errorField(handle Err, letter byte) string {
	return goString(uintptr(C.lgo_error_field(C.uintptr_t(handle), C.int32_t(letter))))
}
func errorPosition(handle Err) int64 { return int64(C.lgo_error_position(C.uintptr_t(handle))) }
func errorIsUnstarted(handle Err) bool {
	return C.lgo_error_is_unstarted(C.uintptr_t(handle)) != 0
}
func errorFree(handle Err) { C.lgo_error_free(C.uintptr_t(handle)) }

// ConfigNew makes options; 0 when memory is out.
func ConfigNew() Config { return Config(C.lgo_config_new()) }

// ConfigFree frees options.
func ConfigFree(config Config) { C.lgo_config_free(C.uintptr_t(config)) }

// ConfigSet sets an option.
func ConfigSet(config Config, name, value string) (Status, Err, error) {
	cName, err := cText(name)
	if err != nil {
		return Misuse, 0, err
	}
	cValue, err := cText(value)
	if err != nil {
		return Misuse, 0, err
	}
	var failure uintptr
	status := C.lgo_config_set(C.uintptr_t(config), bytesOf(cName), bytesOf(cValue), outOf(&failure))
	return Status(status), Err(failure), nil
}

// Open opens or creates a database.
func Open(path string, config Config) (DB, Status, Err, error) {
	cPath, err := cText(path)
	if err != nil {
		return 0, Misuse, 0, err
	}
	var db, failure uintptr
	status := C.lgo_open(bytesOf(cPath), C.uintptr_t(config), outOf(&db), outOf(&failure))
	return DB(db), Status(status), Err(failure), nil
}

// Close releases a database's handle.
func Close(db DB) { C.lgo_db_close(C.uintptr_t(db)) }

// Stat reads a counter.
func Stat(db DB, name string) (int64, Status) {
	cName, err := cText(name)
	if err != nil {
		return 0, Misuse
	}
	var value int64
	status := C.lgo_stat(C.uintptr_t(db), bytesOf(cName), (*C.int64_t)(unsafe.Pointer(&value)))
	return value, Status(status)
}

// Checkpoint writes committed data into the database file.
func Checkpoint(db DB) (Status, Err) {
	var failure uintptr
	status := C.lgo_checkpoint(C.uintptr_t(db), outOf(&failure))
	return Status(status), Err(failure)
}

// Verify checks the file: the number of findings, and at most keptMax of their texts.
func Verify(db DB, keptMax int) (findings []string, found uint64, status Status, failure Err) {
	var text, errHandle uintptr
	var length C.size_t
	var count C.uint64_t
	status = Status(C.lgo_verify(C.uintptr_t(db), C.uint32_t(keptMax), outOf(&text), &length, &count, outOf(&errHandle)))
	if text != 0 {
		start := *(*unsafe.Pointer)(unsafe.Pointer(&text))
		all := string(unsafe.Slice((*byte)(start), int(length)))
		findings = strings.Split(strings.TrimSuffix(all, "\x00"), "\x00")
		C.lgo_free(C.uintptr_t(text))
	}
	return findings, uint64(count), status, Err(errHandle)
}

// BackupStart begins a backup to a new file.
func BackupStart(db DB, path string) (BackupHandle, Status, Err, error) {
	cPath, err := cText(path)
	if err != nil {
		return 0, Misuse, 0, err
	}
	var backup, failure uintptr
	status := C.lgo_backup_start(C.uintptr_t(db), bytesOf(cPath), outOf(&backup), outOf(&failure))
	return BackupHandle(backup), Status(status), Err(failure), nil
}

// BackupStep copies up to so many pages: More, or Done. It gives how many are left, and how many there are.
func BackupStep(backup BackupHandle, pages int32) (remaining, total uint64, status Status, failure Err) {
	var left, all C.uint64_t
	var errHandle uintptr
	status = Status(C.lgo_backup_step(C.uintptr_t(backup), C.int32_t(pages), &left, &all, outOf(&errHandle)))
	return uint64(left), uint64(all), status, Err(errHandle)
}

// BackupFinish ends a backup; before Done the file is removed.
func BackupFinish(backup BackupHandle) { C.lgo_backup_finish(C.uintptr_t(backup)) }

// Serialize gives the whole database as bytes.
func Serialize(db DB) ([]byte, Status, Err) {
	var bytes, failure uintptr
	var length C.size_t
	status := Status(C.lgo_serialize(C.uintptr_t(db), outOf(&bytes), &length, outOf(&failure)))
	if status < 0 {
		return nil, status, Err(failure)
	}
	start := *(*unsafe.Pointer)(unsafe.Pointer(&bytes))
	image := append([]byte(nil), unsafe.Slice((*byte)(start), int(length))...)
	C.lgo_lumos_free(C.uintptr_t(bytes))
	return image, status, 0
}

// Deserialize opens a database in memory that begins as image.
func Deserialize(image []byte, config Config) (DB, Status, Err) {
	var db, failure uintptr
	status := C.lgo_deserialize((*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(image))), C.size_t(len(image)),
		C.uintptr_t(config), outOf(&db), outOf(&failure))
	return DB(db), Status(status), Err(failure)
}

// Connect opens a connection.
func Connect(db DB) (Conn, Status, Err) {
	var conn, failure uintptr
	status := C.lgo_connect(C.uintptr_t(db), outOf(&conn), outOf(&failure))
	return Conn(conn), Status(status), Err(failure)
}

// ConnClose closes a connection; an open transaction is rolled back.
func ConnClose(conn Conn) { C.lgo_conn_close(C.uintptr_t(conn)) }

// ConnReset makes a connection as good as new.
func ConnReset(conn Conn) (Status, Err) {
	var failure uintptr
	status := C.lgo_conn_reset(C.uintptr_t(conn), outOf(&failure))
	return Status(status), Err(failure)
}

// ConnIsUsable is false when the connection must be dropped.
func ConnIsUsable(conn Conn) bool { return C.lgo_conn_is_usable(C.uintptr_t(conn)) != 0 }

// ConnID is the connection's number; 0 for a handle that is none.
func ConnID(conn Conn) uint64 { return uint64(C.lgo_conn_id(C.uintptr_t(conn))) }

// Cancel asks what the connection of this number runs to stop: OK; or Done when there is none. Any thread.
func Cancel(db DB, id uint64) (Status, Err) {
	var failure uintptr
	status := C.lgo_cancel(C.uintptr_t(db), C.uint64_t(id), outOf(&failure))
	return Status(status), Err(failure)
}

// Terminate ends the connection of this number: OK; or Done when there is none. Any thread.
func Terminate(db DB, id uint64) (Status, Err) {
	var failure uintptr
	status := C.lgo_terminate(C.uintptr_t(db), C.uint64_t(id), outOf(&failure))
	return Status(status), Err(failure)
}

// ConnTxnStatus is 'I', 'T', 'E', or 0 for a handle that is none.
func ConnTxnStatus(conn Conn) byte { return byte(C.lgo_conn_txn_status(C.uintptr_t(conn))) }

// Sequence is the number of the running or last statement. Any thread.
func Sequence(conn Conn) uint64 { return uint64(C.lgo_conn_sequence(C.uintptr_t(conn))) }

// Interrupt asks a statement of the connection to stop. Any thread.
func Interrupt(conn Conn, sequence uint64) {
	C.lgo_interrupt(C.uintptr_t(conn), C.uint64_t(sequence))
}

// Exec runs one or more statements and throws rows away.
func Exec(conn Conn, sql string) (affected int64, status Status, failure Err) {
	var errHandle uintptr
	code := C.lgo_exec(C.uintptr_t(conn), textOf(sql), C.size_t(len(sql)),
		(*C.int64_t)(unsafe.Pointer(&affected)), outOf(&errHandle))
	return affected, Status(code), Err(errHandle)
}

// NotificationWait gives the next notification: Row; or Done when so many milliseconds passed without one. A negative
// timeout waits until Interrupt.
func NotificationWait(conn Conn, timeoutMs int64) (channel, payload string, sender uint64, status Status, failure Err) {
	var cChannel, cPayload, errHandle uintptr
	code := C.lgo_notification_wait(C.uintptr_t(conn), C.int64_t(timeoutMs), outOf(&cChannel), outOf(&cPayload),
		(*C.uint64_t)(unsafe.Pointer(&sender)), outOf(&errHandle))
	if Status(code) == Row {
		channel, payload = goString(cChannel), goString(cPayload)
		C.lgo_lumos_free(C.uintptr_t(cChannel))
		C.lgo_lumos_free(C.uintptr_t(cPayload))
	}
	return channel, payload, sender, Status(code), Err(errHandle)
}

// LastIdentity gives the value that the last statement drew for a serial or identity column; false: none, or several.
func LastIdentity(conn Conn) (int64, bool) {
	var value int64
	code := C.lgo_last_identity(C.uintptr_t(conn), (*C.int64_t)(unsafe.Pointer(&value)))
	return value, Status(code) == Row
}

// Prepare prepares the first statement of a text; 0 for blanks and comments. Tail: the bytes taken.
func Prepare(conn Conn, sql string) (stmt Stmt, tail int, status Status, failure Err) {
	var handle, errHandle uintptr
	var taken C.size_t
	code := C.lgo_prepare(C.uintptr_t(conn), textOf(sql), C.size_t(len(sql)), outOf(&handle), &taken, outOf(&errHandle))
	return Stmt(handle), int(taken), Status(code), Err(errHandle)
}

// StmtClose closes a statement and its open result.
func StmtClose(stmt Stmt) { C.lgo_stmt_close(C.uintptr_t(stmt)) }

// StmtKind is one of the Stmt constants; -1 for a handle that is none.
func StmtKind(stmt Stmt) int { return int(C.lgo_stmt_kind(C.uintptr_t(stmt))) }

// StmtParamCount is the number of parameters.
func StmtParamCount(stmt Stmt) int { return int(C.lgo_stmt_param_count(C.uintptr_t(stmt))) }

// StmtParamType is the type OID of parameter index (from 1).
func StmtParamType(stmt Stmt, index int) uint32 {
	return uint32(C.lgo_stmt_param_type(C.uintptr_t(stmt), C.uint32_t(index)))
}

// StmtParamName is the name of parameter index (from 1); "" when it has none.
func StmtParamName(stmt Stmt, index int) string {
	return goString(uintptr(C.lgo_stmt_param_name(C.uintptr_t(stmt), C.uint32_t(index))))
}

// StmtColumnCount is the number of result columns.
func StmtColumnCount(stmt Stmt) int { return int(C.lgo_stmt_column_count(C.uintptr_t(stmt))) }

func stmtColumn(stmt Stmt, index uint32, info *columnInfo) Status {
	return Status(C.lgo_stmt_column(C.uintptr_t(stmt), C.uint32_t(index), (*C.uint8_t)(unsafe.Pointer(info))))
}

// Run binds packed parameters, executes, and puts the first rows into buffer.
func Run(stmt Stmt, params, buffer []byte, call *Call) Status {
	call.reset()
	return Status(C.lgo_run(C.uintptr_t(stmt), bytesOf(params), C.size_t(len(params)),
		bytesOf(buffer), C.size_t(len(buffer)),
		(*C.uint8_t)(unsafe.Pointer(&call.Info)), (*C.uintptr_t)(unsafe.Pointer(&call.Err))))
}

// StmtResult is the open rest of Run, owned by the statement.
func StmtResult(stmt Stmt) Result { return Result(C.lgo_stmt_result(C.uintptr_t(stmt))) }

// FetchPacked puts the next whole rows into buffer.
func FetchPacked(result Result, buffer []byte, call *Call) Status {
	call.reset()
	return Status(C.lgo_fetch_packed(C.uintptr_t(result), bytesOf(buffer), C.size_t(len(buffer)),
		(*C.uint8_t)(unsafe.Pointer(&call.Info)), (*C.uintptr_t)(unsafe.Pointer(&call.Err))))
}

// ResultClose stops the rest of a statement.
func ResultClose(result Result) { C.lgo_result_close(C.uintptr_t(result)) }

func copyIn(conn Conn, sql string, c *copier) (rows uint64, status Status, failure Err) {
	handle := cgo.NewHandle(c)
	defer handle.Delete()
	var errHandle uintptr
	var count C.uint64_t
	code := C.lgo_copy_in(C.uintptr_t(conn), textOf(sql), C.size_t(len(sql)), C.uintptr_t(handle), &count, outOf(&errHandle))
	return uint64(count), Status(code), Err(errHandle)
}

func copyOut(conn Conn, sql string, c *copier) (rows uint64, status Status, failure Err) {
	handle := cgo.NewHandle(c)
	defer handle.Delete()
	var errHandle uintptr
	var count C.uint64_t
	code := C.lgo_copy_out(C.uintptr_t(conn), textOf(sql), C.size_t(len(sql)), C.uintptr_t(handle), &count, outOf(&errHandle))
	return uint64(count), Status(code), Err(errHandle)
}

// Begin begins a transaction.
func Begin(conn Conn, isolation int, flags uint32) (Status, Err) {
	var failure uintptr
	status := C.lgo_begin(C.uintptr_t(conn), C.int32_t(isolation), C.uint32_t(flags), outOf(&failure))
	return Status(status), Err(failure)
}

// Commit commits.
func Commit(conn Conn) (Status, Err) {
	var failure uintptr
	status := C.lgo_commit(C.uintptr_t(conn), outOf(&failure))
	return Status(status), Err(failure)
}

// Rollback rolls back.
func Rollback(conn Conn) (Status, Err) {
	var failure uintptr
	status := C.lgo_rollback(C.uintptr_t(conn), outOf(&failure))
	return Status(status), Err(failure)
}
