package main

import (
	"bytes"
	"context"
	"testing"
)

func TestTheListenerIsToldOfWhatWasCommitted(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	const expected = "told of job 1\ntold of job 2\ntold of job 3\nthe listener was stopped\n"
	if got := out.String(); got != expected {
		t.Errorf("it says\n%s", got)
	}
}
