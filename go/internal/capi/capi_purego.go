//go:build !(cgo && rust)

package capi

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Link says how the library is reached.
const Link = "purego"

// LibraryChecksum is known only where the archive is linked in.
const LibraryChecksum = "unknown"

// library holds the addresses of the functions used here.
var library struct {
	place string

	abiVersion, version, statusName                               uintptr
	errorField, errorPosition, errorIsUnstarted, errorFree        uintptr
	configNew, configSet, configFree                              uintptr
	openConfig, dbStat, dbCheckpoint, verify, dbClose             uintptr
	connect, connClose, connReset, connIsUsable, connTxnStatus    uintptr
	connID, connSequence, interrupt, cancel, terminate            uintptr
	exec, prepare, stmtClose, stmtKind                            uintptr
	stmtParamCount, stmtParamType, stmtParamName, stmtColumnCount uintptr
	stmtColumn, run, stmtResult, fetchPacked, resultClose         uintptr
	begin, commit, rollback, copyIn, copyOut                      uintptr
	notificationWait, lastIdentity                                uintptr
	backupStart, backupStep, backupFinish                         uintptr
	serialize, deserialize, free                                  uintptr
}

func symbols() map[string]*uintptr {
	l := &library
	return map[string]*uintptr{
		"lumos_abi_version":        &l.abiVersion,
		"lumos_version":            &l.version,
		"lumos_status_name":        &l.statusName,
		"lumos_error_field":        &l.errorField,
		"lumos_error_position":     &l.errorPosition,
		"lumos_error_is_unstarted": &l.errorIsUnstarted,
		"lumos_error_free":         &l.errorFree,
		"lumos_config_new":         &l.configNew,
		"lumos_config_set":         &l.configSet,
		"lumos_config_free":        &l.configFree,
		"lumos_open_config":        &l.openConfig,
		"lumos_db_stat":            &l.dbStat,
		"lumos_db_checkpoint":      &l.dbCheckpoint,
		"lumos_verify":             &l.verify,
		"lumos_db_close":           &l.dbClose,
		"lumos_connect":            &l.connect,
		"lumos_conn_close":         &l.connClose,
		"lumos_conn_reset":         &l.connReset,
		"lumos_conn_is_usable":     &l.connIsUsable,
		"lumos_conn_txn_status":    &l.connTxnStatus,
		"lumos_conn_id":            &l.connID,
		"lumos_conn_sequence":      &l.connSequence,
		"lumos_interrupt":          &l.interrupt,
		"lumos_cancel":             &l.cancel,
		"lumos_terminate":          &l.terminate,
		"lumos_exec":               &l.exec,
		"lumos_prepare":            &l.prepare,
		"lumos_stmt_close":         &l.stmtClose,
		"lumos_stmt_kind":          &l.stmtKind,
		"lumos_stmt_param_count":   &l.stmtParamCount,
		"lumos_stmt_param_type":    &l.stmtParamType,
		"lumos_stmt_param_name":    &l.stmtParamName,
		"lumos_stmt_column_count":  &l.stmtColumnCount,
		"lumos_stmt_column":        &l.stmtColumn,
		"lumos_run":                &l.run,
		"lumos_stmt_result":        &l.stmtResult,
		"lumos_fetch_packed":       &l.fetchPacked,
		"lumos_result_close":       &l.resultClose,
		"lumos_begin":              &l.begin,
		"lumos_commit":             &l.commit,
		"lumos_rollback":           &l.rollback,
		"lumos_copy_in":            &l.copyIn,
		"lumos_copy_out":           &l.copyOut,
		"lumos_notification_wait":  &l.notificationWait,
		"lumos_last_identity":      &l.lastIdentity,
		"lumos_backup_start":       &l.backupStart,
		"lumos_backup_step":        &l.backupStep,
		"lumos_backup_finish":      &l.backupFinish,
		"lumos_serialize":          &l.serialize,
		"lumos_deserialize":        &l.deserialize,
		"lumos_free":               &l.free,
	}
}

