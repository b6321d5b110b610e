package lumos_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lumos-db/lumos/go"
)

func TestCommitAndRollback(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int PRIMARY KEY)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "INSERT INTO t VALUES (1)")
	if got := one[int64](t, db, "SELECT count(*) FROM t"); got != 0 {
		t.Fatal("another connection sees an open transaction's row")
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); !errors.Is(err, sql.ErrTxDone) {
		t.Fatal(err)
	}
	tx, _ = db.Begin()
	exec(t, tx, "INSERT INTO t VALUES (2)")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := one[int64](t, db, "SELECT count(*) FROM t"); got != 1 {
		t.Fatal(got)
	}
}

func TestAnErrorAbortsTheTransaction(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int PRIMARY KEY)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "INSERT INTO t VALUES (1)")
	_, err = tx.Exec("INSERT INTO t VALUES ($1)", 1)
	wantCode(t, err, "23505")
	_, err = tx.Exec("INSERT INTO t VALUES ($1)", 2)
	wantCode(t, err, "25P02")
	wantCode(t, tx.Commit(), "40000")
	if got := one[int64](t, db, "SELECT count(*) FROM t"); got != 0 {
		t.Fatal(got)
	}
}

func TestIsolationLevels(t *testing.T) {
	db := memory(t)
	ctx := context.Background()
	exec(t, db, "CREATE TABLE t (a int)")
	names := map[sql.IsolationLevel]string{
		sql.LevelDefault:         "read committed",
		sql.LevelReadUncommitted: "read uncommitted",
		sql.LevelReadCommitted:   "read committed",
		sql.LevelRepeatableRead:  "repeatable read",
		sql.LevelSnapshot:        "repeatable read",
		sql.LevelSerializable:    "serializable",
	}
	for level, name := range names {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: level})
		if err != nil {
			t.Fatal(level, err)
		}
		if got := one[string](t, tx, "SHOW transaction_isolation"); got != name {
			t.Errorf("%v is %s", level, got)
		}
		before := one[int64](t, tx, "SELECT count(*) FROM t")
		exec(t, db, "INSERT INTO t VALUES (1)")
		after := one[int64](t, tx, "SELECT count(*) FROM t")
		if seen := after > before; seen != strings.HasPrefix(name, "read ") {
			t.Errorf("%v: the other's row is seen: %v", level, seen)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for _, level := range []sql.IsolationLevel{sql.LevelLinearizable, sql.LevelWriteCommitted} {
		_, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: level})
		wantCode(t, err, "0A000")
	}
}

func TestReadOnlyTransactions(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int)")
	tx, err := db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	one[int64](t, tx, "SELECT count(*) FROM t")
	_, err = tx.Exec("INSERT INTO t VALUES (1)")
	wantCode(t, err, "25006")
}

// waiting tells whether a statement waits for a lock, by the library's count of waits begun.
func waitForLockWait(t testing.TB, db *sql.DB, before int64) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if now, err := lumos.Stat(db, "lock_waits"); err != nil {
			t.Fatal(err)
		} else if now > before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("nobody waits for a lock")
}

func TestTwoConnectionsOnOneRow(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, n int)")
	exec(t, db, "INSERT INTO t VALUES (1, 0)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "UPDATE t SET n = n + 1 WHERE id = 1")
	before, err := lumos.Stat(db, "lock_waits")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := db.Exec("UPDATE t SET n = n + 10 WHERE id = $1", 1)
		done <- err
	}()
	waitForLockWait(t, db, before)
	select {
	case err := <-done:
		t.Fatal("the second update did not wait:", err)
	default:
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := one[int64](t, db, "SELECT n FROM t"); got != 11 {
		t.Fatal(got)
	}
}

func TestRunTxRetriesConflicts(t *testing.T) {
	db := memory(t)
	ctx := context.Background()
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, n int)")
	exec(t, db, "INSERT INTO t VALUES (1, 0)")
	const workers, rounds = 6, 15
	var group sync.WaitGroup
	var attempts sync.Map
	for worker := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			count := 0
			for range rounds {
				err := lumos.RunTx(ctx, db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, func(tx *sql.Tx) error {
					count++
					var n int
					if err := tx.QueryRow("SELECT n FROM t WHERE id = 1").Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec("UPDATE t SET n = $1 WHERE id = 1", n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
			attempts.Store(worker, count)
		}()
	}
	group.Wait()
	if got := one[int64](t, db, "SELECT n FROM t"); got != workers*rounds {
		t.Fatalf("%d increments are %d", workers*rounds, got)
	}
}

func TestRunTxRetriesDeadlocks(t *testing.T) {
	db := memory(t)
	ctx := context.Background()
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, n int)")
	exec(t, db, "INSERT INTO t VALUES (1, 0), (2, 0)")
	// Both lock their first row before either asks for its second: at least one is told 40P01.
	var both sync.WaitGroup
	both.Add(2)
	results := make(chan error, 2)
	tries := make(chan int, 2)
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		go func() {
			try := 0
			results <- lumos.RunTx(ctx, db, nil, func(tx *sql.Tx) error {
				try++
				if _, err := tx.Exec("UPDATE t SET n = n + 1 WHERE id = $1", order[0]); err != nil {
					return err
				}
				if try == 1 {
					both.Done()
					both.Wait()
				}
				_, err := tx.Exec("UPDATE t SET n = n + 1 WHERE id = $1", order[1])
				return err
			})
			tries <- try
		}()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	if total := <-tries + <-tries; total < 3 {
		t.Fatalf("%d attempts: there was no deadlock", total)
	}
	if got := one[int64](t, db, "SELECT sum(n) FROM t"); got != 4 {
		t.Fatal(got)
	}
}

func TestRunTxGivesOtherErrorsAtOnce(t *testing.T) {
	db := memory(t)
	calls := 0
	wanted := errors.New("mine")
	err := lumos.RunTx(context.Background(), db, nil, func(*sql.Tx) error { calls++; return wanted })
	if !errors.Is(err, wanted) || calls != 1 {
		t.Fatal(err, calls)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = lumos.RunTx(ctx, db, nil, func(*sql.Tx) error {
		cancel()
		return &lumos.Error{Code: "40001", Message: "again"}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
