//go:build !unix

package durable

import (
	"errors"
	"io/fs"
	"time"
)

// passes reports whether a file operation that failed should be repeated, and waits before that. Windows refuses to read a
// file that is being replaced, and to replace a file that another program has open.
func passes(err error, start time.Time) bool {
	if errors.Is(err, fs.ErrNotExist) || time.Since(start) > time.Second {
		return false
	}
	time.Sleep(20 * time.Millisecond)
	return true
}

// syncDir does nothing: Windows does not sync directories.
func syncDir(string) error { return nil }

// giveOwner does nothing: on Windows a new file gets its permissions from the directory.
func giveOwner(string, fs.FileInfo) error { return nil }