func libraryName() string {
	switch runtime.GOOS {
	case "darwin", "ios":
		return "liblumos_core.dylib"
	case "windows":
		return "lumos_core.dll"
	}
	return "liblumos_core.so"
}

// places lists where the library is looked for, in this order. LUMOS_LIBRARY, when set, is the only one.
func places() []string {
	if given := os.Getenv("LUMOS_LIBRARY"); given != "" {
		return []string{given}
	}
	name := libraryName()
	var list []string
	if executable, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(executable); err == nil {
			executable = real
		}
		list = append(list, filepath.Join(filepath.Dir(executable), name))
	}
	// Beside this module, in a checkout; the path is the one of the build (none with -trimpath).
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		list = append(list, filepath.Join(filepath.Dir(file), "..", "..", "..", "lib", name))
	}
	// A bare name is looked for by the system's loader (LD_LIBRARY_PATH, ld.so.conf, /usr/lib, ...).
	list = append(list, name)
	if runtime.GOOS != "windows" {
		list = append(list, filepath.Join("/usr/local/lib", name))
	}
	return list
}

func load() error {
	var tried []string
	for _, place := range places() {
		if filepath.IsAbs(place) {
			if _, err := os.Stat(place); err != nil {
				tried = append(tried, fmt.Sprintf("%s (%v)", place, err))
				continue
			}
		}
		handle, err := openLibrary(place)
		if err != nil {
			tried = append(tried, fmt.Sprintf("%s (%v)", place, err))
			continue
		}
		for name, address := range symbols() {
			if *address, err = findSymbol(handle, name); err != nil {
				return fmt.Errorf("lumos: the library %s has no function %s: it is not Lumos or not of the driver's release", place, name)
			}
		}
		library.place = place
		return nil
	}
	return fmt.Errorf("lumos: the library %s was not found; set LUMOS_LIBRARY to its path, or build with "+
		"cgo and -tags rust to link it in; tried:\n  %s", libraryName(), strings.Join(tried, "\n  "))
}

func libraryPlace() string { return library.place }

// Conversions of pointers to uintptr stand in the argument lists of SyscallN, which keeps what they point to
// alive and in place during the call.

func abiVersion() uint32 {
	r, _, _ := purego.SyscallN(library.abiVersion)
	return uint32(r)
}

// Version is the library's release.
func Version() string {
	r, _, _ := purego.SyscallN(library.version)
	return goString(r)
}

func statusName(status Status) string {
	r, _, _ := purego.SyscallN(library.statusName, uintptr(status))
	return goString(r)
}

func errorField(handle Err, letter byte) string {
	r, _, _ := purego.SyscallN(library.errorField, uintptr(handle), uintptr(letter))
	return goString(r)
}

func errorPosition(handle Err) int64 {
	r, _, _ := purego.SyscallN(library.errorPosition, uintptr(handle))
	return int64(r)
}

func errorIsUnstarted(handle Err) bool {
	r, _, _ := purego.SyscallN(library.errorIsUnstarted, uintptr(handle))
	return r&0xff != 0
}

func errorFree(handle Err) { purego.SyscallN(library.errorFree, uintptr(handle)) }

// ConfigNew makes options; 0 when memory is out.
func ConfigNew() Config {
	r, _, _ := purego.SyscallN(library.configNew)
	return Config(r)
}

// ConfigFree frees options.
func ConfigFree(config Config) { purego.SyscallN(library.configFree, uintptr(config)) }

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
	var failure Err
	r, _, _ := purego.SyscallN(library.configSet, uintptr(config), uintptr(unsafe.Pointer(&cName[0])),
		uintptr(unsafe.Pointer(&cValue[0])), uintptr(unsafe.Pointer(&failure)))
	return Status(r), failure, nil
}

