package lumos_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"time"

	"github.com/lumos-db/lumos/go"
)

// connected gives a database in memory and its connector, which ends connections by number.
func connected(t testing.TB) (*sql.DB, *lumos.Connector) {
	t.Helper()
	connector, err := lumos.NewConnector(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, n int)")
	exec(t, db, "INSERT INTO t VALUES (1, 0), (2, 0)")
	return db, connector
}

func numberOf(t testing.TB, c *sql.Conn) (id uint64) {
	t.Helper()
	if err := c.Raw(func(driverConn any) error {
		id = driverConn.(lumos.Conn).ID()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

func lend(t testing.TB, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantEnded(t testing.TB, stop func(uint64) (bool, error), id uint64) {
	t.Helper()
	if found, err := stop(id); err != nil || !found {
		t.Fatalf("connection %d: %v, %v", id, found, err)
	}
}

func TestATerminatedConnectionLeavesThePoolUnseen(t *testing.T) {
	ctx := context.Background()
	db, connector := connected(t)
	db.SetMaxOpenConns(1)
	statement, err := db.Prepare("SELECT n + $1::int FROM t WHERE id = 1")
	if err != nil {
		t.Fatal(err)
	}
	defer statement.Close()
	uses := map[string]func() error{
		"ping":       func() error { return db.PingContext(ctx) },
		"exec":       func() error { _, err := db.Exec("UPDATE t SET n = n WHERE id = 1"); return err },
		"parameters": func() error { _, err := db.Exec("UPDATE t SET n = n WHERE id = $1", 1); return err },
		"query":      func() error { return db.QueryRow("SELECT n FROM t WHERE id = 1").Scan(new(int)) },
		"statement":  func() error { return statement.QueryRow(1).Scan(new(int)) },
		"prepare": func() error {
			s, err := db.Prepare("SELECT 1")
			if err == nil {
				err = s.Close()
			}
			return err
		},
		"begin": func() error {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			if _, err := tx.Exec("UPDATE t SET n = n WHERE id = 2"); err != nil {
				return err
			}
			return tx.Commit()
		},
		"conn": func() error {
			c, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.ExecContext(ctx, "SELECT 1")
			return err
		},
	}
	for name, use := range uses {
		c := lend(t, db)
		id := numberOf(t, c)
		c.Close()
		wantEnded(t, connector.Terminate, id)
		if err := use(); err != nil {
			t.Errorf("%s after its connection was terminated: %v", name, err)
		}
		c = lend(t, db)
		if again := numberOf(t, c); again == id {
			t.Errorf("%s: the terminated connection is still in the pool", name)
		}
		c.Close()
		if found, err := connector.Terminate(id); err != nil || found {
			t.Errorf("%s: the terminated connection was not closed: %v, %v", name, found, err)
		}
	}
}

func TestALentConnectionThatIsTerminatedSaysSo(t *testing.T) {
	ctx := context.Background()
	db, connector := connected(t)
	c := lend(t, db)
	defer c.Close()
	exec(t, c, "SET application_name = 'lent'")
	wantEnded(t, connector.Terminate, numberOf(t, c))
	_, err := c.ExecContext(ctx, "UPDATE t SET n = 5")
	wantCode(t, err, "57P01")
	if !errors.Is(err, driver.ErrBadConn) {
		t.Fatal("nothing was done, and database/sql is not told:", err)
	}
	if _, err := c.ExecContext(ctx, "SELECT 1"); !errors.Is(err, sql.ErrConnDone) {
		t.Fatal(err)
	}
	if got := one[int64](t, db, "SELECT sum(n) FROM t"); got != 0 {
		t.Fatal(got)
	}
}

func TestATransactionThatIsTerminatedIsNotRunAgain(t *testing.T) {
	db, connector := connected(t)
	runs := 0
	err := lumos.RunTx(context.Background(), db, nil, func(tx *sql.Tx) error {
		runs++
		exec(t, tx, "UPDATE t SET n = 1 WHERE id = 1")
		wantEnded(t, connector.Terminate, one[uint64](t, tx, "SELECT pg_backend_pid()"))
		_, err := tx.Exec("UPDATE t SET n = 2 WHERE id = 2")
		return err
	})
	wantCode(t, err, "57P01")
	if runs != 1 {
		t.Fatal("it ran", runs, "times")
	}
	// Commit and Rollback after that.
	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		exec(t, tx, "UPDATE t SET n = 1 WHERE id = 1")
		wantEnded(t, connector.Terminate, one[uint64](t, tx, "SELECT pg_backend_pid()"))
		if err := end(tx); !errors.Is(err, driver.ErrBadConn) {
			t.Fatal(err)
		}
	}
	if got := one[int64](t, db, "SELECT sum(n) FROM t"); got != 0 {
		t.Fatal(got)
	}
}

// A statement that others stop while it runs is not run again on another connection: somebody wanted it to end.
func TestAStatementThatWaitsIsStoppedByItsConnectionsNumber(t *testing.T) {
	ctx := context.Background()
	db, connector := connected(t)
	for _, by := range []string{"cancel", "terminate", "cancel of a Conn", "terminate of a Conn"} {
		t.Run(by, func(t *testing.T) {
			holder, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer holder.Rollback()
			exec(t, holder, "UPDATE t SET n = 1 WHERE id = 1")
			before, err := lumos.Stat(db, "lock_waits")
			if err != nil {
				t.Fatal(err)
			}
			c := lend(t, db)
			defer c.Close()
			id := numberOf(t, c)
			done := make(chan error, 1)
			go func() {
				_, err := c.ExecContext(ctx, "UPDATE t SET n = 2 WHERE id = $1", 1)
				done <- err
			}()
			waitForLockWait(t, db, before)
			stop, code := connector.Cancel, "57014"
			if by[0] == 't' {
				stop, code = connector.Terminate, "57P01"
			}
			if by != "cancel" && by != "terminate" {
				other := lend(t, db)
				defer other.Close()
				if err := other.Raw(func(driverConn any) error {
					stop = driverConn.(lumos.Conn).Cancel
					if by[0] == 't' {
						stop = driverConn.(lumos.Conn).Terminate
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			wantEnded(t, stop, id)
			select {
			case err := <-done:
				wantCode(t, err, code)
				if errors.Is(err, driver.ErrBadConn) || errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the wait was not woken")
			}
			_, err = c.ExecContext(ctx, "SELECT 1")
			if usable := err == nil; usable != (code == "57014") {
				t.Fatal(err)
			}
			if after, err := lumos.Stat(db, "lock_waits"); err != nil || after != before+1 {
				t.Fatal("it was run again:", before, after, err)
			}
		})
	}
}

func TestAnIdleTransactionEndsAndItsConnectionLeavesThePool(t *testing.T) {
	db, connector := connected(t)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "SET LOCAL idle_in_transaction_session_timeout = '300ms'")
	id := one[uint64](t, tx, "SELECT pg_backend_pid()")
	exec(t, tx, "UPDATE t SET n = 1 WHERE id = 1")
	// Waits until the other one is ended.
	exec(t, db, "UPDATE t SET n = 2 WHERE id = 1")
	_, err = tx.Exec("UPDATE t SET n = 3 WHERE id = 2")
	wantCode(t, err, "25P03")
	if !errors.Is(err, driver.ErrBadConn) {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if found, err := connector.Cancel(id); err != nil || found {
		t.Fatal("its connection is still there", err)
	}
	if got := one[int64](t, db, "SELECT sum(n) FROM t"); got != 2 {
		t.Fatal(got)
	}
}

func TestACancelledWaitLeavesItsConnectionUsable(t *testing.T) {
	db, _ := connected(t)
	holder, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	exec(t, holder, "UPDATE t SET n = 1 WHERE id = 1")
	c := lend(t, db)
	defer c.Close()
	for range 20 {
		before, err := lumos.Stat(db, "lock_waits")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			_, err := c.ExecContext(ctx, "UPDATE t SET n = 2 WHERE id = 1")
			done <- err
		}()
		waitForLockWait(t, db, before)
		cancel()
		wantCanceled(t, <-done, context.Canceled)
		if got := one[int64](t, c, "SELECT n FROM t WHERE id = 2"); got != 0 {
			t.Fatal(got)
		}
	}
}

func TestNumbersThatNobodyHasAreNotFound(t *testing.T) {
	connector, err := lumos.NewConnector(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := connector.Terminate(1); err != nil || found {
		t.Fatal(found, err)
	}
	db := sql.OpenDB(connector)
	c := lend(t, db)
	for _, id := range []uint64{0, numberOf(t, c) + 1, 1 << 63} {
		if found, err := connector.Cancel(id); err != nil || found {
			t.Fatal(id, found, err)
		}
	}
	var raw lumos.Conn
	if err := c.Raw(func(driverConn any) error {
		raw = driverConn.(lumos.Conn)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	db.Close()
	if raw.ID() != 0 {
		t.Fatal("a closed connection has a number")
	}
	for _, stop := range []func(uint64) (bool, error){connector.Cancel, connector.Terminate, raw.Cancel, raw.Terminate} {
		found, err := stop(1)
		if found {
			t.Fatal("found in a closed database")
		}
		wantCode(t, err, "08003")
	}
}
