package lumos

import (
	"context"
	"io"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// Conn is what a *sql.Conn of this driver gives to the function of its Raw: what database/sql has no methods for.
//
//	err := conn.Raw(func(driverConn any) error {
//		rows, err = driverConn.(lumos.Conn).CopyFrom(ctx, "COPY t FROM STDIN (FORMAT csv)", file)
//		return err
//	})
type Conn interface {
	// CopyFrom runs COPY ... FROM STDIN with the bytes of r; it gives the number of rows put in. An error, also
	// one of r, leaves the table as it was.
	CopyFrom(ctx context.Context, sql string, r io.Reader) (int64, error)
	// CopyTo runs COPY ... TO STDOUT into w; it gives the number of rows written.
	CopyTo(ctx context.Context, sql string, w io.Writer) (int64, error)
}

var _ Conn = (*conn)(nil)

// CopyFrom is described at Conn.
func (c *conn) CopyFrom(ctx context.Context, sql string, r io.Reader) (int64, error) {
	return c.copy(ctx, func() (uint64, capi.Status, capi.Err, error) {
		return capi.CopyIn(ctx, c.handle, sql, r)
	})
}

// CopyTo is described at Conn.
func (c *conn) CopyTo(ctx context.Context, sql string, w io.Writer) (int64, error) {
	return c.copy(ctx, func() (uint64, capi.Status, capi.Err, error) {
		return capi.CopyOut(ctx, c.handle, sql, w)
	})
}

func (c *conn) copy(ctx context.Context, run func() (uint64, capi.Status, capi.Err, error)) (int64, error) {
	if err := c.ready(ctx); err != nil {
		return 0, err
	}
	stop := c.watch.start(ctx)
	ended := false
	defer func() {
		if !ended {
			c.watch.end(stop)
		}
	}()
	rows, status, failure, err := run()
	c.watch.end(stop)
	ended = true
	if status < 0 {
		refused := c.failed(take(failure, status), status, ctx)
		if err != nil {
			return 0, err
		}
		return 0, refused
	}
	return int64(rows), nil
}
