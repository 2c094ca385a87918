package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
)

// Dir is a [Store] in a directory, for any number of processes of one machine. Each record is a file, the name of its plan
// in lower case with ".json", indented, which only its owner may read. A file is replaced in one step and synced: after a
// crash it contains the record before or after the change. It keeps its owner and mode, so root may approve a migration that
// a service of another user runs. Other files, and files whose names start with a dot, are ignored.
//
// The directory must be on a local file system. The locks of NFS and SMB cannot be trusted. On Windows, a file is replaced
// only while no reader has it open, which is tried for a second, and directories are not synced.
//
// After a failed sync, no method returns a record before a sync has succeeded. So nothing is sent that a crash could undo.
//
// A file may be edited by hand while nothing runs. A file that cannot be used is left alone: a damaged one, one with the
// name of another record, or one that a newer version of this package has written in another format. [Dir.List] names it in
// its error and returns the other records.
type Dir struct {
	path            string
	try             func(operation string, do func() error) error // performs each file operation; tests replace it
	locking         chan struct{}                                 // contains a value while a goroutine wants or has the lock
	changes, synced atomic.Int64                                  // how often names were changed, and how many changes were synced
	mu              sync.Mutex
	seen            map[string]sight // by file name
}

// OpenDir returns the store in a directory. If the directory does not exist, OpenDir creates it with mode 0700.
func OpenDir(path string) (*Dir, error) { return openDir(path, (*Dir).make) }

// OpenExistingDir is [OpenDir] for a directory that exists. If it does not, the error is [fs.ErrNotExist]: a command that
// shows records should not create a store where the path is wrong.
func OpenExistingDir(path string) (*Dir, error) {
	return openDir(path, func(*Dir, string) error { return nil })
}

func openDir(path string, prepare func(d *Dir, path string) error) (*Dir, error) {
	d := unopened(path)
	if err := d.open(prepare); err != nil {
		return nil, fmt.Errorf("durable: open a directory: %w", err)
	}
	return d, nil
}

func unopened(path string) *Dir {
	return &Dir{
		path:    path,
		try:     func(_ string, do func() error) error { return do() },
		locking: make(chan struct{}, 1),
		seen:    make(map[string]sight),
	}
}

func (d *Dir) open(prepare func(d *Dir, path string) error) (err error) {
	if d.path == "" {
		return errors.New("the path must not be empty")
	}
	if d.path, err = filepath.Abs(d.path); err != nil {
		return err
	}
	if err := prepare(d, d.path); err != nil {
		return err
	}
	info, err := os.Stat(d.path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: d.path, Err: syscall.ENOTDIR}
	}
	return err
}

// make creates a directory and those above it, and syncs each new name.
func (d *Dir) make(path string) error {
	err := os.Mkdir(path, 0o700)
	above := filepath.Dir(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.make(above); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o700)
	}
	if err == nil {
		return d.syncDir(above)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Load returns a record. The error is [ErrNotFound] when there is none of that name.
func (d *Dir) Load(ctx context.Context, name string) (Record, error) {
	r, err := d.load(ctx, name)
	if err != nil {
		return Record{}, fmt.Errorf("durable: load %q from %s: %w", name, d.path, err)
	}
	return r, nil
}

func (d *Dir) load(ctx context.Context, name string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	if checkName(name) != "" {
		return Record{}, ErrNotFound
	}
	r, exists, err := d.read(fileName(name))
	if err == nil && !exists {
		err = ErrNotFound
	}
	if err != nil {
		return Record{}, err
	}
	return r, d.settle()
}

// Save stores a record, see [Store].
func (d *Dir) Save(ctx context.Context, r Record) (Record, error) {
	saved, err := d.save(ctx, r)
	if err != nil {
		return r, fmt.Errorf("durable: save %q in %s: %w", r.Plan.Name, d.path, err)
	}
	return saved, nil
}

func (d *Dir) save(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return r, err
	}
	if err := r.Validate(); err != nil {
		return r, err
	}
	err := d.alone(ctx, func() error {
		file := fileName(r.Plan.Name)
		stored, exists, err := d.read(file)
		if err != nil {
			return err
		}
		if err := checkRevision(r, stored, exists); err != nil {
			return err
		}
		if r.Revision, err = d.next(r.Revision); err != nil {
			return err
		}
		text, err := indented(r)
		if err != nil {
			return err
		}
		return d.replace(file, text)
	})
	if err != nil {
		return r, err
	}
	return r, d.settle()
}

// Delete deletes a record, see [Store].
func (d *Dir) Delete(ctx context.Context, name string, revision int64) error {
	if err := d.delete(ctx, name, revision); err != nil {
		return fmt.Errorf("durable: delete %q from %s: %w", name, d.path, err)
	}
	return nil
}

func (d *Dir) delete(ctx context.Context, name string, revision int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if checkName(name) != "" {
		return ErrNotFound
	}
	err := d.alone(ctx, func() error {
		file := fileName(name)
		stored, exists, err := d.read(file)
		if err != nil {
			return err
		}
		if err := checkDelete(revision, stored, exists); err != nil {
			return err
		}
		if err := d.keepHighest(revision); err != nil {
			return err
		}
		defer d.changes.Add(1)
		return d.do("remove", func() error { return os.Remove(filepath.Join(d.path, file)) })
	})
	if err != nil {
		return err
	}
	return d.settle()
}
