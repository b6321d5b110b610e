package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestMain is also the child that the parent starts: the test's own program with the argument "child".
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "child") {
		main()
		return
	}
	os.Exit(m.Run())
}

func load(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("lumos", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`
		CREATE TABLE orders (o_orderkey bigint NOT NULL PRIMARY KEY, o_custkey integer NOT NULL, o_orderstatus char(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL);
		CREATE TABLE lineitem (l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL, l_linenumber integer NOT NULL, l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))`); err != nil {
		t.Fatal(err)
	}
	for number := range 300 {
		if _, err := db.Exec("INSERT INTO orders VALUES ($1, 1, 'F', $2, '1995-01-01', '1-URGENT', 'Clerk#000000001', 0, 'loaded')",
			number, fmt.Sprint(number)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingAcknowledgedIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quickstart.lumos")
	load(t, path)
	for range 3 {
		if !parent(path, 100) {
			t.Fatal("something was lost, see above")
		}
	}
}
