//go:build !windows

package durable

import (
	"errors"
	"os"
)

// readFile reads a file.
func readFile(path string) ([]byte, error) { return os.ReadFile(path) }

// replace gives a file another name, and takes that name from the file that had it.
func replace(from, to string) error { return os.Rename(from, to) }

// syncDir makes the names in a directory survive.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
