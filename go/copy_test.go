package lumos_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	lumos "github.com/lumos-db/lumos/go"
)

// withConn lends the driver's connection.
func withConn(t *testing.T, run func(c lumos.Conn, db *sql.Conn)) {
	t.Helper()
	db, err := sql.Open("lumos", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "CREATE TABLE t (a integer, b text)"); err != nil {
		t.Fatal(err)
	}
	var native lumos.Conn
	if err := conn.Raw(func(driverConn any) error { native = driverConn.(lumos.Conn); return nil }); err != nil {
		t.Fatal(err)
	}
	run(native, conn)
}

func countRows(t *testing.T, conn *sql.Conn) int {
	t.Helper()
	var count int
	if err := conn.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

func TestCopyGoesInAndOut(t *testing.T) {
	withConn(t, func(c lumos.Conn, _ *sql.Conn) {
		ctx := context.Background()
		data := "1,one\n2,\n3,\"\"\n4,\"a\n\"\"b\"\"\"\n"
		rows, err := c.CopyFrom(ctx, "COPY t FROM STDIN (FORMAT csv)", iotest.OneByteReader(strings.NewReader(data)))
		if err != nil || rows != 4 {
			t.Fatalf("%d rows, %v", rows, err)
		}
		var out bytes.Buffer
		rows, err = c.CopyTo(ctx, "COPY (SELECT * FROM t ORDER BY a) TO STDOUT (FORMAT csv)", &out)
		if err != nil || rows != 4 || out.String() != data {
			t.Fatalf("%d rows, %v, %q", rows, err, out.String())
		}
	})
}

func TestCopyOfManyRowsStreams(t *testing.T) {
	withConn(t, func(c lumos.Conn, conn *sql.Conn) {
		ctx := context.Background()
		rows, err := c.CopyFrom(ctx, "COPY t FROM STDIN", strings.NewReader(strings.Repeat("7\tseven\n", 20_000)))
		if err != nil || rows != 20_000 || countRows(t, conn) != 20_000 {
			t.Fatalf("%d rows, %v", rows, err)
		}
		var out bytes.Buffer
		if _, err := c.CopyTo(ctx, "COPY t (b) TO STDOUT", &out); err != nil || out.Len() != 20_000*6 {
			t.Fatalf("%d bytes, %v", out.Len(), err)
		}
	})
}

func TestCopyErrorsLeaveNothing(t *testing.T) {
	withConn(t, func(c lumos.Conn, conn *sql.Conn) {
		ctx := context.Background()
		_, err := c.CopyFrom(ctx, "COPY t FROM STDIN (FORMAT csv)", strings.NewReader("1,x\ny,z\n"))
		var failure *lumos.Error
		if !errors.As(err, &failure) || failure.Code != "22P02" || failure.Context != `COPY t, line 2, column a: "y"` {
			t.Fatalf("%#v", err)
		}
		broken := errors.New("broken")
		reader := io.MultiReader(strings.NewReader("1,x\n"), iotest.ErrReader(broken))
		if _, err := c.CopyFrom(ctx, "COPY t FROM STDIN (FORMAT csv)", reader); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if _, err := c.CopyFrom(ctx, "SELECT 1", strings.NewReader("")); err == nil {
			t.Fatal("a query was taken for COPY")
		}
		ended, cancel := context.WithCancel(ctx)
		reader = io.MultiReader(strings.NewReader("1,x\n"), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }))
		if _, err := c.CopyFrom(ended, "COPY t FROM STDIN (FORMAT csv)", reader); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() != "planted" {
					t.Error("the reader's panic was lost")
				}
			}()
			c.CopyFrom(ctx, "COPY t FROM STDIN", readerFunc(func([]byte) (int, error) { panic("planted") }))
		}()
		if count := countRows(t, conn); count != 0 {
			t.Fatalf("%d rows are left", count)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(buffer []byte) (int, error) { return f(buffer) }

func TestEveryKindOfStatementRuns(t *testing.T) {
	withConn(t, func(_ lumos.Conn, conn *sql.Conn) {
		ctx := context.Background()
		for _, text := range []string{
			"CREATE VIEW v AS SELECT a + 1 AS x FROM t",
			"INSERT INTO t VALUES (1, 'x'), (2, 'y')",
			"CREATE TABLE u AS SELECT * FROM v",
			"ANALYZE",
			"ANALYZE t",
		} {
			if _, err := conn.ExecContext(ctx, text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		var line string
		if err := conn.QueryRowContext(ctx, "EXPLAIN SELECT * FROM v").Scan(&line); err != nil || !strings.Contains(line, "Seq Scan on t") {
			t.Fatalf("%q, %v", line, err)
		}
		var sum int
		if err := conn.QueryRowContext(ctx, "SELECT sum(x) FROM u").Scan(&sum); err != nil || sum != 5 {
			t.Fatalf("%d, %v", sum, err)
		}
		var failure *lumos.Error
		if _, err := conn.ExecContext(ctx, "DROP TABLE t"); !errors.As(err, &failure) || failure.Code != "2BP01" {
			t.Fatalf("%v", err)
		}
	})
}