// Open opens or creates a database.
func Open(path string, config Config) (DB, Status, Err, error) {
	cPath, err := cText(path)
	if err != nil {
		return 0, Misuse, 0, err
	}
	var db DB
	var failure Err
	r, _, _ := purego.SyscallN(library.openConfig, uintptr(unsafe.Pointer(&cPath[0])), uintptr(config),
		uintptr(unsafe.Pointer(&db)), uintptr(unsafe.Pointer(&failure)))
	return db, Status(r), failure, nil
}

// Close releases a database's handle.
func Close(db DB) { purego.SyscallN(library.dbClose, uintptr(db)) }

// Stat reads a counter.
func Stat(db DB, name string) (int64, Status) {
	cName, err := cText(name)
	if err != nil {
		return 0, Misuse
	}
	var value int64
	r, _, _ := purego.SyscallN(library.dbStat, uintptr(db), uintptr(unsafe.Pointer(&cName[0])), uintptr(unsafe.Pointer(&value)))
	return value, Status(r)
}

// Checkpoint writes committed data into the database file.
func Checkpoint(db DB) (Status, Err) {
	var failure Err
	r, _, _ := purego.SyscallN(library.dbCheckpoint, uintptr(db), 0, uintptr(unsafe.Pointer(&failure)))
	return Status(r), failure
}

// BackupStart begins a backup to a new file.
func BackupStart(db DB, path string) (BackupHandle, Status, Err, error) {
	cPath, err := cText(path)
	if err != nil {
		return 0, Misuse, 0, err
	}
	var backup BackupHandle
	var failure Err
	r, _, _ := purego.SyscallN(library.backupStart, uintptr(db), uintptr(unsafe.Pointer(&cPath[0])), 0,
		uintptr(unsafe.Pointer(&backup)), uintptr(unsafe.Pointer(&failure)))
	return backup, Status(r), failure, nil
}

// BackupStep copies up to so many pages: More, or Done. It gives how many are left, and how many there are.
func BackupStep(backup BackupHandle, pages int32) (remaining, total uint64, status Status, failure Err) {
	r, _, _ := purego.SyscallN(library.backupStep, uintptr(backup), uintptr(pages),
		uintptr(unsafe.Pointer(&remaining)), uintptr(unsafe.Pointer(&total)), uintptr(unsafe.Pointer(&failure)))
	return remaining, total, Status(r), failure
}

// BackupFinish ends a backup; before Done the file is removed.
func BackupFinish(backup BackupHandle) { purego.SyscallN(library.backupFinish, uintptr(backup)) }

// Serialize gives the whole database as bytes.
func Serialize(db DB) ([]byte, Status, Err) {
	var bytes uintptr
	var length uint
	var failure Err
	r, _, _ := purego.SyscallN(library.serialize, uintptr(db), uintptr(unsafe.Pointer(&bytes)),
		uintptr(unsafe.Pointer(&length)), uintptr(unsafe.Pointer(&failure)))
	if status := Status(r); status < 0 {
		return nil, status, failure
	}
	start := *(*unsafe.Pointer)(unsafe.Pointer(&bytes))
	image := append([]byte(nil), unsafe.Slice((*byte)(start), int(length))...)
	purego.SyscallN(library.free, bytes)
	return image, Status(r), 0
}

// Deserialize opens a database in memory that begins as image.
func Deserialize(image []byte, config Config) (DB, Status, Err) {
	var db DB
	var failure Err
	r, _, _ := purego.SyscallN(library.deserialize, uintptr(unsafe.Pointer(unsafe.SliceData(image))), uintptr(len(image)),
		uintptr(config), uintptr(unsafe.Pointer(&db)), uintptr(unsafe.Pointer(&failure)))
	return db, Status(r), failure
}

// The callback of Verify is made once: purego never frees one. Verifications take turns.
var verification struct {
	sync.Mutex
	once     sync.Once
	callback uintptr
	findings []string
	keptMax  int
}

