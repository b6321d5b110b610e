package main

import (
	"bytes"
	"context"
	"testing"
)

func TestTheExampleSaysWhatItShould(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	const expected = `   39.99  The Go Programming Language
   52.50  The C Programming Language
already there (constraint book_pkey): Key (isbn)=(978-0262510875) already exists.
refused (23514): new row for relation "book" violates check constraint "book_price_check"
22P02: invalid input syntax for type numeric: "a lot"
  COPY book, line 2, column price: "a lot"
2 books came in
price,title
249.99,The Art of Computer Programming
89.99,Fundamental Algorithms
55.00,Structure and Interpretation of Computer Programs
32.50,The C Programming Language
19.99,The Go Programming Language
`
	if out.String() != expected {
		t.Errorf("it says\n%s", out.String())
	}
}
