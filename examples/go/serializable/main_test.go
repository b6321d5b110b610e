package main

import (
	"bytes"
	"context"
	"testing"
)

func TestSomebodyStaysOnCall(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "3 attempts, 1 stayed, 1 on call\n" {
		t.Errorf("it says %q", got)
	}
}
