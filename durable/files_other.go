//go:build !unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

const (
	// patience is how long to wait for a file that another program has open.
	patience = time.Second
	pause    = 20 * time.Millisecond
)

// readFile reads a file. Windows refuses that for a moment while the file is being replaced.
func readFile(path string) (data []byte, err error) {
	err = persist(func() error {
		data, err = os.ReadFile(path)
		return err
	})
	return data, err
}

// replace gives a file the name of another one, which it replaces. Windows refuses that while a reader has it open.
func replace(from, to string) error {
	return persist(func() error { return os.Rename(from, to) })
}

func persist(do func() error) error {
	for start := time.Now(); ; time.Sleep(pause) {
		err := do()
		if err == nil || errors.Is(err, fs.ErrNotExist) || time.Since(start) > patience {
			return err
		}
	}
}

// syncDir does nothing: Windows does not sync directories.
func syncDir(string) error { return nil }

// giveOwner does nothing: on Windows a new file gets its permissions from the directory.
func giveOwner(*os.File, fs.FileInfo) error { return nil }
