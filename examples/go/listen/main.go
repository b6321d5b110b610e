// Work that is told of instead of asked for: a listener waits for messages, which come when the transaction that sent them has
// committed, in the order of the commits. What was rolled back was never said.
//
//	go run -tags rust ./listen
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/lumos-db/lumos/go"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	db, err := sql.Open("lumos", ":memory:")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE job (id int PRIMARY KEY, what text NOT NULL)"); err != nil {
		return err
	}

	// LISTEN belongs to a connection: one is kept for it, out of the pool.
	listener, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer listener.Close()
	if _, err := listener.ExecContext(ctx, "LISTEN jobs"); err != nil {
		return err
	}
	listening, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- listener.Raw(func(driverConn any) error {
			for {
				told, err := driverConn.(lumos.Conn).WaitForNotification(listening)
				if err != nil {
					return err
				}
				fmt.Fprintf(out, "told of job %s\n", told.Payload)
				if told.Payload == "3" {
					stop()
				}
			}
		})
	}()

	if err := add(ctx, db, 1, "wash"); err != nil {
		return err
	}
	// A job that cannot be: its message goes with its transaction.
	if err := add(ctx, db, 1, "wash again"); err == nil {
		return errors.New("a job was added twice")
	}
	for id := 2; id <= 3; id++ {
		if err := add(ctx, db, id, "dry"); err != nil {
			return err
		}
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return err
	}
	fmt.Fprintln(out, "the listener was stopped")
	return nil
}

// add puts a job in and tells of it, both or neither.
func add(ctx context.Context, db *sql.DB, id int, what string) error {
	return lumos.RunTx(ctx, db, nil, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "SELECT pg_notify('jobs', $1::text)", fmt.Sprint(id)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO job VALUES ($1, $2)", id, what)
		return err
	})
}
