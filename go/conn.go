package lumos

import (
	"context"
	"database/sql/driver"
	"strings"
	"sync"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// conn is a connection. database/sql lets one goroutine in at a time.
type conn struct {
	connector  *Connector
	handle     capi.Conn
	watch      *watch
	statements statements
	// The packed parameters of one statement, kept between statements.
	params []byte
	call   capi.Call
	// Settings or a transaction may have been left behind: ResetSession has something to do.
	dirty bool
	// An error said that something is badly wrong: the library is asked whether the connection still works.
	suspect bool
	// An error said that the connection or its transaction was ended by others: it leaves the pool.
	ended bool
}

var (
	_ driver.Conn               = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
)

func newConn(connector *Connector, handle capi.Conn) *conn {
	return &conn{connector: connector, handle: handle, watch: newWatch(handle)}
}

// failed looks at an error before it is given out.
func (c *conn) failed(err *Error, status capi.Status, ctx context.Context) error {
	switch status {
	case capi.Panic, capi.IOErr, capi.Corrupt, capi.NoMem:
		c.suspect = true
	case capi.Misuse:
		c.suspect = true
		// The library does not know the handle (any more): it did nothing.
		if !capi.ConnIsUsable(c.handle) {
			err.unstarted = true
		}
	}
	switch {
	case err.unstarted:
		c.ended = true
	case err.Code == codeAdminShutdown, strings.HasPrefix(err.Code, "08"):
		c.suspect = true
	}
	return err.because(ctx)
}

// ready refuses work on a closed connection and for a context that has ended.
func (c *conn) ready(ctx context.Context) error {
	if c.handle == 0 {
		return driver.ErrBadConn
	}
	return ctx.Err()
}

// Close closes the connection; an open transaction is rolled back.
func (c *conn) Close() error {
	if c.handle == 0 {
		return nil
	}
	c.statements.closeAll()
	capi.ConnClose(c.handle)
	c.handle = 0
	return nil
}

// Ping tells whether the connection works.
func (c *conn) Ping(ctx context.Context) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	if !capi.ConnIsUsable(c.handle) {
		return driver.ErrBadConn
	}
	return nil
}

// ResetSession makes the connection as good as new before its next use from the pool. One that was terminated meanwhile leaves
// the pool here.
func (c *conn) ResetSession(context.Context) error {
	if c.handle == 0 || !capi.ConnIsUsable(c.handle) {
		return driver.ErrBadConn
	}
	if !c.dirty {
		return nil
	}
	status, failure := capi.ConnReset(c.handle)
	if status < 0 {
		take(failure, status)
		return driver.ErrBadConn
	}
	c.dirty = false
	return nil
}

// IsValid tells the pool whether to keep the connection.
func (c *conn) IsValid() bool {
	if c.handle == 0 || c.ended {
		return false
	}
	if c.suspect {
		if !capi.ConnIsUsable(c.handle) {
			return false
		}
		c.suspect = false
	}
	return true
}

// Prepare prepares a statement.
func (c *conn) Prepare(text string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), text)
}

// PrepareContext prepares a statement.
func (c *conn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	p, err := c.acquire(text)
	if err != nil {
		return nil, err
	}
	s := &stmt{conn: c, text: text}
	if p != nil {
		s.params = len(p.paramTypes)
		c.release(p)
	}
	return s, nil
}

// ExecContext runs a statement, or several when there are no arguments. Several are one transaction unless
// they say otherwise.
func (c *conn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	if len(args) > 0 {
		return c.execPrepared(ctx, text, args)
	}
	if !leavesNothing(text) {
		c.dirty = true
	}
	stop := c.watch.start(ctx)
	affected, status, failure := capi.Exec(c.handle, text)
	c.watch.end(stop)
	if status < 0 {
		return nil, c.failed(take(failure, status), status, ctx)
	}
	return c.resultOf(isInsert(text), affected), nil
}

// execPrepared runs one statement to its end.
func (c *conn) execPrepared(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	for again := false; ; again = true {
		p, err := c.acquire(text)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return result{}, nil
		}
		affected, err := c.exec(ctx, p, args)
		if err != nil && c.planWentStale(p, err) && !again {
			continue
		}
		c.release(p)
		if err != nil {
			return nil, err
		}
		return c.resultOf(p.kind == capi.StmtInsert, affected), nil
	}
}

// planWentStale: a definition changed the statement's columns since it was cached. The cached statement is
// given up; outside a transaction it can be prepared and run anew.
func (c *conn) planWentStale(p *prepared, err error) bool {
	failure, ok := err.(*Error)
	if !ok || failure.Code != codeFeatureNotSupported || !strings.HasPrefix(failure.Message, "cached plan") {
		return false
	}
	c.statements.drop(p)
	p.busy = false
	capi.StmtClose(p.handle)
	p.handle = 0
	return capi.ConnTxnStatus(c.handle) == 'I'
}