// Verify checks the file: the number of findings, and at most keptMax of their texts.
func Verify(db DB, keptMax int) (findings []string, found uint64, status Status, failure Err) {
	v := &verification
	v.Lock()
	defer v.Unlock()
	v.once.Do(func() {
		v.callback = purego.NewCallback(func(_, finding uintptr) uintptr {
			v.findings = append(v.findings, goString(finding))
			if len(v.findings) >= v.keptMax {
				return 1
			}
			return 0
		})
	})
	v.findings, v.keptMax = nil, keptMax
	r, _, _ := purego.SyscallN(library.verify, uintptr(db), v.callback, 0,
		uintptr(unsafe.Pointer(&found)), uintptr(unsafe.Pointer(&failure)))
	return v.findings, found, Status(r), failure
}

// Connect opens a connection.
func Connect(db DB) (Conn, Status, Err) {
	var conn Conn
	var failure Err
	r, _, _ := purego.SyscallN(library.connect, uintptr(db), uintptr(unsafe.Pointer(&conn)), uintptr(unsafe.Pointer(&failure)))
	return conn, Status(r), failure
}

// ConnClose closes a connection; an open transaction is rolled back.
func ConnClose(conn Conn) { purego.SyscallN(library.connClose, uintptr(conn)) }

// ConnReset makes a connection as good as new.
func ConnReset(conn Conn) (Status, Err) {
	var failure Err
	r, _, _ := purego.SyscallN(library.connReset, uintptr(conn), uintptr(unsafe.Pointer(&failure)))
	return Status(r), failure
}

// ConnIsUsable is false when the connection must be dropped.
func ConnIsUsable(conn Conn) bool {
	r, _, _ := purego.SyscallN(library.connIsUsable, uintptr(conn))
	return r&0xff != 0
}

// ConnID is the connection's number; 0 for a handle that is none.
func ConnID(conn Conn) uint64 {
	r, _, _ := purego.SyscallN(library.connID, uintptr(conn))
	return uint64(r)
}

// Cancel asks what the connection of this number runs to stop: OK; or Done when there is none. Any thread.
func Cancel(db DB, id uint64) (Status, Err) {
	var failure Err
	r, _, _ := purego.SyscallN(library.cancel, uintptr(db), uintptr(id), uintptr(unsafe.Pointer(&failure)))
	return Status(r), failure
}

// Terminate ends the connection of this number: OK; or Done when there is none. Any thread.
func Terminate(db DB, id uint64) (Status, Err) {
	var failure Err
	r, _, _ := purego.SyscallN(library.terminate, uintptr(db), uintptr(id), uintptr(unsafe.Pointer(&failure)))
	return Status(r), failure
}

// ConnTxnStatus is 'I', 'T', 'E', or 0 for a handle that is none.
func ConnTxnStatus(conn Conn) byte {
	r, _, _ := purego.SyscallN(library.connTxnStatus, uintptr(conn))
	return byte(r)
}

// Sequence is the number of the running or last statement. Any thread.
func Sequence(conn Conn) uint64 {
	r, _, _ := purego.SyscallN(library.connSequence, uintptr(conn))
	return uint64(r)
}

// Interrupt asks a statement of the connection to stop. Any thread.
func Interrupt(conn Conn, sequence uint64) {
	purego.SyscallN(library.interrupt, uintptr(conn), uintptr(sequence))
}

// Exec runs one or more statements and throws rows away.
func Exec(conn Conn, sql string) (affected int64, status Status, failure Err) {
	r, _, _ := purego.SyscallN(library.exec, uintptr(conn), uintptr(unsafe.Pointer(unsafe.StringData(sql))), uintptr(len(sql)),
		uintptr(unsafe.Pointer(&affected)), uintptr(unsafe.Pointer(&failure)))
	return affected, Status(r), failure
}

