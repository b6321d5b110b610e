package lumos_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lumos-db/lumos/go"
)

// longOf gives a statement that runs for many seconds unless it is stopped: much work a row.
func longOf(t testing.TB, db *sql.DB) string {
	t.Helper()
	fill(t, db, 20_000)
	var sums []string
	for i := range 4 {
		sums = append(sums, fmt.Sprintf("sum(length(replace(replace(repeat(pad, %d), 'row', 'row'), 'row', 'row')))", 300+i))
	}
	return "SELECT " + strings.Join(sums, " + ") + " FROM big"
}

func wantCanceled(t testing.TB, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
	wantCode(t, err, "57014")
}

func TestCancelBeforeTheStatement(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int)")
	lent, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer lent.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := lent.ExecContext(ctx, "INSERT INTO t VALUES (1)"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := lent.QueryContext(ctx, "SELECT a FROM t"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if got := one[int64](t, lent, "SELECT count(*) FROM t"); got != 0 {
		t.Fatal(got)
	}
}

func TestCancelDuringALongQuery(t *testing.T) {
	db := memory(t)
	text := longOf(t, db)
	for _, kind := range []string{"query", "exec", "script", "prepared"} {
		t.Run(kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			start := time.Now()
			var err error
			switch kind {
			case "query":
				err = db.QueryRowContext(ctx, text).Scan(new(int64))
			case "exec":
				_, err = db.ExecContext(ctx, text)
			case "script":
				_, err = db.ExecContext(ctx, "SELECT 1; "+text+"; SELECT 2")
			case "prepared":
				var statement *sql.Stmt
				if statement, err = db.Prepare(text); err != nil {
					t.Fatal(err)
				}
				defer statement.Close()
				err = statement.QueryRowContext(ctx).Scan(new(int64))
			}
			wantCanceled(t, err, context.DeadlineExceeded)
			if took := time.Since(start); took > 5*time.Second {
				t.Fatal("the cancel took", took)
			}
			if got := one[int64](t, db, "SELECT count(*) FROM big"); got != 20_000 {
				t.Fatal(got)
			}
		})
	}
}

func TestCancelDuringALockWait(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, n int)")
	exec(t, db, "INSERT INTO t VALUES (1, 0)")
	holder, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec(t, holder, "UPDATE t SET n = 1 WHERE id = 1")
	before, err := lumos.Stat(db, "lock_waits")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(ctx, "UPDATE t SET n = 2 WHERE id = $1", 1)
		done <- err
	}()
	waitForLockWait(t, db, before)
	cancel()
	select {
	case err := <-done:
		wantCanceled(t, err, context.Canceled)
	case <-time.After(10 * time.Second):
		t.Fatal("the wait was not woken")
	}
	if err := holder.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := one[int64](t, db, "SELECT n FROM t"); got != 1 {
		t.Fatal(got)
	}
}

func TestCancelBetweenRows(t *testing.T) {
	db := memory(t)
	fill(t, db, 20_000)
	ctx, cancel := context.WithCancel(context.Background())
	rows, err := db.QueryContext(ctx, "SELECT id, pad FROM big")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	cancel()
	count := 1
	for rows.Next() {
		count++
	}
	if count == 20_000 || !errors.Is(rows.Err(), context.Canceled) {
		t.Fatal(count, rows.Err())
	}
}

func TestCancelOfATransactionRollsItBack(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int PRIMARY KEY)")
	ctx, cancel := context.WithCancel(context.Background())
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "INSERT INTO t VALUES (1)")
	cancel()
	if err := tx.Commit(); err == nil {
		t.Fatal("a cancelled transaction was committed")
	}
	// The same key is free again once the rollback is through; until then this waits for its lock.
	exec(t, db, "INSERT INTO t VALUES (1)")
}

func TestALateCancelNeverHitsTheNextStatement(t *testing.T) {
	db := memory(t)
	db.SetMaxOpenConns(1)
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, n int)")
	exec(t, db, "INSERT INTO t VALUES (1, 0)")
	lent, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer lent.Close()
	var stopped, finished int
	var cancels sync.WaitGroup
	for i := range 3000 {
		ctx, cancel := context.WithCancel(context.Background())
		cancels.Add(1)
		go func() {
			defer cancels.Done()
			cancel()
		}()
		if i%2 == 0 {
			// Now the cancel comes about when the statement begins.
			runtime.Gosched()
		}
		_, err := lent.ExecContext(ctx, "UPDATE t SET n = n + $1 WHERE id = 1", 1)
		if err != nil {
			stopped++
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		} else {
			finished++
		}
		// Runs under no context that could end: nothing may stop it.
		if _, err := lent.ExecContext(context.Background(), "UPDATE t SET n = n + 0 WHERE id = $1", 1); err != nil {
			t.Fatalf("round %d: an earlier statement's cancel hit this one: %v", i, err)
		}
	}
	cancels.Wait()
	t.Logf("%d stopped, %d finished", stopped, finished)
	if got := one[int64](t, lent, "SELECT n FROM t"); got != int64(finished) {
		t.Fatalf("%d statements succeeded, %d are in the table (%d stopped)", finished, got, stopped)
	}
}

func TestManyGoroutines(t *testing.T) {
	db := open(t, file(t)+"?durability=off")
	exec(t, db, "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL)")
	const accounts, workers, rounds = 20, 8, 40
	for i := range accounts {
		exec(t, db, "INSERT INTO account VALUES ($1, 100)", i)
	}
	var group sync.WaitGroup
	var transfers atomic.Int64
	for worker := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for round := range rounds {
				from, to := (worker*7+round*3)%accounts, (worker*11+round*5+1)%accounts
				if from == to {
					continue
				}
				err := lumos.RunTx(ctx, db, nil, func(tx *sql.Tx) error {
					if _, err := tx.ExecContext(ctx, "UPDATE account SET balance = balance - $1 WHERE id = $2", 1, from); err != nil {
						return err
					}
					_, err := tx.ExecContext(ctx, "UPDATE account SET balance = balance + $1 WHERE id = $2", 1, to)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				transfers.Add(1)
				if round%8 == 0 {
					var sum int64
					err := db.QueryRowContext(ctx, "SELECT sum(balance)::bigint FROM account").Scan(&sum)
					if err != nil || sum != accounts*100 {
						t.Errorf("the sum is %d (%v)", sum, err)
						return
					}
				}
			}
		}()
	}
	group.Wait()
	if got := one[int64](t, db, "SELECT sum(balance)::bigint FROM account"); got != accounts*100 {
		t.Fatal(got)
	}
	if err := lumos.Verify(db); err != nil {
		t.Fatal(err)
	}
}
