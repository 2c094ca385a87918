package durable

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

const (
	// patience is how long a file is waited for that another program has open.
	patience = time.Second
	pause    = 20 * time.Millisecond
)

// readFile reads a file. It fails for a moment while the file is being replaced.
func readFile(path string) (data []byte, err error) {
	err = persist(func() error {
		data, err = os.ReadFile(path)
		return err
	})
	return data, err
}

// replace gives a file another name, and takes that name from the file that had it. It fails while a reader has that one
// open.
func replace(from, to string) error {
	return persist(func() error { return os.Rename(from, to) })
}

func persist(do func() error) error {
	for begun := time.Now(); ; time.Sleep(pause) {
		err := do()
		if err == nil || errors.Is(err, fs.ErrNotExist) || time.Since(begun) > patience {
			return err
		}
	}
}

// syncDir does nothing: Windows does not sync directories.
func syncDir(string) error { return nil }
