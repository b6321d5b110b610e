//go:build !(cgo && rust)

package lumos_test

import (
	"os"
	osexec "os/exec"
	"strings"
	"testing"
)

// The library is looked for at run time here; with cgo it is linked in and cannot be missing.
func TestAMissingLibraryIsAClearError(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := osexec.Command(self, "-test.run=^$")
	command.Env = append(os.Environ(), "LUMOS_LIBRARY=/nowhere/liblumos_core.so")
	output, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "/nowhere/liblumos_core.so") || !strings.Contains(string(output), "LUMOS_LIBRARY") {
		t.Fatalf("%v: %s", err, output)
	}
}
