package lumos_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/lumos-db/lumos/go"
	"github.com/lumos-db/lumos/go/internal/capi"
)

// TestMain runs the suite on whichever link it was built for, and ends with the library's own counts: every
// handle closed, no panic caught.
func TestMain(m *testing.M) {
	if err := capi.Load(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("link:", lumos.Link, "library:", capi.Version())
	code := m.Run()
	for _, name := range []string{"handles_open", "panics_caught"} {
		// These two are the library's, not a database's.
		if count, status := capi.Stat(0, name); status < 0 || count != 0 {
			fmt.Printf("FAIL: at the end %s is %d (status %d)\n", name, count, status)
			code = 1
		}
	}
	os.Exit(code)
}

func open(t testing.TB, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("lumos", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func memory(t testing.TB) *sql.DB { return open(t, ":memory:") }

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "test.lumos") }

// querier is *sql.DB, *sql.Tx or *sql.Conn.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func exec(t testing.TB, db querier, text string, args ...any) int64 {
	t.Helper()
	result, err := db.ExecContext(context.Background(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	count, err := result.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func one[T any](t testing.TB, db querier, text string, args ...any) T {
	t.Helper()
	var value T
	if err := db.QueryRowContext(context.Background(), text, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func code(t testing.TB, err error) string {
	t.Helper()
	var failure *lumos.Error
	if !errors.As(err, &failure) {
		t.Fatalf("not a *lumos.Error: %v", err)
	}
	if failure.SQLState() != failure.Code {
		t.Fatalf("SQLState() is %q, Code %q", failure.SQLState(), failure.Code)
	}
	return failure.Code
}

func wantCode(t testing.TB, err error, want string) *lumos.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want SQLSTATE %s", want)
	}
	if got := code(t, err); got != want {
		t.Fatalf("SQLSTATE %s, want %s: %v", got, want, err)
	}
	var failure *lumos.Error
	errors.As(err, &failure)
	return failure
}

func TestOpenPingAndClose(t *testing.T) {
	db := memory(t)
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	if got := one[int64](t, db, "SELECT 1"); got != 1 {
		t.Fatal(got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal("a second close fails:", err)
	}
	if err := db.Ping(); err == nil {
		t.Fatal("a closed database answers")
	}
}

func TestOptionsAreCheckedAtOpen(t *testing.T) {
	open(t, ":memory:?memory_limit=64MB&durability=off").Ping()
	if _, err := sql.Open("lumos", ":memory:?no_such_option=1"); err == nil {
		t.Fatal("an unknown option was accepted")
	} else {
		wantCode(t, err, "42704")
	}
	_, err := sql.Open("lumos", ":memory:?memory_limit=plenty")
	wantCode(t, err, "22023")
	_, err = sql.Open("lumos", ":memory:?memory_limit=%zz")
	wantCode(t, err, "22023")
	wantCode(t, open(t, file(t)+"?create=off").Ping(), "58P01")
}

func TestDatabasesOfOneGroupShareTheirMemory(t *testing.T) {
	first := open(t, ":memory:?memory_limit=32MB&memory_group=go")
	second := open(t, file(t)+"?memory_group=go")
	if _, err := first.Exec("CREATE TABLE t (a integer, b text)"); err != nil {
		t.Fatal(err)
	}
	before, err := lumos.Stat(second, "memory_used")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Exec("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 5000) g"); err != nil {
		t.Fatal(err)
	}
	after, err := lumos.Stat(second, "memory_used")
	if err != nil || after < before+1<<20 || after > 32<<20 {
		t.Fatalf("%d bytes, then %d, %v", before, after, err)
	}
	wantCode(t, open(t, ":memory:?memory_limit=64MB&memory_group=go").Ping(), "22023")
}

func TestExecAndQuery(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE fruit (id int PRIMARY KEY, name text NOT NULL, price numeric(8,2))")
	if got := exec(t, db, "INSERT INTO fruit VALUES (1, 'apple', 1.5), (2, 'pear', NULL)"); got != 2 {
		t.Fatal(got)
	}
	if got := exec(t, db, "INSERT INTO fruit VALUES ($1, $2, $3)", 3, "plum", "0.25"); got != 1 {
		t.Fatal(got)
	}
	rows, err := db.Query("SELECT id, name, price FROM fruit WHERE id >= $1 ORDER BY id", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var id int
		var name string
		var price sql.NullString
		if err := rows.Scan(&id, &name, &price); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(id, name, price.Valid, price.String))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(all), "[1appletrue1.50 2pearfalse 3plumtrue0.25]"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	if got := exec(t, db, "UPDATE fruit SET price = price * 2 WHERE price IS NOT NULL"); got != 2 {
		t.Fatal(got)
	}
	if got := exec(t, db, "DELETE FROM fruit WHERE id = $1", int64(2)); got != 1 {
		t.Fatal(got)
	}
	err = db.QueryRow("SELECT name FROM fruit WHERE id = $1", 2).Scan(new(string))
	if !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
}

func TestSeveralStatementsInOneExecAreOneTransaction(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE a (x int PRIMARY KEY); CREATE TABLE b (y int); INSERT INTO a VALUES (1)")
	_, err := db.Exec("INSERT INTO b VALUES (1); INSERT INTO a VALUES (1)")
	wantCode(t, err, "23505")
	if got := one[int64](t, db, "SELECT count(*) FROM b"); got != 0 {
		t.Fatal("the script's first statement stayed:", got)
	}
	_, err = db.Query("SELECT 1; SELECT 2")
	wantCode(t, err, "42601")
	_, err = db.Exec("INSERT INTO b VALUES ($1); SELECT 1", 1)
	wantCode(t, err, "42601")
	if got := one[int64](t, db, "SELECT 1; -- the end"); got != 1 {
		t.Fatal(got)
	}
}

func TestATextWithoutAStatement(t *testing.T) {
	db := memory(t)
	exec(t, db, "  -- nothing")
	rows, err := db.Query("")
	if err != nil {
		t.Fatal(err)
	}
	if rows.Next() || rows.Err() != nil {
		t.Fatal("rows from nothing", rows.Err())
	}
	rows.Close()
}

func TestReturning(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE item (id int PRIMARY KEY, name text DEFAULT 'new')")
	if got := one[string](t, db, "INSERT INTO item (id) VALUES ($1) RETURNING name", 1); got != "new" {
		t.Fatal(got)
	}
	if got := exec(t, db, "INSERT INTO item (id) VALUES ($1) RETURNING id, name", 2); got != 1 {
		t.Fatal(got)
	}
	result, err := db.Exec("INSERT INTO item (id) VALUES (3)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = result.LastInsertId(); err == nil || !contains(err.Error(), "RETURNING") {
		t.Fatal("LastInsertId should name RETURNING:", err)
	}
}

func TestPreparedStatements(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE n (id int PRIMARY KEY, v bigint)")
	insert, err := db.Prepare("INSERT INTO n VALUES ($1, $2)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := insert.Exec(i, i*i); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := insert.Exec(1); err == nil {
		t.Fatal("one argument for two parameters was accepted")
	}
	if err := insert.Close(); err != nil {
		t.Fatal(err)
	}
	if err := insert.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := insert.Exec(1000, 1); err == nil {
		t.Fatal("a closed statement ran")
	}
	_, err = db.Prepare("SELEC 1")
	wantCode(t, err, "42601")
	query, err := db.Prepare("SELECT v FROM n WHERE id = $1")
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	for i := range 200 {
		var v int
		if err := query.QueryRow(i).Scan(&v); err != nil || v != i*i {
			t.Fatal(i, v, err)
		}
	}
}

func TestMoreStatementsThanTheCacheHolds(t *testing.T) {
	db := memory(t)
	db.SetMaxOpenConns(1)
	before, err := lumos.Stat(db, "handles_open")
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for i := range 150 {
			if got := one[int64](t, db, fmt.Sprintf("SELECT %d + $1::int", i), round); got != int64(i+round) {
				t.Fatal(got)
			}
		}
	}
	after, _ := lumos.Stat(db, "handles_open")
	if after-before > 64 {
		t.Fatalf("%d handles became %d: more statements are open than the cache holds", before, after)
	}
}

func TestAStatementOutlivesAChangeOfItsTable(t *testing.T) {
	db := memory(t)
	db.SetMaxOpenConns(1)
	exec(t, db, "CREATE TABLE t (a int)")
	exec(t, db, "INSERT INTO t VALUES (1)")
	if got := one[int64](t, db, "SELECT * FROM t"); got != 1 {
		t.Fatal(got)
	}
	exec(t, db, "DROP TABLE t")
	err := db.QueryRow("SELECT * FROM t").Scan(new(int64))
	wantCode(t, err, "42P01")
	exec(t, db, "CREATE TABLE t (a text)")
	exec(t, db, "INSERT INTO t VALUES ('one')")
	if got := one[string](t, db, "SELECT * FROM t"); got != "one" {
		t.Fatal(got)
	}
	// The same definitions again, whose texts the library has seen.
	exec(t, db, "DROP TABLE t")
	exec(t, db, "CREATE TABLE t (a int)")
	exec(t, db, "INSERT INTO t VALUES (1)")
	if got := one[int64](t, db, "SELECT * FROM t"); got != 1 {
		t.Fatal(got)
	}
}

func TestTwoResultsOfOneTextInATransaction(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int PRIMARY KEY)")
	for i := range 10 {
		exec(t, db, "INSERT INTO t VALUES ($1)", i)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	text := "SELECT a FROM t ORDER BY a"
	first, err := tx.Query(text)
	if err != nil {
		t.Fatal(err)
	}
	second, err := tx.Query(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		var a, b int
		if !first.Next() || !second.Next() {
			t.Fatal("too few rows", first.Err(), second.Err())
		}
		first.Scan(&a)
		second.Scan(&b)
		if a != i || b != i {
			t.Fatal(i, a, b)
		}
	}
	first.Close()
	second.Close()
}

func TestRowsClosedEarlyAndTwice(t *testing.T) {
	db := memory(t)
	db.SetMaxOpenConns(1)
	fill(t, db, 20_000)
	for range 3 {
		rows, err := db.Query("SELECT id, pad FROM big")
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if !rows.Next() {
				t.Fatal(rows.Err())
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if rows.Next() {
			t.Fatal("closed rows go on")
		}
		// The only connection is free again.
		if got := one[int64](t, db, "SELECT count(*) FROM big"); got != 20_000 {
			t.Fatal(got)
		}
	}
}

// fill makes a table whose rows need many buffers.
func fill(t testing.TB, db *sql.DB, count int) {
	t.Helper()
	exec(t, db, "CREATE TABLE big (id int PRIMARY KEY, pad text NOT NULL)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	insert, err := tx.Prepare("INSERT INTO big VALUES ($1, $2)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		if _, err := insert.Exec(i, fmt.Sprintf("row %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestRowsOverManyBuffers(t *testing.T) {
	db := memory(t)
	fill(t, db, 20_000)
	rows, err := db.Query("SELECT id, pad FROM big ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	count := 0
	for rows.Next() {
		var id int
		var pad sql.RawBytes
		if err := rows.Scan(&id, &pad); err != nil {
			t.Fatal(err)
		}
		if id != count || string(pad) != fmt.Sprintf("row %d", id) {
			t.Fatalf("row %d is %d, %q", count, id, pad)
		}
		count++
	}
	if rows.Err() != nil || count != 20_000 {
		t.Fatal(count, rows.Err())
	}
}

func TestNamedParameters(t *testing.T) {
	db := memory(t)
	got := one[int64](t, db, "SELECT :low::int * 10 + :high::int + :low::int", sql.Named("high", 1), sql.Named("low", 2))
	if got != 23 {
		t.Fatal(got)
	}
	err := db.QueryRow("SELECT :low::int", sql.Named("hight", 1)).Scan(&got)
	wantCode(t, err, "42P02")
}

func TestAConnectionFromThePoolIsAsNew(t *testing.T) {
	db := memory(t)
	db.SetMaxOpenConns(1)
	exec(t, db, "SET TimeZone = 'Europe/Berlin'")
	if got := one[string](t, db, "SHOW TimeZone"); got != "UTC" {
		t.Fatal("a setting came back from the pool:", got)
	}
	exec(t, db, "CREATE TABLE t (a int)")
	exec(t, db, "BEGIN; INSERT INTO t VALUES (1)")
	if got := one[int64](t, db, "SELECT count(*) FROM t"); got != 0 {
		t.Fatal("a transaction came back from the pool")
	}
	lent, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer lent.Close()
	exec(t, lent, "SET TimeZone = 'Europe/Berlin'")
	if got := one[string](t, lent, "SHOW TimeZone"); got != "Europe/Berlin" {
		t.Fatal("a connection that is kept loses its settings:", got)
	}
}

func TestMemoryIsOneDatabaseForThePool(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int)")
	ctx := context.Background()
	first, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	exec(t, first, "INSERT INTO t VALUES (7)")
	if got := one[int64](t, second, "SELECT a FROM t"); got != 7 {
		t.Fatal(got)
	}
	other := memory(t)
	err = other.QueryRow("SELECT a FROM t").Scan(new(int64))
	wantCode(t, err, "42P01")
}

func TestAFileIsThereAfterReopening(t *testing.T) {
	path := file(t)
	for i := range 5 {
		db, err := sql.Open("lumos", path)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			exec(t, db, "CREATE TABLE t (a int PRIMARY KEY)")
		}
		exec(t, db, "INSERT INTO t VALUES ($1)", i)
		if got := one[int64](t, db, "SELECT count(*) FROM t"); got != int64(i+1) {
			t.Fatal(i, got)
		}
		if i == 3 {
			if err := lumos.Checkpoint(db); err != nil {
				t.Fatal(err)
			}
		}
		if err := lumos.Verify(db); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACountersNameIsChecked(t *testing.T) {
	if _, err := lumos.Stat(memory(t), "no_such_counter"); err == nil {
		t.Fatal("an unknown counter was read")
	}
}

func TestColumnTypes(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int NOT NULL, b varchar(7), c numeric(10,2), d timestamptz, e bytea, f bool, g float8, h text)")
	rows, err := db.Query("SELECT a, b, c, d, e, f, g, h FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, column := range types {
		nullable, _ := column.Nullable()
		got = append(got, fmt.Sprint(column.Name(), " ", column.DatabaseTypeName(), " ", column.ScanType(), " ", nullable))
	}
	want := "[a INT4 int64 false b VARCHAR string true c NUMERIC string true d TIMESTAMPTZ time.Time true " +
		"e BYTEA []uint8 true f BOOL bool true g FLOAT8 float64 true h TEXT string true]"
	if fmt.Sprint(got) != want {
		t.Fatalf("%v\nwant %s", got, want)
	}
	if length, ok := types[1].Length(); !ok || length != 7 {
		t.Fatal(length, ok)
	}
	if precision, scale, ok := types[2].DecimalSize(); !ok || precision != 10 || scale != 2 {
		t.Fatal(precision, scale, ok)
	}
}

func TestBigValues(t *testing.T) {
	db := open(t, file(t))
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, body bytea, txt text)")
	body := make([]byte, 10<<20)
	for i := range body {
		body[i] = byte(i * 7 / 3)
	}
	exec(t, db, "INSERT INTO t VALUES (1, $1, NULL), (2, NULL, $2)", body, string(make10MiBText()))
	got := one[[]byte](t, db, "SELECT body FROM t WHERE id = 1")
	if len(got) != len(body) || string(got) != string(body) {
		t.Fatal("10 MiB of bytes came back changed", len(got))
	}
	text := one[string](t, db, "SELECT txt FROM t WHERE id = 2")
	if text != string(make10MiBText()) {
		t.Fatal("10 MiB of text came back changed", len(text))
	}
	// Both rows in one result: the buffer grows for the second time.
	rows, err := db.Query("SELECT id, coalesce(length(txt), 0), body FROM t ORDER BY id DESC")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	lengths := []int{}
	for rows.Next() {
		var id, length int
		var bytes []byte
		if err := rows.Scan(&id, &length, &bytes); err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, length, len(bytes))
	}
	if fmt.Sprint(lengths) != fmt.Sprint([]int{10 << 20, 0, 0, 10 << 20}) {
		t.Fatal(lengths, rows.Err())
	}
}

func make10MiBText() []byte {
	text := make([]byte, 10<<20)
	for i := range text {
		text[i] = 'a' + byte(i%26)
	}
	return text
}