// NotificationWait gives the next notification: Row; or Done when so many milliseconds passed without one. A negative
// timeout waits until Interrupt.
func NotificationWait(conn Conn, timeoutMs int64) (channel, payload string, sender uint64, status Status, failure Err) {
	var cChannel, cPayload uintptr
	r, _, _ := purego.SyscallN(library.notificationWait, uintptr(conn), uintptr(timeoutMs), uintptr(unsafe.Pointer(&cChannel)),
		uintptr(unsafe.Pointer(&cPayload)), uintptr(unsafe.Pointer(&sender)), uintptr(unsafe.Pointer(&failure)))
	if Status(r) == Row {
		channel, payload = goString(cChannel), goString(cPayload)
		purego.SyscallN(library.free, cChannel)
		purego.SyscallN(library.free, cPayload)
	}
	return channel, payload, sender, Status(r), failure
}

// LastIdentity gives the value that the last statement drew for a serial or identity column; false: none, or several.
func LastIdentity(conn Conn) (int64, bool) {
	var value int64
	var failure Err
	r, _, _ := purego.SyscallN(library.lastIdentity, uintptr(conn), uintptr(unsafe.Pointer(&value)),
		uintptr(unsafe.Pointer(&failure)))
	if failure != 0 {
		errorFree(failure)
	}
	return value, Status(r) == Row
}

// Prepare prepares the first statement of a text; 0 for blanks and comments. Tail: the bytes taken.
func Prepare(conn Conn, sql string) (stmt Stmt, tail int, status Status, failure Err) {
	const persistent = 1
	var taken uintptr
	r, _, _ := purego.SyscallN(library.prepare, uintptr(conn), uintptr(unsafe.Pointer(unsafe.StringData(sql))), uintptr(len(sql)),
		persistent, uintptr(unsafe.Pointer(&stmt)), uintptr(unsafe.Pointer(&taken)), uintptr(unsafe.Pointer(&failure)))
	return stmt, int(taken), Status(r), failure
}

// StmtClose closes a statement and its open result.
func StmtClose(stmt Stmt) { purego.SyscallN(library.stmtClose, uintptr(stmt)) }

// StmtKind is one of the Stmt constants; -1 for a handle that is none.
func StmtKind(stmt Stmt) int {
	r, _, _ := purego.SyscallN(library.stmtKind, uintptr(stmt))
	return int(int32(r))
}

// StmtParamCount is the number of parameters.
func StmtParamCount(stmt Stmt) int {
	r, _, _ := purego.SyscallN(library.stmtParamCount, uintptr(stmt))
	return int(uint32(r))
}

// StmtParamType is the type OID of parameter index (from 1).
func StmtParamType(stmt Stmt, index int) uint32 {
	r, _, _ := purego.SyscallN(library.stmtParamType, uintptr(stmt), uintptr(index))
	return uint32(r)
}

// StmtParamName is the name of parameter index (from 1); "" when it has none.
func StmtParamName(stmt Stmt, index int) string {
	r, _, _ := purego.SyscallN(library.stmtParamName, uintptr(stmt), uintptr(index))
	return goString(r)
}

// StmtColumnCount is the number of result columns.
func StmtColumnCount(stmt Stmt) int {
	r, _, _ := purego.SyscallN(library.stmtColumnCount, uintptr(stmt))
	return int(uint32(r))
}

func stmtColumn(stmt Stmt, index uint32, info *columnInfo) Status {
	r, _, _ := purego.SyscallN(library.stmtColumn, uintptr(stmt), uintptr(index), uintptr(unsafe.Pointer(info)))
	return Status(r)
}

// Run binds packed parameters, executes, and puts the first rows into buffer.
func Run(stmt Stmt, params, buffer []byte, call *Call) Status {
	call.reset()
	r, _, _ := purego.SyscallN(library.run, uintptr(stmt),
		uintptr(unsafe.Pointer(unsafe.SliceData(params))), uintptr(len(params)),
		uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)),
		uintptr(unsafe.Pointer(&call.Info)), uintptr(unsafe.Pointer(&call.Err)))
	return Status(r)
}

