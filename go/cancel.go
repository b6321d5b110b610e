package lumos

import (
	"context"
	"time"

	"github.com/lumos-db/lumos/go/internal/capi"
)

// watch carries a context's end over to the call that runs on a connection. A connection has one; it costs
// nothing while contexts cannot end.
//
// The library numbers a connection's statements, and an interrupt names the number it means. One call may use
// more than one number (a script, or a plan that is first tried on the short path), and its first number comes
// into being during the call. So the function that runs at the context's end looks which number runs, names
// that one, and looks again until the call says that it is over. It never names a number that is yet to come,
// and the call waits for it, so a late end cannot hit the next statement.
type watch struct {
	conn     capi.Conn
	before   uint64
	finished chan struct{}
	idle     chan struct{}
	fired    func()
}

func newWatch(conn capi.Conn) *watch {
	w := &watch{conn: conn, finished: make(chan struct{}, 1), idle: make(chan struct{}, 1)}
	w.fired = w.interrupt
	return w
}

const (
	interruptAgainAfterMin = 100 * time.Microsecond
	interruptAgainAfterMax = 5 * time.Millisecond
)

// interrupt stops the call's statements, one after the other, until the call ends.
func (w *watch) interrupt() {
	pause := interruptAgainAfterMin
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		if running := capi.Sequence(w.conn); running != w.before {
			capi.Interrupt(w.conn, running)
		}
		select {
		case <-w.finished:
			w.idle <- struct{}{}
			return
		case <-timer.C:
			pause = min(2*pause, interruptAgainAfterMax)
			timer.Reset(pause)
		}
	}
}

// start watches over a call that starts statements; the result belongs to end.
func (w *watch) start(ctx context.Context) func() bool {
	if ctx == nil || ctx.Done() == nil {
		return nil
	}
	w.before = capi.Sequence(w.conn)
	return context.AfterFunc(ctx, w.fired)
}

// resume watches over a call that goes on with the last statement.
func (w *watch) resume(ctx context.Context) func() bool {
	if ctx == nil || ctx.Done() == nil {
		return nil
	}
	w.before = 0
	return context.AfterFunc(ctx, w.fired)
}

// end must follow each start and resume when the call is over.
func (w *watch) end(stop func() bool) {
	if stop == nil || stop() {
		return
	}
	w.finished <- struct{}{}
	<-w.idle
}
