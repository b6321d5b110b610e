// A rule over several rows, kept by SERIALIZABLE: somebody must be on call. Two doctors look at the same time whether the other
// one is there, and both go home; at any lower level both may. Here one of the two comes too late (40001), and lumos.RunTx runs
// it again with what the other one left.
//
//	go run -tags rust ./serializable
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"

	"github.com/lumos-db/lumos/go"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

var errAlone = errors.New("nobody else is on call")

func run(ctx context.Context, out io.Writer) error {
	db, err := sql.Open("lumos", ":memory:")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `
		CREATE TABLE doctor (name text PRIMARY KEY, on_call boolean NOT NULL);
		INSERT INTO doctor VALUES ('Ada', true), ('Ben', true)`); err != nil {
		return err
	}

	var attempts atomic.Int32
	// Both have looked before one of them goes, so that they do meet here.
	var looked sync.WaitGroup
	looked.Add(2)
	goHome := func(name string) error {
		first := true
		options := &sql.TxOptions{Isolation: sql.LevelSerializable}
		// The function may run more than once: it has no effects but those of its transaction.
		return lumos.RunTx(ctx, db, options, func(tx *sql.Tx) error {
			attempts.Add(1)
			var others int
			err := tx.QueryRowContext(ctx, "SELECT count(*) FROM doctor WHERE on_call AND name <> $1", name).Scan(&others)
			if first {
				first = false
				looked.Done()
				looked.Wait()
			}
			if err != nil {
				return err
			}
			if others == 0 {
				return errAlone
			}
			_, err = tx.ExecContext(ctx, "UPDATE doctor SET on_call = false WHERE name = $1", name)
			return err
		})
	}
	ended := make(chan error)
	for _, name := range []string{"Ada", "Ben"} {
		go func() { ended <- goHome(name) }()
	}
	stayed := 0
	for range 2 {
		switch err := <-ended; {
		case errors.Is(err, errAlone):
			stayed++
		case err != nil:
			return err
		}
	}
	var onCall int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM doctor WHERE on_call").Scan(&onCall); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d attempts, %d stayed, %d on call\n", attempts.Load(), stayed, onCall)
	return nil
}
