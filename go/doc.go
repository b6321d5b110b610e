// Package lumos is the database/sql driver of Lumos, an embedded SQL database with PostgreSQL's dialect.
//
//	db, err := sql.Open("lumos", "app.lumos?durability=full")
//
// The data source name is a path, or ":memory:" (one database for the whole sql.DB), and the library's options
// after a question mark. Import the package for its side effect, or use NewConnector with sql.OpenDB.
//
// # The library
//
// With cgo and the build tag rust, lib/liblumos_core.a is linked into the program. Without either, the shared
// library is loaded when first needed: from LUMOS_LIBRARY, beside the program, from lib/ of the checkout that
// the program was built in, or from where the system's loader looks. This works with CGO_ENABLED=0.
//
// # Values
//
// Integers come as int64, real and double precision as float64, boolean as bool, bytea as []byte, date,
// timestamp and timestamptz as time.Time in UTC (their infinities as the text "infinity"), numeric and
// interval as their text, character types as string. A string given for a parameter is an untyped literal:
// it takes the parameter's type.
//
// # Errors
//
// What the database refuses is an *Error with the SQLSTATE and PostgreSQL's fields. When a context's end stopped
// a statement, errors.Is finds context.Canceled or context.DeadlineExceeded in it too. RunTx runs a transaction
// again where another one came in between.
package lumos
