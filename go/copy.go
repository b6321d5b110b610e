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
	// WaitForNotification waits for the next message of a channel that this connection listens to (LISTEN). Messages
	// come in the order of the commits that sent them, also the connection's own; not inside a transaction. 54000, once,
	// says that messages were lost because nobody asked for them for too long.
	WaitForNotification(ctx context.Context) (*Notification, error)
	// ID is the connection's number, as pg_backend_pid() gives it.
	ID() uint64
	// Cancel asks what another connection of the database runs to stop (57014), by its number, as pg_cancel_backend does;
	// false: there is no such connection. Any goroutine.
	Cancel(id uint64) (bool, error)
	// Terminate ends another connection of the database by its number, as pg_terminate_backend does: what it runs stops, its
	// transaction is rolled back, and it leaves its pool; false: there is no such connection. Any goroutine.
	Terminate(id uint64) (bool, error)
}

// Notification is a message of NOTIFY or pg_notify.
type Notification struct {
	// Channel is where it was sent.
	Channel string
	// Payload is what it says.
	Payload string
	// Sender is the number of the connection that sent it, as pg_backend_pid() gives it.
	Sender uint64
}

// WaitForNotification is described at Conn.
func (c *conn) WaitForNotification(ctx context.Context) (*Notification, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	stop := c.watch.start(ctx)
	channel, payload, sender, status, failure := capi.NotificationWait(c.handle, -1)
	c.watch.end(stop)
	if status < 0 {
		return nil, c.failed(take(failure, status), status, ctx)
	}
	return &Notification{Channel: channel, Payload: payload, Sender: sender}, nil
}

var _ Conn = (*conn)(nil)

// ID is described at Conn.
func (c *conn) ID() uint64 {
	if c.handle == 0 {
		return 0
	}
	return capi.ConnID(c.handle)
}

// Cancel is described at Conn.
func (c *conn) Cancel(id uint64) (bool, error) { return c.connector.Cancel(id) }

// Terminate is described at Conn.
func (c *conn) Terminate(id uint64) (bool, error) { return c.connector.Terminate(id) }

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
