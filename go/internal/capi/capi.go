// Package capi is the only package that knows how the Lumos library is reached: linked as an archive through
// cgo (capi_cgo.go, build tag rust) or loaded as a shared library through purego (capi_purego.go). Both files
// offer the same functions; this one holds what they share.
//
// Handles are numbers, never Go pointers: a handle may well look like an address inside Go's heap, and the
// garbage collector stops the program when it meets such a "pointer".
package capi

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// The major and the least minor number of the interface that this package speaks.
const (
	abiMajor = 1
	abiMinor = 2
)

// Handles of the library; 0 is none.
type (
	// DB is an open database. Any thread.
	DB uintptr
	// Config holds options for opening. One thread at a time.
	Config uintptr
	// Conn is a connection. One thread at a time, but for Interrupt and Sequence.
	Conn uintptr
	// Stmt is a prepared statement, used as its connection.
	Stmt uintptr
	// Result holds the rows of a running statement, used as its connection.
	Result uintptr
	// BackupHandle is a backup under way. One thread at a time.
	BackupHandle uintptr
	// Err is an error object; TakeError reads and frees it.
	Err uintptr
)

// Status is what a call returned: below 0 it failed.
type Status int32

// Statuses, as in lumos_core.h.
const (
	OK          Status = 0
	Row         Status = 1
	Done        Status = 2
	More        Status = 3
	Error       Status = -1
	Misuse      Status = -2
	Busy        Status = -3
	Interrupted Status = -4
	Conflict    Status = -5
	Constraint  Status = -6
	ReadOnly    Status = -7
	NoMem       Status = -8
	IOErr       Status = -9
	Corrupt     Status = -10
	Panic       Status = -11
)

// Isolation levels and transaction flags, as in lumos_core.h.
const (
	IsoDefault         = 0
	IsoReadUncommitted = 1
	IsoReadCommitted   = 2
	IsoRepeatableRead  = 3
	IsoSerializable    = 4

	TxnReadOnly = 1
)

// Kinds of statements, as in lumos_core.h.
const (
	StmtOther       = 0
	StmtSelect      = 1
	StmtInsert      = 2
	StmtUpdate      = 3
	StmtDelete      = 4
	StmtDDL         = 5
	StmtTransaction = 6
	StmtSetting     = 7
)

// RunInfo has the layout of lumos_run_info.
type RunInfo struct {
	structSize uint32
	// Rows in the buffer.
	Rows uint32
	// Used bytes of the buffer.
	Used uint64
	// Affected rows; -1: the statement changes no data.
	Affected int64
	// Sequence number of the statement, for Interrupt.
	Sequence uint64
	// Needed bytes for the next row, with More.
	Needed uint64
	// TxnStatus is 'I', 'T' or 'E'.
	TxnStatus uint32
	reserved  uint32
}

// Call is the memory that Run and FetchPacked answer into. A connection keeps one, so that a call allocates
// nothing.
type Call struct {
	// Info is filled on success.
	Info RunInfo
	// Err is set on failure; TakeError frees it.
	Err Err
}

func (c *Call) reset() {
	c.Info = RunInfo{structSize: uint32(unsafe.Sizeof(RunInfo{}))}
	c.Err = 0
}

// columnInfo has the layout of lumos_column_info; the texts are the library's.
type columnInfo struct {
	structSize  uint32
	typeOID     uint32
	typeMod     int32
	tableOID    uint32
	tableColumn int32
	nullable    int32
	name        uintptr
	typeName    uintptr
}

// Column describes a column of a statement's result.
type Column struct {
	Name     string
	TypeName string
	TypeOID  uint32
	// TypeMod is PostgreSQL's atttypmod; -1: none.
	TypeMod int32
	// Nullable is 1, 0 or, when unknown, -1.
	Nullable int32
}

// StmtColumn describes column index (from 0).
func StmtColumn(stmt Stmt, index int) (Column, Status) {
	info := &columnInfo{structSize: uint32(unsafe.Sizeof(columnInfo{}))}
	if status := stmtColumn(stmt, uint32(index), info); status < 0 {
		return Column{}, status
	}
	return Column{
		Name:     goString(info.name),
		TypeName: goString(info.typeName),
		TypeOID:  info.typeOID,
		TypeMod:  info.typeMod,
		Nullable: info.nullable,
	}, OK
}

// Failure is a library error, read out of its object.
type Failure struct {
	Status                                      Status
	Severity, Code, Message, Detail, Hint       string
	Schema, Table, Column, DataType, Constraint string
	// Context is the place in the data of COPY.
	Context string
	// Position is the byte offset in the SQL text, from 0; -1: none.
	Position int64
	// Unstarted: the call did nothing, because its connection or its transaction had been ended before it.
	Unstarted bool
}

// TakeError reads an error object and frees it. With no object the status alone speaks.
func TakeError(handle Err, status Status) *Failure {
	if handle == 0 {
		return &Failure{Status: status, Severity: "ERROR", Code: "XX000", Position: -1,
			Message: fmt.Sprintf("%s without an error object", statusName(status))}
	}
	defer errorFree(handle)
	return &Failure{
		Status:     status,
		Severity:   errorField(handle, 'S'),
		Code:       errorField(handle, 'C'),
		Message:    errorField(handle, 'M'),
		Detail:     errorField(handle, 'D'),
		Hint:       errorField(handle, 'H'),
		Schema:     errorField(handle, 's'),
		Table:      errorField(handle, 't'),
		Column:     errorField(handle, 'c'),
		DataType:   errorField(handle, 'd'),
		Constraint: errorField(handle, 'n'),
		Context:    errorField(handle, 'W'),
		Position:   errorPosition(handle),
		Unstarted:  errorIsUnstarted(handle),
	}
}

// Load makes the library ready, once a process, and checks that it speaks this package's interface.
var Load = sync.OnceValue(func() error {
	if err := load(); err != nil {
		return err
	}
	version := abiVersion()
	if major, minor := version>>16, version&0xffff; major != abiMajor || minor < abiMinor {
		return fmt.Errorf("lumos: the library (%s) has interface version %d.%d, this driver needs %d.%d: "+
			"install a library of the driver's release", libraryPlace(), major, minor, abiMajor, abiMinor)
	}
	return nil
})

var errNUL = errors.New("lumos: a text with a zero byte was given where the library takes none")

// cText gives the bytes of a text with a zero byte at the end.
func cText(text string) ([]byte, error) {
	bytes := make([]byte, len(text)+1)
	copy(bytes, text)
	for _, b := range bytes[:len(text)] {
		if b == 0 {
			return nil, errNUL
		}
	}
	return bytes, nil
}

// goString copies a C text; "" for null.
func goString(text uintptr) string {
	if text == 0 {
		return ""
	}
	start := *(*unsafe.Pointer)(unsafe.Pointer(&text))
	length := 0
	for *(*byte)(unsafe.Add(start, length)) != 0 {
		length++
	}
	return string(unsafe.Slice((*byte)(start), length))
}
