//go:build unix

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// passes reports whether a file operation that failed should be repeated at once: a signal interrupted it.
func passes(err error, _ time.Time) bool { return errors.Is(err, syscall.EINTR) }

// syncDir syncs the names in a directory.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// giveOwner gives a new file the owner of another one. A group that this user cannot give is no error, because the owner
// can read the file without it.
func giveOwner(path string, other fs.FileInfo) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	has, ok := info.Sys().(*syscall.Stat_t)
	wants, alike := other.Sys().(*syscall.Stat_t)
	if !ok || !alike || has.Uid == wants.Uid && has.Gid == wants.Gid {
		return nil
	}
	err = os.Chown(path, int(wants.Uid), int(wants.Gid))
	if err != nil && has.Uid != wants.Uid {
		return fmt.Errorf("%s belongs to user %d, and only that user and root can replace it: %w", other.Name(), wants.Uid, err)
	}
	return nil
}