func (c *conn) exec(ctx context.Context, p *prepared, args []driver.NamedValue) (int64, error) {
	params, err := c.pack(p, args)
	if err != nil {
		return 0, err
	}
	c.note(p)
	var rows []byte
	if len(p.columns) > 0 {
		buffer := buffers.Get().(*buffer)
		defer buffers.Put(buffer)
		rows = buffer[:]
	}
	stop := c.watch.start(ctx)
	defer func() { c.watch.end(stop) }()
	status := capi.Run(p.handle, params, rows, &c.call)
	if status < 0 {
		return 0, c.failed(take(c.call.Err, status), status, ctx)
	}
	affected := c.call.Info.Affected
	if status == capi.Row || status == capi.More {
		rest := capi.StmtResult(p.handle)
		defer capi.ResultClose(rest)
		// A data change is complete already; a query is computed to its end, for its errors.
		for p.kind == capi.StmtSelect && status != capi.Done {
			if status == capi.More {
				rows = make([]byte, c.call.Info.Needed)
			}
			if status = capi.FetchPacked(rest, rows, &c.call); status < 0 {
				return 0, c.failed(take(c.call.Err, status), status, ctx)
			}
		}
	}
	return max(affected, 0), nil
}

// note remembers what a statement leaves behind.
func (c *conn) note(p *prepared) {
	if p.kind == capi.StmtSetting || p.kind == capi.StmtTransaction {
		c.dirty = true
	}
}

// QueryContext runs one statement and gives its rows.
func (c *conn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	return c.queryPrepared(ctx, text, args)
}

func (c *conn) queryPrepared(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	for again := false; ; again = true {
		p, err := c.acquire(text)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return &rows{done: true}, nil
		}
		rows, err := c.query(ctx, p, args)
		if err != nil && c.planWentStale(p, err) && !again {
			continue
		}
		if err != nil {
			c.release(p)
			return nil, err
		}
		return rows, nil
	}
}

func (c *conn) query(ctx context.Context, p *prepared, args []driver.NamedValue) (driver.Rows, error) {
	params, err := c.pack(p, args)
	if err != nil {
		return nil, err
	}
	c.note(p)
	pooled := buffers.Get().(*buffer)
	stop := c.watch.start(ctx)
	status := capi.Run(p.handle, params, pooled[:], &c.call)
	c.watch.end(stop)
	if status < 0 {
		buffers.Put(pooled)
		return nil, c.failed(take(c.call.Err, status), status, ctx)
	}
	r := &rows{conn: c, ctx: ctx, prepared: p, pooled: pooled}
	if status != capi.Done {
		r.result = capi.StmtResult(p.handle)
	}
	r.take(status, pooled[:])
	return r, nil
}

// firstWords begin statements that leave neither settings nor a transaction behind.
var firstWords = []string{"INSERT", "UPDATE", "DELETE", "SELECT", "CREATE", "DROP", "ALTER", "CHECKPOINT",
	"COPY", "ANALYZE"}

// leavesNothing tells of most single statements that the session is after them what it was before.
func leavesNothing(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	if strings.Contains(strings.TrimRight(text, "; \t\r\n"), ";") {
		return false
	}
	for _, word := range firstWords {
		if len(text) > len(word) && strings.EqualFold(text[:len(word)], word) {
			return true
		}
	}
	return false
}

// isInsert tells of a text that it is a single INSERT; of some it does not know.
func isInsert(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return len(text) > 6 && strings.EqualFold(text[:6], "INSERT") && leavesNothing(text)
}

// bufferSize is what a crossing brings rows into.
const bufferSize = 64 << 10

type buffer [bufferSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// result is what a statement without rows has to say.
type result struct {
	affected int64
	// The value that a single-row INSERT drew for its serial or identity column.
	identity    int64
	hasIdentity bool
}

// resultOf asks for the identity of an INSERT of one row.
func (c *conn) resultOf(isInsert bool, affected int64) result {
	r := result{affected: affected}
	if isInsert && affected == 1 {
		r.identity, r.hasIdentity = capi.LastIdentity(c.handle)
	}
	return r
}

// LastInsertId is the value that an INSERT of one row drew for its serial or identity column.
func (r result) LastInsertId() (int64, error) {
	if !r.hasIdentity {
		return 0, refuse(codeFeatureNotSupported, "LastInsertId is available after an INSERT of one row that draws one "+
			"serial or identity value: use INSERT ... RETURNING with QueryRow")
	}
	return r.identity, nil
}

// RowsAffected is the number of changed rows.
func (r result) RowsAffected() (int64, error) { return r.affected, nil }

// stmt is a prepared statement: its text, known to be good. The connection's cache holds what the library
// made of it, so that several results of one statement may be open.
type stmt struct {
	conn   *conn
	text   string
	params int
	closed bool
}

var (
	_ driver.StmtExecContext  = (*stmt)(nil)
	_ driver.StmtQueryContext = (*stmt)(nil)
)

// Close does nothing: the connection's cache closes what is no longer used.
func (s *stmt) Close() error {
	s.closed = true
	return nil
}

// NumInput is the number of parameters.
func (s *stmt) NumInput() int { return s.params }

func (s *stmt) ready(ctx context.Context) error {
	if s.closed {
		return refuse("26000", "the prepared statement is closed")
	}
	return s.conn.ready(ctx)
}

// Exec is ExecContext without a context.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

// Query is QueryContext without a context.
func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

// ExecContext runs the statement to its end.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.conn.execPrepared(ctx, s.text, args)
}

// QueryContext runs the statement and gives its rows.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.conn.queryPrepared(ctx, s.text, args)
}

func named(values []driver.Value) []driver.NamedValue {
	args := make([]driver.NamedValue, len(values))
	for i, value := range values {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	return args
}
