package lumos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// findingsMax is how many findings Verify keeps the text of.
const findingsMax = 1000

// Version is the library's release.
func Version() (string, error) {
	if err := capi.Load(); err != nil {
		return "", err
	}
	return capi.Version(), nil
}

// withDB runs fn with the library's handle of a database, which the lent connection keeps open.
func withDB(ctx context.Context, db *sql.DB, fn func(c *conn, db capi.DB) error) error {
	lent, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer lent.Close()
	return lent.Raw(func(driverConn any) error {
		c, ok := driverConn.(*conn)
		if !ok {
			return errors.New("lumos: the database is not one of the lumos driver")
		}
		handle, err := c.connector.open()
		if err != nil {
			return err
		}
		return fn(c, handle)
	})
}

// VerifyError lists what Verify found.
type VerifyError struct {
	// Found is how many findings there are.
	Found uint64
	// Findings are the first of them, at most 1000.
	Findings []string
}

// Error gives the number of findings and the first.
func (e *VerifyError) Error() string {
	if len(e.Findings) == 0 {
		return fmt.Sprintf("lumos: the database is damaged: %d findings", e.Found)
	}
	return fmt.Sprintf("lumos: the database is damaged: %d findings, the first: %s", e.Found, e.Findings[0])
}

// Verify checks the whole file: map, pages, trees, rows against index entries, large values. Nil: all is well;
// a *VerifyError lists what is not.
func Verify(db *sql.DB) error {
	return withDB(context.Background(), db, func(c *conn, handle capi.DB) error {
		findings, found, status, failure := capi.Verify(handle, findingsMax)
		if status < 0 {
			return c.failed(take(failure, status), status, nil)
		}
		if found > 0 {
			return &VerifyError{Found: found, Findings: findings}
		}
		return nil
	})
}

// Checkpoint writes all committed data into the database file and recycles the log.
func Checkpoint(db *sql.DB) error {
	return withDB(context.Background(), db, func(c *conn, handle capi.DB) error {
		status, failure := capi.Checkpoint(handle)
		if status < 0 {
			return c.failed(take(failure, status), status, nil)
		}
		return nil
	})
}

// Stat reads one of the library's counters, such as "log_syncs" or "handles_open".
func Stat(db *sql.DB, name string) (int64, error) {
	var value int64
	err := withDB(context.Background(), db, func(_ *conn, handle capi.DB) error {
		number, status := capi.Stat(handle, name)
		if status < 0 {
			return fmt.Errorf("lumos: no counter has the name %q", name)
		}
		value = number
		return nil
	})
	return value, err
}
