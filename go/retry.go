package lumos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Beginner begins transactions: *sql.DB and *sql.Conn.
type Beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// Bounds of RunTx.
const (
	retryAttemptsMax = 100
	retryPauseMin    = 200 * time.Microsecond
	retryPauseMax    = 100 * time.Millisecond
)

// RunTx runs fn in a transaction and commits it. Where another transaction came in between (40001) or two
// waited for each other (40P01), it waits a little and runs fn again in a new transaction, so fn must have no
// effects outside it. Any other error rolls back and is returned; so is the last one after 100 attempts, and
// the context's when it ends.
func RunTx(ctx context.Context, db Beginner, opts *sql.TxOptions, fn func(tx *sql.Tx) error) error {
	pause := retryPauseMin
	for attempt := 1; ; attempt++ {
		err := attemptTx(ctx, db, opts, fn)
		if err == nil || !retryable(err) {
			return err
		}
		if attempt == retryAttemptsMax {
			return fmt.Errorf("lumos: transaction given up after %d attempts: %w", attempt, err)
		}
		// Between half and the whole of the pause, so that competitors come apart.
		timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w (after: %w)", ctx.Err(), err)
		case <-timer.C:
		}
		pause = min(2*pause, retryPauseMax)
	}
}

func attemptTx(ctx context.Context, db Beginner, opts *sql.TxOptions, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	// Does nothing after the commit; also for a panic in fn.
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func retryable(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) {
		return false
	}
	return failure.Code == codeSerializationFailure || failure.Code == codeDeadlockDetected
}
