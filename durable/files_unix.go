//go:build unix

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// readFile reads a file.
func readFile(path string) ([]byte, error) { return os.ReadFile(path) }

// replace gives a file the name of another one, which it replaces.
func replace(from, to string) error { return os.Rename(from, to) }

// syncDir makes the names in a directory survive a crash.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// giveOwner gives a new file the owner of another one. A group that this user cannot give is no error, because the owner
// can read the file without it.
func giveOwner(file *os.File, other fs.FileInfo) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	has, ok := info.Sys().(*syscall.Stat_t)
	wants, alike := other.Sys().(*syscall.Stat_t)
	if !ok || !alike || has.Uid == wants.Uid && has.Gid == wants.Gid {
		return nil
	}
	err = file.Chown(int(wants.Uid), int(wants.Gid))
	if err != nil && has.Uid != wants.Uid {
		return fmt.Errorf("%s belongs to user %d, and only that user and root can replace it: %w", other.Name(), wants.Uid, err)
	}
	return nil
}
