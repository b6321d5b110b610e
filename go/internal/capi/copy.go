package capi

import (
	"context"
	"io"
)

// copier is the Go end of a COPY: what the library reads from or writes to.
type copier struct {
	ctx      context.Context
	reader   io.Reader
	writer   io.Writer
	err      error
	panicked any
}

// read fills a part of buffer; 0 at the end, -1 when the statement must end.
func (c *copier) read(buffer []byte) (count int64) {
	// A panic must not pass through the library: it goes on when the call has ended.
	defer func() {
		if c.panicked = recover(); c.panicked != nil {
			count = -1
		}
	}()
	for {
		if c.err = c.ctx.Err(); c.err != nil {
			return -1
		}
		n, err := c.reader.Read(buffer)
		switch {
		case n > 0:
			return int64(n)
		case err == io.EOF:
			return 0
		case err != nil:
			c.err = err
			return -1
		}
	}
}

// write takes bytes; other than 0 when the statement must end.
func (c *copier) write(data []byte) (stop int32) {
	defer func() {
		if c.panicked = recover(); c.panicked != nil {
			stop = 1
		}
	}()
	if c.err = c.ctx.Err(); c.err != nil {
		return 1
	}
	if _, c.err = c.writer.Write(data); c.err != nil {
		return 1
	}
	return 0
}

// end gives the error of the reader or writer, which is the reason for the library's; a panic goes on, and then
// nobody is left to free the library's error.
func (c *copier) end(failure Err) error {
	if c.panicked != nil {
		if failure != 0 {
			errorFree(failure)
		}
		panic(c.panicked)
	}
	return c.err
}

// CopyIn runs COPY ... FROM STDIN with the bytes of reader. An error of the reader is given beside the library's.
func CopyIn(ctx context.Context, conn Conn, sql string, reader io.Reader) (rows uint64, status Status, failure Err, err error) {
	c := &copier{ctx: ctx, reader: reader}
	rows, status, failure = copyIn(conn, sql, c)
	return rows, status, failure, c.end(failure)
}

// CopyOut runs COPY ... TO STDOUT into writer.
func CopyOut(ctx context.Context, conn Conn, sql string, writer io.Writer) (rows uint64, status Status, failure Err, err error) {
	c := &copier{ctx: ctx, writer: writer}
	rows, status, failure = copyOut(conn, sql, c)
	return rows, status, failure, c.end(failure)
}