// StmtResult is the open rest of Run, owned by the statement.
func StmtResult(stmt Stmt) Result {
	r, _, _ := purego.SyscallN(library.stmtResult, uintptr(stmt))
	return Result(r)
}

// FetchPacked puts the next whole rows into buffer.
func FetchPacked(result Result, buffer []byte, call *Call) Status {
	const rowsMax = 1<<32 - 1
	call.reset()
	r, _, _ := purego.SyscallN(library.fetchPacked, uintptr(result),
		uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)), rowsMax,
		uintptr(unsafe.Pointer(&call.Info)), uintptr(unsafe.Pointer(&call.Err)))
	return Status(r)
}

// ResultClose stops the rest of a statement.
func ResultClose(result Result) { purego.SyscallN(library.resultClose, uintptr(result)) }

// The callbacks of COPY are made once: purego never frees one. They find the Go end by a number.
var copies struct {
	sync.Mutex
	once        sync.Once
	read, write uintptr
	last        uintptr
	running     map[uintptr]*copier
}

func copying(number uintptr) *copier {
	copies.Lock()
	defer copies.Unlock()
	return copies.running[number]
}

// foreign is memory of the library.
func foreign(start, length uintptr) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&start))), int(length))
}

func startCopy(c *copier) (number uintptr) {
	copies.once.Do(func() {
		copies.running = map[uintptr]*copier{}
		copies.read = purego.NewCallback(func(user, buffer, capacity uintptr) uintptr {
			return uintptr(copying(user).read(foreign(buffer, capacity)))
		})
		copies.write = purego.NewCallback(func(user, data, length uintptr) uintptr {
			return uintptr(copying(user).write(foreign(data, length)))
		})
	})
	copies.Lock()
	defer copies.Unlock()
	copies.last++
	copies.running[copies.last] = c
	return copies.last
}

func endCopy(number uintptr) {
	copies.Lock()
	defer copies.Unlock()
	delete(copies.running, number)
}

func copyIn(conn Conn, sql string, c *copier) (rows uint64, status Status, failure Err) {
	number := startCopy(c)
	defer endCopy(number)
	r, _, _ := purego.SyscallN(library.copyIn, uintptr(conn), uintptr(unsafe.Pointer(unsafe.StringData(sql))), uintptr(len(sql)),
		copies.read, number, uintptr(unsafe.Pointer(&rows)), uintptr(unsafe.Pointer(&failure)))
	return rows, Status(r), failure
}

func copyOut(conn Conn, sql string, c *copier) (rows uint64, status Status, failure Err) {
	number := startCopy(c)
	defer endCopy(number)
	r, _, _ := purego.SyscallN(library.copyOut, uintptr(conn), uintptr(unsafe.Pointer(unsafe.StringData(sql))), uintptr(len(sql)),
		copies.write, number, uintptr(unsafe.Pointer(&rows)), uintptr(unsafe.Pointer(&failure)))
	return rows, Status(r), failure
}

// Begin begins a transaction.
func Begin(conn Conn, isolation int, flags uint32) (Status, Err) {
	var failure Err
	r, _, _ := purego.SyscallN(library.begin, uintptr(conn), uintptr(isolation), uintptr(flags), uintptr(unsafe.Pointer(&failure)))
	return Status(r), failure
}

// Commit commits.
func Commit(conn Conn) (Status, Err) {
	var failure Err
	r, _, _ := purego.SyscallN(library.commit, uintptr(conn), 0, uintptr(unsafe.Pointer(&failure)))
	return Status(r), failure
}

// Rollback rolls back.
func Rollback(conn Conn) (Status, Err) {
	var failure Err
	r, _, _ := purego.SyscallN(library.rollback, uintptr(conn), uintptr(unsafe.Pointer(&failure)))
	return Status(r), failure
}
