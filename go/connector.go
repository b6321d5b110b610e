package lumos

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"strings"
	"sync"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// Driver is the database/sql driver, registered as "lumos".
type Driver struct{}

var (
	_ driver.Driver        = Driver{}
	_ driver.DriverContext = Driver{}
)

func init() { sql.Register("lumos", Driver{}) }

// Link tells how the library is reached: "cgo" (linked in) or "purego" (a shared library).
const Link = capi.Link

// Open opens a connection to a database of its own; sql.Open goes through OpenConnector instead.
func (d Driver) Open(name string) (driver.Conn, error) {
	connector, err := NewConnector(name)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(context.Background())
	// The connection keeps its database alive.
	connector.Close()
	return conn, err
}

// OpenConnector reads a data source name: a path, or ":memory:", and options: "app.lumos?memory_limit=256MB".
func (Driver) OpenConnector(name string) (driver.Connector, error) { return NewConnector(name) }

type option struct{ name, value string }

// Connector opens connections to one database, which it opens with the first of them. For sql.OpenDB.
type Connector struct {
	path    string
	options []option
	// image is what a database in memory begins as, until it is open; nil: as nothing, or the path's.
	image []byte

	mutex  sync.Mutex
	db     capi.DB
	closed bool
}

var _ driver.Connector = (*Connector)(nil)

// NewConnector checks a data source name: an unknown option or a bad value fails here.
func NewConnector(name string) (*Connector, error) {
	if err := capi.Load(); err != nil {
		return nil, err
	}
	path, query, _ := strings.Cut(name, "?")
	connector := &Connector{path: path}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil {
			return nil, refuse("22023", "the data source name has a malformed option: "+err.Error())
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, refuse("22023", "the data source name has a malformed option: "+err.Error())
		}
		connector.options = append(connector.options, option{key, value})
	}
	config, err := connector.config()
	if err != nil {
		return nil, err
	}
	capi.ConfigFree(config)
	return connector, nil
}

// config makes the library's options; they are freed by the caller.
func (c *Connector) config() (capi.Config, error) {
	config := capi.ConfigNew()
	for _, option := range c.options {
		status, failure, err := capi.ConfigSet(config, option.name, option.value)
		if err == nil && status < 0 {
			err = take(failure, status)
		}
		if err != nil {
			capi.ConfigFree(config)
			return 0, err
		}
	}
	return config, nil
}

// open gives the database, opened at first use.
func (c *Connector) open() (capi.DB, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return 0, driver.ErrBadConn
	}
	if c.db != 0 {
		return c.db, nil
	}
	config, err := c.config()
	if err != nil {
		return 0, err
	}
	defer capi.ConfigFree(config)
	var db capi.DB
	var status capi.Status
	var failure capi.Err
	if c.image != nil {
		db, status, failure = capi.Deserialize(c.image, config)
	} else if db, status, failure, err = capi.Open(c.path, config); err != nil {
		return 0, err
	}
	if status < 0 {
		return 0, take(failure, status)
	}
	c.db, c.image = db, nil
	return db, nil
}

// Connect opens a connection.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db, err := c.open()
	if err != nil {
		return nil, err
	}
	handle, status, failure := capi.Connect(db)
	if status < 0 {
		return nil, take(failure, status)
	}
	return newConn(c, handle), nil
}

// Cancel asks what the connection of this number runs to stop (57014), as pg_cancel_backend does; false: the database has no
// connection of this number. It needs no connection of the pool. Conn.ID gives a connection's number.
func (c *Connector) Cancel(id uint64) (bool, error) { return c.stop(id, capi.Cancel) }

// Terminate ends the connection of this number, as pg_terminate_backend does: what it runs stops, its transaction is rolled
// back, and database/sql takes it out of the pool; false: the database has no connection of this number. It needs no connection
// of the pool.
func (c *Connector) Terminate(id uint64) (bool, error) { return c.stop(id, capi.Terminate) }

func (c *Connector) stop(id uint64, stop func(capi.DB, uint64) (capi.Status, capi.Err)) (bool, error) {
	c.mutex.Lock()
	db, closed := c.db, c.closed
	c.mutex.Unlock()
	if closed {
		return false, refuse(codeNoConnection, "the database is closed")
	}
	if db == 0 {
		// Nobody has connected yet.
		return false, nil
	}
	status, failure := stop(db, id)
	if status < 0 {
		return false, take(failure, status)
	}
	return status == capi.OK, nil
}

// Driver is the connector's driver.
func (c *Connector) Driver() driver.Driver { return Driver{} }

// Close releases the database; it ends when its last connection is closed. sql.DB.Close calls this.
func (c *Connector) Close() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.closed = true
	if c.db != 0 {
		capi.Close(c.db)
		c.db = 0
	}
	return nil
}
