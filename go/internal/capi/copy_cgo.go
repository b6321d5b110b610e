//go:build cgo && rust

package capi

/*
#include <stddef.h>
#include <stdint.h>
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// What the library calls back. The functions that hand these on are in capi_cgo.go.

//export lgoCopyRead
func lgoCopyRead(user C.uintptr_t, buffer unsafe.Pointer, capacity C.size_t) C.int64_t {
	return C.int64_t(cgo.Handle(user).Value().(*copier).read(unsafe.Slice((*byte)(buffer), int(capacity))))
}

//export lgoCopyWrite
func lgoCopyWrite(user C.uintptr_t, data unsafe.Pointer, length C.size_t) C.int32_t {
	return C.int32_t(cgo.Handle(user).Value().(*copier).write(unsafe.Slice((*byte)(data), int(length))))
}
