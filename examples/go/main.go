// A small complete program: it opens a database, fills a table in a transaction that is run again where another
// one came in between, asks it with parameters, tells errors by their SQLSTATE, and moves rows in bulk by COPY.
//
//	go run .                # loads ../../lib/liblumos_core.so
//	go run -tags rust .     # links ../../lib/liblumos_core.a in
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

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

	if _, err := db.ExecContext(ctx, `
		CREATE TABLE book (
			isbn  text PRIMARY KEY,
			title text NOT NULL,
			price numeric(8,2) NOT NULL CHECK (price >= 0),
			since timestamptz NOT NULL
		)`); err != nil {
		return err
	}

	// All or nothing; run again where another transaction came in between.
	books := []struct{ isbn, title, price string }{
		{"978-0262510875", "Structure and Interpretation of Computer Programs", "75.00"},
		{"978-0131103627", "The C Programming Language", "52.50"},
		{"978-0134190440", "The Go Programming Language", "39.99"},
	}
	err = lumos.RunTx(ctx, db, nil, func(tx *sql.Tx) error {
		for _, b := range books {
			if _, err := tx.ExecContext(ctx, "INSERT INTO book VALUES ($1, $2, $3, $4)",
				b.isbn, b.title, b.price, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}

	rows, err := db.QueryContext(ctx, "SELECT title, price FROM book WHERE price < $1 ORDER BY price", 60)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var title, price string
		if err := rows.Scan(&title, &price); err != nil {
			return err
		}
		fmt.Fprintf(out, "%8s  %s\n", price, title)
	}
	if err := rows.Err(); err != nil {
		return err
	}

	_, err = db.ExecContext(ctx, "INSERT INTO book VALUES ($1, $2, $3, $4)", books[0].isbn, "Again", 1, time.Now())
	var refused *lumos.Error
	switch {
	case errors.As(err, &refused) && refused.SQLState() == "23505":
		fmt.Fprintf(out, "already there (constraint %s): %s\n", refused.ConstraintName, refused.Detail)
	case err != nil:
		return err
	default:
		return errors.New("a book was inserted twice")
	}
	if err := sell(ctx, db, out); err != nil {
		return err
	}
	return copyInAndOut(ctx, db, out)
}

// sell takes money from each book's price twice at once: at repeatable read one of the two comes too late, ends
// with 40001, and is run again by RunTx with what the other one left.
func sell(ctx context.Context, db *sql.DB, out io.Writer) error {
	isolated := &sql.TxOptions{Isolation: sql.LevelRepeatableRead}
	ended := make(chan error)
	for range 2 {
		go func() {
			ended <- lumos.RunTx(ctx, db, isolated, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "UPDATE book SET price = price - $1", "10.00")
				return err
			})
		}()
	}
	if err := errors.Join(<-ended, <-ended); err != nil {
		return err
	}
	// What is wrong by itself is not run again: here the CHECK of the column, class 23.
	err := lumos.RunTx(ctx, db, isolated, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE book SET price = price - $1", "30.00")
		return err
	})
	var refused *lumos.Error
	if !errors.As(err, &refused) || refused.SQLState() != "23514" {
		return fmt.Errorf("a price below zero was not refused: %w", err)
	}
	fmt.Fprintf(out, "refused (%s): %s\n", refused.SQLState(), refused.Message)
	return nil
}

// copyInAndOut reads CSV from a reader into the table and writes a query's rows as CSV to a writer.
func copyInAndOut(ctx context.Context, db *sql.DB, out io.Writer) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// database/sql has no methods for COPY: the driver's own connection has.
	return conn.Raw(func(driverConn any) error {
		c := driverConn.(lumos.Conn)
		const into = "COPY book (isbn, title, price, since) FROM STDIN (FORMAT csv)"

		wrong := "978-0201896831,Fundamental Algorithms,89.99,2024-05-01\n" +
			"978-0321751041,The Art of Computer Programming,a lot,2024-05-01\n"
		_, err := c.CopyFrom(ctx, into, strings.NewReader(wrong))
		var refused *lumos.Error
		if !errors.As(err, &refused) {
			return fmt.Errorf("a price that is no number came in: %w", err)
		}
		// Nothing of it is in the table; Context names the line.
		fmt.Fprintf(out, "%s: %s\n  %s\n", refused.SQLState(), refused.Message, refused.Context)

		rows, err := c.CopyFrom(ctx, into, strings.NewReader(strings.ReplaceAll(wrong, "a lot", "249.99")))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d books came in\n", rows)
		_, err = c.CopyTo(ctx, "COPY (SELECT price, title FROM book ORDER BY price DESC) TO STDOUT (FORMAT csv, HEADER)", out)
		return err
	})
}
