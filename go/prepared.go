package lumos

import (
	"strings"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// statementsMax is how many prepared statements a connection keeps.
const statementsMax = 64

// prepared is a statement in the library with what the driver needs to know of it.
type prepared struct {
	handle     capi.Stmt
	text       string
	kind       int
	paramTypes []uint32
	paramNames []string
	columns    []capi.Column
	names      []string

	// In use, perhaps with an open result: another use prepares one of its own.
	busy bool
	// In the connection's cache; else closed when it is no longer busy.
	cached bool

	newer, older *prepared
}

// prepare asks the library for the statement; nil where the text has none.
func (c *conn) prepare(text string) (*prepared, error) {
	handle, tail, status, failure := capi.Prepare(c.handle, text)
	if status < 0 {
		return nil, c.failed(take(failure, status), status, nil)
	}
	if handle == 0 {
		return nil, nil
	}
	if rest := text[min(tail, len(text)):]; strings.TrimSpace(rest) != "" {
		// Blanks and comments may follow a statement, another statement may not.
		second, _, status, failure := capi.Prepare(c.handle, rest)
		if status < 0 {
			take(failure, status)
		}
		if status < 0 || second != 0 {
			capi.StmtClose(second)
			capi.StmtClose(handle)
			err := refuse(codeSyntaxError, "cannot insert multiple commands into a prepared statement")
			err.Position = tail + 1
			err.Hint = "Exec without arguments runs several statements."
			return nil, err
		}
	}
	p := &prepared{handle: handle, text: text, kind: capi.StmtKind(handle)}
	if count := capi.StmtParamCount(handle); count > 0 {
		p.paramTypes = make([]uint32, count)
		for i := range p.paramTypes {
			p.paramTypes[i] = capi.StmtParamType(handle, i+1)
			if name := capi.StmtParamName(handle, i+1); name != "" {
				if p.paramNames == nil {
					p.paramNames = make([]string, count)
				}
				p.paramNames[i] = name
			}
		}
	}
	if count := capi.StmtColumnCount(handle); count > 0 {
		p.columns = make([]capi.Column, count)
		p.names = make([]string, count)
		for i := range p.columns {
			column, status := capi.StmtColumn(handle, i)
			if status < 0 {
				capi.StmtClose(handle)
				return nil, take(0, status)
			}
			p.columns[i], p.names[i] = column, column.Name
		}
	}
	return p, nil
}

// statements keeps a connection's prepared statements by text, in order of their last use.
type statements struct {
	byText         map[string]*prepared
	newest, oldest *prepared
}

func (s *statements) unlink(p *prepared) {
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		s.newest = p.older
	}
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		s.oldest = p.newer
	}
	p.newer, p.older = nil, nil
}

func (s *statements) link(p *prepared) {
	p.older = s.newest
	if s.newest != nil {
		s.newest.newer = p
	} else {
		s.oldest = p
	}
	s.newest = p
}

// find gives a statement that nobody uses, as the newest.
func (s *statements) find(text string) *prepared {
	p := s.newest
	// The common case: the same text again, often the same string.
	if p == nil || p.text != text {
		p = s.byText[text]
		if p == nil {
			return nil
		}
	}
	if p.busy {
		return nil
	}
	if p != s.newest {
		s.unlink(p)
		s.link(p)
	}
	return p
}

// add keeps a statement and closes the oldest that nobody uses when there are too many.
func (s *statements) add(p *prepared) {
	if s.byText == nil {
		s.byText = make(map[string]*prepared)
	}
	if s.byText[p.text] != nil {
		return
	}
	s.byText[p.text] = p
	p.cached = true
	s.link(p)
	for old := s.oldest; old != nil && len(s.byText) > statementsMax; {
		next := old.newer
		if !old.busy && old != p {
			s.drop(old)
		}
		old = next
	}
}

// drop takes a statement out, and closes it unless it is busy.
func (s *statements) drop(p *prepared) {
	if !p.cached {
		return
	}
	delete(s.byText, p.text)
	s.unlink(p)
	p.cached = false
	if !p.busy {
		capi.StmtClose(p.handle)
	}
}

// acquire gives a statement for one use; release must follow. Nil where the text has none.
func (c *conn) acquire(text string) (*prepared, error) {
	if p := c.statements.find(text); p != nil {
		p.busy = true
		return p, nil
	}
	p, err := c.prepare(text)
	if p == nil || err != nil {
		return nil, err
	}
	p.busy = true
	if !p.stale() {
		c.statements.add(p)
	}
	return p, nil
}

// release ends a use.
func (c *conn) release(p *prepared) {
	p.busy = false
	if p.cached || p.handle == 0 {
		return
	}
	if c.handle != 0 && !p.stale() && c.statements.byText[p.text] == nil {
		c.statements.add(p)
		return
	}
	// One that Close has closed already is a stale handle, which does nothing.
	capi.StmtClose(p.handle)
}

// stale statements are not kept: run again, they mean something else, or nothing.
func (p *prepared) stale() bool { return p.kind == capi.StmtDDL || p.kind == capi.StmtTransaction }

// closeAll closes every statement of the cache.
func (s *statements) closeAll() {
	for p := s.newest; p != nil; p = p.older {
		capi.StmtClose(p.handle)
		p.cached = false
	}
	*s = statements{}
}
