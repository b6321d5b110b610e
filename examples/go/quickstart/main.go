// Quickstart shows that what was acknowledged stays. It works on quickstart.lumos, which the C quickstart
// loads with the tables of TPC-H.
//
// The program starts itself as a child. In the child four goroutines insert and update orders in durable
// transactions while a fifth aggregates; each order's number is printed right after its commit. The parent
// keeps these numbers, kills the child in mid-run, opens the file again, looks every order up, and has the
// whole file verified. The last line says how many were acknowledged and how many of them are lost.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lumos-db/lumos/go"
)

const (
	writers       = 4
	linesPerOrder = 3
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("quickstart: ")
	path := flag.String("file", "quickstart.lumos", "the database `file`")
	wanted := flag.Int("acknowledgements", 1000, "kill the child after so many")
	flag.Parse()
	switch flag.Arg(0) {
	case "":
		if !parent(*path, *wanted) {
			os.Exit(1)
		}
	case "child":
		log.Fatal(child(context.Background(), *path))
	default:
		log.Fatalf("unknown argument %q", flag.Arg(0))
	}
}

func open(path string) (*sql.DB, error) {
	return sql.Open("lumos", path+"?create=off&durability=full")
}

// parent tells whether nothing was lost.
func parent(path string, wanted int) bool {
	if _, err := os.Stat(path); err != nil {
		log.Fatalf("%v: run the C quickstart first, it loads the tables", err)
	}
	acknowledged, err := runAndKill(path, wanted)
	if err != nil {
		log.Fatal(err)
	}
	opening := time.Now()
	db, err := open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		log.Fatal("opening after the kill: ", err)
	}
	fmt.Printf("killed after %d acknowledgements, opened again in %v\n", len(acknowledged), time.Since(opening).Round(time.Microsecond))
	lost, err := lookUp(db, acknowledged)
	if err != nil {
		log.Fatal(err)
	}
	sound := true
	if err := lumos.Verify(db); err != nil {
		sound = false
		log.Print(err)
	} else {
		fmt.Println("the file is sound")
	}
	fmt.Printf("%d acknowledged, %d lost\n", len(acknowledged), lost)
	return lost == 0 && sound && len(acknowledged) >= wanted
}

// runAndKill runs the child until it has acknowledged enough; it gives the numbers of all the orders that the
// child printed before it died.
func runAndKill(path string, wanted int) ([]int64, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(self, "-file", path, "child")
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	var acknowledged []int64
	killed := false
	reader := bufio.NewReader(output)
	for {
		// A line without its end was cut off by the kill: it acknowledges nothing.
		line, err := reader.ReadString('\n')
		if err != nil {
			break
		}
		number, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			command.Process.Kill()
			command.Wait()
			return nil, fmt.Errorf("the child printed %q: %w", line, err)
		}
		acknowledged = append(acknowledged, number)
		if len(acknowledged) >= wanted && !killed {
			killed = true
			// SIGKILL: no deferred function runs, no buffer is flushed.
			if err := command.Process.Kill(); err != nil {
				return nil, err
			}
		}
	}
	err = command.Wait()
	if !killed {
		return nil, fmt.Errorf("the child ended by itself after %d acknowledgements: %v", len(acknowledged), err)
	}
	return acknowledged, nil
}

// lookUp counts the acknowledged orders that are not there with all their lines.
func lookUp(db *sql.DB, acknowledged []int64) (lost int, err error) {
	order, err := db.Prepare("SELECT o_orderkey FROM orders WHERE o_orderkey = $1")
	if err != nil {
		return 0, err
	}
	defer order.Close()
	lines, err := db.Prepare("SELECT count(*) FROM lineitem WHERE l_orderkey = $1")
	if err != nil {
		return 0, err
	}
	defer lines.Close()
	for _, number := range acknowledged {
		var key, count int64
		switch err := order.QueryRow(number).Scan(&key); {
		case errors.Is(err, sql.ErrNoRows):
			lost++
			log.Printf("order %d was acknowledged and is not there", number)
			continue
		case err != nil:
			return 0, err
		}
		if err := lines.QueryRow(number).Scan(&count); err != nil {
			return 0, err
		}
		if key != number || count != linesPerOrder {
			lost++
			log.Printf("order %d was acknowledged and has %d of its %d lines", number, count, linesPerOrder)
		}
	}
	return lost, nil
}

