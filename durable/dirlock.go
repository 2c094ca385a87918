package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

const (
	// saveLock excludes the other processes while names in the directory change.
	saveLock     = ".lock"
	saveInterval = 2 * time.Millisecond
	// watchInterval is how often a lock file is checked.
	watchInterval = time.Second
)

// turn is a mutex for which a goroutine waits no longer than its context.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// alone calls a function while no other goroutine or process changes names in the directory. What takes long, such as a sync,
// is done outside.
func (d *Dir) alone(ctx context.Context, do func() error) error {
	if err := d.locking.take(ctx); err != nil {
		return err
	}
	defer d.locking.give()
	for {
		lock, err := d.lock(saveLock)
		if err != nil {
			return err
		}
		if lock != nil {
			return errors.Join(do(), lock.Unlock())
		}
		select {
		case <-time.After(saveInterval):
		case <-ctx.Done():
			return fmt.Errorf("another process has locked %s: %w", filepath.Join(d.path, saveLock), ctx.Err())
		}
	}
}

// lock locks a file, and makes it where there is none. It returns nil when another one has locked it.
func (d *Dir) lock(file string) (*flock.Flock, error) {
	path := filepath.Join(d.path, file)
	if err := d.do("create lock", func() error { return d.makeLock(path) }); err != nil {
		return nil, err
	}
	for {
		lock, locked := flock.New(path), false
		err := d.do("lock", func() (err error) {
			locked, err = lock.TryLock()
			return err
		})
		if err != nil || !locked {
			return nil, err
		}
		if !replaced(lock) {
			return lock, nil
		}
		if err := lock.Unlock(); err != nil { // the file was removed after it was opened
			return nil, err
		}
	}
}

// makeLock makes a lock file that the owner of the directory can open.
func (d *Dir) makeLock(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.ownAsDir(f), f.Close())
}

// replaced reports whether a locked file no longer has its name: another process can lock the one that has it now.
func replaced(lock *flock.Flock) bool {
	locked, err := lock.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(lock.Path())
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return !os.SameFile(locked, named)
}

// Lock takes a lock, see [Store]. It ends with the process, and is lost when its file is removed or replaced, which is
// noticed within two seconds. The file names the process.
func (d *Dir) Lock(ctx context.Context, what string) (lost <-chan struct{}, unlock func() error, err error) {
	lock, err := d.lockFor(ctx, what)
	if err != nil {
		return nil, nil, fmt.Errorf("durable: lock %s: %w", d.path, err)
	}
	ended, stop, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		watch(lock, ended, stop)
	}()
	return ended, sync.OnceValue(func() error {
		close(stop)
		<-stopped
		return lock.Unlock()
	}), nil
}

func (d *Dir) lockFor(ctx context.Context, what string) (*flock.Flock, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if checkName(what) != "" {
		return nil, fmt.Errorf("the name %q of the lock must consist of letters", what)
	}
	file := "." + strings.ToLower(what) + saveLock
	lock, err := d.lock(file)
	if err != nil {
		return nil, err
	}
	if lock == nil {
		return nil, fmt.Errorf("%s is locked by %s: %w", filepath.Join(d.path, file), d.owner(file), ErrRunning)
	}
	describe(lock.Path())
	return lock, nil
}

// describe says in a lock file whose it is. That is for people: without it, the lock excludes others all the same.
func describe(path string) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	const text = "process %d on host %s\nDo not delete this file, also when nothing runs: a run whose lock file is deleted ends.\n"
	_ = os.WriteFile(path, fmt.Appendf(nil, text, os.Getpid(), host), 0o600)
}

// owner returns whose a lock file is.
func (d *Dir) owner(file string) string {
	text, err := os.ReadFile(filepath.Join(d.path, file))
	line, _, found := strings.Cut(string(text), "\n")
	if err != nil || !found {
		return "another process"
	}
	return line
}

// watch closes lost when the lock is lost.
func watch(lock *flock.Flock, lost chan<- struct{}, stop <-chan struct{}) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			if replaced(lock) {
				close(lost)
				return
			}
		}
	}
}
