package lumos

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// Begin begins a transaction at the default level.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx begins a transaction. sql.LevelSnapshot is repeatable read. At sql.LevelSerializable also Commit may
// fail with 40001; RunTx runs the transaction again.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	isolation, err := isolationOf(sql.IsolationLevel(opts.Isolation))
	if err != nil {
		return nil, err
	}
	var flags uint32
	if opts.ReadOnly {
		flags = capi.TxnReadOnly
	}
	status, failure := capi.Begin(c.handle, isolation, flags)
	if status < 0 {
		return nil, c.failed(take(failure, status), status, ctx)
	}
	return tx{c}, nil
}

func isolationOf(level sql.IsolationLevel) (int, error) {
	switch level {
	case sql.LevelDefault:
		return capi.IsoDefault, nil
	case sql.LevelReadUncommitted:
		return capi.IsoReadUncommitted, nil
	case sql.LevelReadCommitted:
		return capi.IsoReadCommitted, nil
	case sql.LevelRepeatableRead, sql.LevelSnapshot:
		return capi.IsoRepeatableRead, nil
	case sql.LevelSerializable:
		return capi.IsoSerializable, nil
	}
	return 0, refuse(codeFeatureNotSupported, "isolation level "+level.String()+" is not supported")
}

// tx is the connection's open transaction.
type tx struct{ conn *conn }

// Commit commits; it returns when the commit is as durable as the durability setting says.
func (t tx) Commit() error {
	if t.conn.handle == 0 {
		return driver.ErrBadConn
	}
	status, failure := capi.Commit(t.conn.handle)
	if status < 0 {
		t.conn.dirty = true
		return t.conn.failed(take(failure, status), status, nil)
	}
	return nil
}

// Rollback rolls back.
func (t tx) Rollback() error {
	if t.conn.handle == 0 {
		return driver.ErrBadConn
	}
	status, failure := capi.Rollback(t.conn.handle)
	if status < 0 {
		t.conn.dirty = true
		err := t.conn.failed(take(failure, status), status, nil)
		if !capi.ConnIsUsable(t.conn.handle) {
			// Terminated: the transaction is rolled back, and the connection goes.
			return driver.ErrBadConn
		}
		return err
	}
	return nil
}