// child works until it is killed; it returns only with an error.
func child(ctx context.Context, path string) error {
	db, err := open(path)
	if err != nil {
		return err
	}
	defer db.Close()
	var loaded sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT max(o_orderkey) FROM orders").Scan(&loaded); err != nil {
		return err
	}
	existing, err := someOrders(ctx, db)
	if err != nil {
		return err
	}
	var last atomic.Int64
	last.Store(loaded.Int64)
	failed := make(chan error)
	for range writers {
		go func() {
			for {
				number := last.Add(1)
				if err := write(ctx, db, number, existing); err != nil {
					failed <- fmt.Errorf("order %d: %w", number, err)
					return
				}
				// One write, without a buffer in between: the parent has it, or it was not acknowledged.
				if _, err := fmt.Fprintln(os.Stdout, number); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	go func() { failed <- aggregate(ctx, db, loaded.Int64) }()
	return <-failed
}

// someOrders gives numbers of orders to be updated.
func someOrders(ctx context.Context, db *sql.DB) ([]int64, error) {
	rows, err := db.QueryContext(ctx, "SELECT o_orderkey FROM orders ORDER BY o_orderkey LIMIT 1000")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var numbers []int64
	for rows.Next() {
		var number int64
		if err := rows.Scan(&number); err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	if len(numbers) == 0 && rows.Err() == nil {
		return nil, errors.New("the table orders is empty: run the C quickstart first")
	}
	return numbers, rows.Err()
}

// write inserts an order with its lines and updates an older order, all or nothing.
func write(ctx context.Context, db *sql.DB, number int64, existing []int64) error {
	old := existing[rand.IntN(len(existing))]
	today := time.Now()
	return lumos.RunTx(ctx, db, nil, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO orders VALUES ($1, $2, 'O', $3, $4, '3-MEDIUM', $5, 0, $6)",
			number, rand.IntN(1500)+1, "1234.50", today, "Clerk#000000001", "written by the Go quickstart"); err != nil {
			return err
		}
		for line := 1; line <= linesPerOrder; line++ {
			if _, err := tx.ExecContext(ctx, "INSERT INTO lineitem VALUES ($1, $2, $3, $4, $5, $6, 0.05, 0.02, 'N', 'O', "+
				"$7, $7, $7, 'NONE', 'RAIL', 'written by the Go quickstart')",
				number, rand.IntN(2000)+1, rand.IntN(100)+1, line, 10, "411.50", today); err != nil {
				return err
			}
		}
		result, err := tx.ExecContext(ctx, "UPDATE orders SET o_totalprice = o_totalprice + 0.01 WHERE o_orderkey = $1", old)
		if err != nil {
			return err
		}
		if changed, _ := result.RowsAffected(); changed != 1 {
			return fmt.Errorf("order %d was to be updated, %d were", old, changed)
		}
		return nil
	})
}

// aggregate reads while the others write: in one snapshot each new order has all its lines, whatever is being
// committed meanwhile.
func aggregate(ctx context.Context, db *sql.DB, loaded int64) error {
	before := int64(0)
	for {
		var orders, lines int64
		var total sql.NullString
		err := lumos.RunTx(ctx, db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(tx *sql.Tx) error {
			if err := tx.QueryRowContext(ctx, "SELECT count(*), sum(o_totalprice) FROM orders WHERE o_orderkey > $1",
				loaded).Scan(&orders, &total); err != nil {
				return err
			}
			return tx.QueryRowContext(ctx, "SELECT count(*) FROM lineitem WHERE l_orderkey > $1", loaded).Scan(&lines)
		})
		if err != nil {
			return fmt.Errorf("aggregate: %w", err)
		}
		if lines != linesPerOrder*orders || orders < before {
			return fmt.Errorf("aggregate: %d orders have %d lines (%d orders before)", orders, lines, before)
		}
		before = orders
	}
}
