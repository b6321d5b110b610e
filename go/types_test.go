package lumos_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestEveryTypeRoundTrip(t *testing.T) {
	db := memory(t)
	berlin := time.FixedZone("", 3600)
	instant := time.Date(2024, 2, 29, 13, 14, 15, 123456000, berlin)
	cases := []struct {
		column string
		in     any
		out    any
	}{
		{"smallint", int16(-32768), int64(-32768)},
		{"int", math.MaxInt32, int64(math.MaxInt32)},
		{"int", "17", int64(17)},
		{"bigint", int64(math.MinInt64), int64(math.MinInt64)},
		{"bigint", uint64(5), int64(5)},
		{"real", float32(1.5), 1.5},
		{"float8", 0.1, 0.1},
		{"float8", math.Inf(-1), math.Inf(-1)},
		{"float8", 3, 3.0},
		{"boolean", true, true},
		{"boolean", false, false},
		{"boolean", "yes", true},
		{"text", "grün 🍏", "grün 🍏"},
		{"text", "", ""},
		{"text", 42, "42"},
		{"text", []byte("bytes as text"), "bytes as text"},
		{"varchar(5)", "abc", "abc"},
		{"char(5)", "abc", "abc  "},
		{"bytea", []byte{0, 1, 255}, []byte{0, 1, 255}},
		{"bytea", []byte{}, []byte{}},
		{"numeric", "12345678901234567890.123456789", "12345678901234567890.123456789"},
		{"numeric(10,3)", "-0.05", "-0.050"},
		{"numeric(10,3)", 1.25, "1.250"},
		{"numeric", 100000, "100000"},
		{"numeric", "0.00001", "0.00001"},
		{"numeric", "NaN", "NaN"},
		{"numeric", big.NewInt(0).Exp(big.NewInt(10), big.NewInt(30), nil), "1000000000000000000000000000000"},
		{"numeric", uint64(math.MaxUint64), "18446744073709551615"},
		{"date", time.Date(1969, 12, 31, 23, 0, 0, 0, berlin), time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)},
		{"date", "2001-02-03", time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)},
		{"date", "infinity", "infinity"},
		{"timestamp", instant, time.Date(2024, 2, 29, 13, 14, 15, 123456000, time.UTC)},
		{"timestamp", "1999-12-31 23:59:59.999999", time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
		{"timestamp", "-infinity", "-infinity"},
		{"timestamptz", instant, instant.UTC()},
		{"timestamptz", time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)},
		{"interval", "1 year 2 months 3 days 04:05:06.7", "1 year 2 mons 3 days 04:05:06.7"},
		{"interval", "-1 day 00:00:01", "-1 days +00:00:01"},
		{"interval", 90 * time.Minute, "01:30:00"},
		{"bigint", 2 * time.Microsecond, int64(2000)},
	}
	for i, test := range cases {
		t.Run(fmt.Sprintf("%s %v", test.column, test.in), func(t *testing.T) {
			table := fmt.Sprintf("t%d", i)
			exec(t, db, fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, v %s)", table, test.column))
			exec(t, db, fmt.Sprintf("INSERT INTO %s VALUES (1, $1), (2, $2)", table), test.in, nil)
			var got, null any
			if err := db.QueryRow(fmt.Sprintf("SELECT v FROM %s WHERE id = 1", table)).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if err := db.QueryRow(fmt.Sprintf("SELECT v FROM %s WHERE id = 2", table)).Scan(&null); err != nil {
				t.Fatal(err)
			}
			same := reflect.DeepEqual(got, test.out)
			if bytesOut, ok := test.out.([]byte); ok {
				bytesGot, isBytes := got.([]byte)
				same = isBytes && bytes.Equal(bytesGot, bytesOut)
			}
			if !same {
				t.Errorf("%T %v, want %T %v", got, got, test.out, test.out)
			}
			if null != nil {
				t.Errorf("NULL came back as %v", null)
			}
			// The value as the library writes it is what it reads back as a text.
			text := one[sql.NullString](t, db, fmt.Sprintf("SELECT v::text FROM %s WHERE id = 1", table))
			if s, ok := test.out.(string); ok && !strings.HasPrefix(test.column, "char") && text.String != s {
				t.Errorf("the library writes %q, the driver %q", text.String, s)
			}
		})
	}
}

func TestNullsIntoGoTypes(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, a int, b text, c timestamptz)")
	exec(t, db, "INSERT INTO t VALUES (1, $1, $2, $3)", nil, []byte(nil), (*time.Time)(nil))
	exec(t, db, "INSERT INTO t VALUES (2, $1, $2, $3)", sql.NullInt64{Int64: 5, Valid: true}, sql.Null[string]{V: "x", Valid: true}, time.Unix(0, 0))
	for id, want := range map[int]bool{1: false, 2: true} {
		var a sql.NullInt64
		var b *string
		var c sql.NullTime
		if err := db.QueryRow("SELECT a, b, c FROM t WHERE id = $1", id).Scan(&a, &b, &c); err != nil {
			t.Fatal(err)
		}
		if a.Valid != want || (b != nil) != want || c.Valid != want {
			t.Fatal(id, a, b, c)
		}
	}
	if err := db.QueryRow("SELECT a FROM t WHERE id = 1").Scan(new(int)); err == nil {
		t.Fatal("NULL went into an int")
	}
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (a int, b smallint, c date, d text)")
	_, err := db.Exec("INSERT INTO t (a) VALUES ($1)", int64(math.MaxInt32)+1)
	wantCode(t, err, "22003")
	_, err = db.Exec("INSERT INTO t (b) VALUES ($1)", 70000)
	wantCode(t, err, "22003")
	_, err = db.Exec("INSERT INTO t (a) VALUES ($1)", "seven")
	wantCode(t, err, "22P02")
	_, err = db.Exec("INSERT INTO t (c) VALUES ($1)", "2023-02-29")
	wantCode(t, err, "22008")
	_, err = db.Exec("INSERT INTO t (d) VALUES ($1)", "\xff")
	wantCode(t, err, "22021")
	_, err = db.Exec("INSERT INTO t (d) VALUES ($1)", "a\x00b")
	wantCode(t, err, "22021")
	if _, err = db.Exec("INSERT INTO t (d) VALUES ($1)", struct{}{}); err == nil {
		t.Fatal("a struct was accepted")
	}
}

func TestTimesInConditions(t *testing.T) {
	db := memory(t)
	exec(t, db, "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, day date)")
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10 {
		at := start.Add(time.Duration(i) * 24 * time.Hour)
		exec(t, db, "INSERT INTO t VALUES ($1, $2, $3)", i, at, at)
	}
	if got := one[int64](t, db, "SELECT count(*) FROM t WHERE at >= $1", start.Add(3*24*time.Hour)); got != 7 {
		t.Fatal(got)
	}
	if got := one[int64](t, db, "SELECT count(*) FROM t WHERE day < $1", start.Add(3*24*time.Hour)); got != 3 {
		t.Fatal(got)
	}
}
