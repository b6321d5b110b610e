package lumos_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	lumos "github.com/lumos-db/lumos/go"
)

// filled makes a database of 20,000 rows, some of them long.
func filled(t *testing.T, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("lumos", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, statement := range []string{
		"CREATE TABLE t (a integer PRIMARY KEY, b bigint, c text)",
		"CREATE INDEX t_b ON t (b)",
		"INSERT INTO t SELECT g, g * 2, repeat('x', g % 100) FROM generate_series(1, 20000) g",
		"INSERT INTO t VALUES (0, 0, repeat('long', 5000))",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// checkFilled looks whether a copy holds what filled made.
func checkFilled(t *testing.T, db *sql.DB) {
	t.Helper()
	var rows, sum, length int64
	err := db.QueryRow("SELECT count(*), sum(b)::bigint, sum(length(c))::bigint FROM t WHERE b >= 0").Scan(&rows, &sum, &length)
	if err != nil || rows != 20001 || sum != 400020000 || length != 20000*99/2+20000 {
		t.Fatalf("%d rows, sum %d, length %d, %v", rows, sum, length, err)
	}
	if err := lumos.Verify(db); err != nil {
		t.Fatal(err)
	}
}

// codeOf gives the SQLSTATE of an error of the driver, "" of any other.
func codeOf(err error) string {
	var found *lumos.Error
	if errors.As(err, &found) {
		return found.Code
	}
	return ""
}

func TestABackupIsADatabaseOfOneMomentAndWritersGoOn(t *testing.T) {
	folder := t.TempDir()
	db := filled(t, filepath.Join(folder, "app.lumos"))
	copied := filepath.Join(folder, "copy.lumos")
	var lastDone, lastTotal uint64
	steps := 0
	var writer sync.WaitGroup
	stop := make(chan struct{})
	writer.Add(1)
	err := lumos.Backup(context.Background(), db, copied, func(done, total uint64) {
		if steps == 0 {
			// What is written from here on is not in the copy.
			go func() {
				defer writer.Done()
				for {
					select {
					case <-stop:
						return
					default:
						if _, err := db.Exec("UPDATE t SET b = b + 1000000 WHERE a = 1 + (random() * 19999)::integer"); err != nil {
							t.Error(err)
							return
						}
					}
				}
			}()
		}
		if done < lastDone || done > total {
			t.Errorf("%d of %d pages after %d", done, total, lastDone)
		}
		lastDone, lastTotal = done, total
		steps++
	})
	close(stop)
	writer.Wait()
	if err != nil || steps < 2 || lastDone != lastTotal || lastTotal == 0 {
		t.Fatalf("%v after %d steps, %d of %d pages", err, steps, lastDone, lastTotal)
	}
	restored, err := sql.Open("lumos", copied)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	checkFilled(t, restored)
	if err := lumos.Backup(context.Background(), db, copied, nil); codeOf(err) != "42710" {
		t.Fatalf("a file that exists is written over: %v", err)
	}
}

func TestABackupThatIsCancelledLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	db := filled(t, filepath.Join(folder, "app.lumos"))
	db.SetMaxOpenConns(1)
	copied := filepath.Join(folder, "copy.lumos")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := lumos.Backup(ctx, db, copied, func(done, total uint64) {
		// The only connection of the pool is free.
		var one int
		if err := db.QueryRow("SELECT 1").Scan(&one); err != nil {
			t.Error(err)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(copied + "*")
	if len(found) != 0 {
		t.Fatal(found)
	}
	if err := lumos.Backup(context.Background(), db, copied, nil); err != nil {
		t.Fatal(err)
	}
	if err := lumos.Backup(ctx, db, copied+"2", nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestADatabaseAsBytesIsOpenedAgain(t *testing.T) {
	db := filled(t, ":memory:")
	image, err := lumos.Serialize(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	connector, err := lumos.NewConnectorOf(image, "memory_limit=64MB")
	if err != nil {
		t.Fatal(err)
	}
	restored := sql.OpenDB(connector)
	defer restored.Close()
	checkFilled(t, restored)
	if _, err := restored.Exec("DELETE FROM t"); err != nil {
		t.Fatal(err)
	}
	checkFilled(t, db)
	// As a file it is a database too.
	path := filepath.Join(t.TempDir(), "image.lumos")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := sql.Open("lumos", path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	checkFilled(t, file)
	for name, bytes := range map[string][]byte{"nothing": nil, "text": []byte("no database"), "half": image[:len(image)/2]} {
		broken, err := lumos.NewConnectorOf(bytes, "")
		if err != nil {
			t.Fatal(err)
		}
		pool := sql.OpenDB(broken)
		if err := pool.Ping(); codeOf(err) != "XX001" {
			t.Errorf("%s: %v", name, err)
		}
		pool.Close()
	}
}

func TestClosingADatabaseEndsWhatRunsWith57P01(t *testing.T) {
	ctx := context.Background()
	db, err := sql.Open("lumos", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE t (a integer); INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	holder, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec("UPDATE t SET a = 2"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := db.Exec("UPDATE t SET a = 3")
		ended <- err
	}()
	// Until it waits for the row.
	for waits := int64(0); waits == 0; {
		if waits, err = lumos.Stat(db, "lock_waits"); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	if err := <-ended; codeOf(err) != "57P01" {
		t.Fatalf("a statement that waits when its database is closed: %v", err)
	}
	holder.Rollback()
}
