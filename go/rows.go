package lumos

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// rows gives a statement's rows out of a buffer that holds many of them, packed.
type rows struct {
	conn     *conn
	ctx      context.Context
	prepared *prepared
	// From the pool, given back at the end; a row that does not fit makes data a buffer of its own.
	pooled *buffer
	buffer []byte
	// What is left of the buffer's rows.
	data []byte
	// The open rest, owned by the statement; 0: the buffer has the last rows.
	result capi.Result
	done   bool
	err    error
}

var (
	_ driver.Rows                           = (*rows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeLength           = (*rows)(nil)
	_ driver.RowsColumnTypeNullable         = (*rows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
)

var errMalformedRow = errors.New("lumos: the library gave a malformed row")

// take accepts what a call put into buffer.
func (r *rows) take(status capi.Status, buffer []byte) {
	r.buffer = buffer
	r.data = buffer[:r.conn.call.Info.Used]
	if status == capi.Done {
		r.finish()
	}
}

// finish closes the open rest: no more calls follow. The buffer's rows stay.
func (r *rows) finish() {
	r.done = true
	if r.result != 0 {
		capi.ResultClose(r.result)
		r.result = 0
	}
}

// fetch brings the next rows; io.EOF at the end.
func (r *rows) fetch() error {
	for len(r.data) == 0 {
		if r.err != nil {
			return r.err
		}
		if r.done {
			return io.EOF
		}
		if err := r.ctx.Err(); err != nil {
			return r.fail(err)
		}
		stop := r.conn.watch.resume(r.ctx)
		status := capi.FetchPacked(r.result, r.buffer, &r.conn.call)
		r.conn.watch.end(stop)
		if status < 0 {
			return r.fail(r.conn.failed(take(r.conn.call.Err, status), status, r.ctx))
		}
		if status == capi.More {
			needed := r.conn.call.Info.Needed
			if needed <= uint64(len(r.buffer)) {
				return r.fail(errMalformedRow)
			}
			// With room for a few more of its kind.
			r.buffer = make([]byte, needed+needed/4)
			continue
		}
		r.take(status, r.buffer)
	}
	return nil
}

func (r *rows) fail(err error) error {
	r.err = err
	r.data = nil
	r.finish()
	return err
}

// Next decodes the next row.
func (r *rows) Next(dest []driver.Value) error {
	if len(r.data) == 0 {
		if err := r.fetch(); err != nil {
			return err
		}
	}
	data := r.data
	if len(data) < 2 || int(binary.BigEndian.Uint16(data)) != len(dest) {
		return r.fail(errMalformedRow)
	}
	data = data[2:]
	columns := r.prepared.columns
	for i := range dest {
		if len(data) < 4 {
			return r.fail(errMalformedRow)
		}
		length := int(int32(binary.BigEndian.Uint32(data)))
		data = data[4:]
		if length < 0 {
			dest[i] = nil
			continue
		}
		if length > len(data) {
			return r.fail(errMalformedRow)
		}
		value, err := decode(data[:length:length], columns[i].TypeOID)
		if err != nil {
			return r.fail(err)
		}
		dest[i] = value
		data = data[length:]
	}
	r.data = data
	return nil
}

// Close ends the statement, whatever rows are left.
func (r *rows) Close() error {
	if r.prepared == nil {
		return nil
	}
	r.finish()
	r.conn.release(r.prepared)
	r.prepared = nil
	r.data, r.buffer = nil, nil
	buffers.Put(r.pooled)
	r.pooled = nil
	r.err = io.EOF
	return nil
}

// Columns gives the columns' names.
func (r *rows) Columns() []string {
	if r.prepared == nil {
		return nil
	}
	return r.prepared.names
}

func (r *rows) column(index int) *capi.Column { return &r.prepared.columns[index] }

// ColumnTypeDatabaseTypeName is PostgreSQL's name of the type, in capitals: INT8, TEXT, NUMERIC.
func (r *rows) ColumnTypeDatabaseTypeName(index int) string { return typeName(r.column(index).TypeOID) }

// ColumnTypeNullable tells whether NULL may come.
func (r *rows) ColumnTypeNullable(index int) (nullable, ok bool) {
	column := r.column(index)
	return column.Nullable == 1, column.Nullable >= 0
}

// ColumnTypeLength is the n of varchar(n) and char(n); math.MaxInt64 where there is no bound.
func (r *rows) ColumnTypeLength(index int) (length int64, ok bool) {
	column := r.column(index)
	switch column.TypeOID {
	case oidVarchar, oidBPChar:
		if column.TypeMod >= 4 {
			return int64(column.TypeMod) - 4, true
		}
		return math.MaxInt64, true
	case oidText, oidBytea:
		return math.MaxInt64, true
	}
	return 0, false
}

// ColumnTypePrecisionScale is the p and s of numeric(p, s).
func (r *rows) ColumnTypePrecisionScale(index int) (precision, scale int64, ok bool) {
	column := r.column(index)
	if column.TypeOID != oidNumeric || column.TypeMod < 4 {
		return 0, 0, false
	}
	both := column.TypeMod - 4
	// The scale has 11 bits and a sign.
	return int64(both >> 16), int64((both&0x7ff)^0x400) - 0x400, true
}

// ColumnTypeScanType is the Go type that a value comes as.
func (r *rows) ColumnTypeScanType(index int) reflect.Type {
	switch r.column(index).TypeOID {
	case oidInt2, oidInt4, oidInt8:
		return reflect.TypeFor[int64]()
	case oidFloat4, oidFloat8:
		return reflect.TypeFor[float64]()
	case oidBool:
		return reflect.TypeFor[bool]()
	case oidBytea:
		return reflect.TypeFor[[]byte]()
	case oidDate, oidTimestamp, oidTimestampTZ:
		return reflect.TypeFor[time.Time]()
	}
	return reflect.TypeFor[string]()
}

func typeName(oid uint32) string {
	switch oid {
	case oidBool:
		return "BOOL"
	case oidBytea:
		return "BYTEA"
	case oidInt2:
		return "INT2"
	case oidInt4:
		return "INT4"
	case oidInt8:
		return "INT8"
	case oidText:
		return "TEXT"
	case oidFloat4:
		return "FLOAT4"
	case oidFloat8:
		return "FLOAT8"
	case oidBPChar:
		return "BPCHAR"
	case oidVarchar:
		return "VARCHAR"
	case oidDate:
		return "DATE"
	case oidTimestamp:
		return "TIMESTAMP"
	case oidTimestampTZ:
		return "TIMESTAMPTZ"
	case oidInterval:
		return "INTERVAL"
	case oidNumeric:
		return "NUMERIC"
	}
	return strconv.FormatUint(uint64(oid), 10)
}
