// A small complete program: it opens a database, fills a table in a transaction, asks it, and handles a
// duplicate key.
//
//	go run .                # loads ../../lib/liblumos_core.so
//	go run -tags rust .     # links ../../lib/liblumos_core.a in
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/lumos-db/lumos/go"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
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
		fmt.Printf("%8s  %s\n", price, title)
	}
	if err := rows.Err(); err != nil {
		return err
	}

	_, err = db.ExecContext(ctx, "INSERT INTO book VALUES ($1, $2, $3, $4)", books[0].isbn, "Again", 1, time.Now())
	var refused *lumos.Error
	switch {
	case errors.As(err, &refused) && refused.SQLState() == "23505":
		fmt.Printf("already there (constraint %s): %s\n", refused.ConstraintName, refused.Detail)
	case err != nil:
		return err
	default:
		return errors.New("a book was inserted twice")
	}
	return nil
}
