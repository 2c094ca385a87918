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
	"time"
)

// Dir is a [Store] in a directory, for any number of processes of one machine. Each record is a file, the name of its plan
// in lower case with ".json", indented, which only its owner may read. A file is replaced in one step and synced: after a
// crash it contains the record before or the record after. It keeps its owner and mode, so root may approve what a service
// of another user goes on with. Other files, and files whose names start with a dot, are ignored.
//
// The directory must be on a local file system. The locks of NFS and SMB cannot be trusted. On Windows, a file is replaced
// only when no reader has it open, which is tried for a second, and directories are not synced.
//
// After a failed sync, no method returns a record before a sync has succeeded. So nothing is sent that a crash could undo.
//
// A file may be edited by hand while nothing runs. A file that cannot be used is left alone: a damaged one, one with the
// name of another record, or one that a newer version of this package has written in another format. [Dir.List] names it in
// its error and returns the other records.
type Dir struct {
	path             string
	try              func(operation string, do func() error) error // performs each file operation; tests replace it
	locking, syncing turn
	changes, synced  atomic.Int64 // how often names were changed, and how many of these changes have survived
	mu               sync.Mutex
	seen             map[string]sight // by file name
}

// OpenDir returns the store in a directory. If the directory does not exist, OpenDir makes it with mode 0700.
func OpenDir(path string) (*Dir, error) { return openDir(path, (*Dir).make) }

// OpenExistingDir is [OpenDir] for a directory that exists. If it does not, the error is [fs.ErrNotExist]: a command that
// shows records should not make a store where the path is wrong.
func OpenExistingDir(path string) (*Dir, error) {
	return openDir(path, func(_ *Dir, path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return isDir(path, info)
	})
}

func openDir(path string, prepare func(d *Dir, path string) error) (*Dir, error) {
	if path == "" {
		return nil, errors.New("durable: open a directory: the path must not be empty")
	}
	path, err := filepath.Abs(path)
	d := unopened(path)
	if err == nil {
		err = prepare(d, path)
	}
	if err != nil {
		return nil, fmt.Errorf("durable: open a directory: %w", err)
	}
	d.clean()
	return d, nil
}

func unopened(path string) *Dir {
	return &Dir{
		path:    path,
		try:     func(_ string, do func() error) error { return do() },
		locking: make(turn, 1),
		syncing: make(turn, 1),
		seen:    make(map[string]sight),
	}
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
	return r, d.settle(ctx)
}

// read reads a file. Its error names the file.
func (d *Dir) read(file string) (r Record, exists bool, err error) {
	path := filepath.Join(d.path, file)
	var text []byte
	err = d.do("read", func() error {
		text, err = readFile(path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, true, err
	}
	if err := r.UnmarshalJSON(text); err != nil {
		return Record{}, true, fmt.Errorf("the record in %s cannot be read: %w", path, err)
	}
	if wanted := fileName(r.Plan.Name); file != wanted {
		return Record{}, true, fmt.Errorf("%s contains the record of %q: its name must be %s", path, r.Plan.Name, wanted)
	}
	if r.Revision < 1 {
		return Record{}, true, fmt.Errorf("the record in %s has no revision: it must be 1 or more", path)
	}
	return r, true, nil
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
	saved, err := d.next(r)
	if err != nil {
		return r, err
	}
	text, err := indented(saved)
	if err != nil {
		return r, err
	}
	file := fileName(r.Plan.Name)
	temp, err := d.write(file, text)
	if err != nil {
		return r, err
	}
	err = d.alone(ctx, func() error {
		if err := d.compare(r, saved); err != nil {
			return err
		}
		return d.rename(temp, file)
	})
	if err != nil {
		_ = os.Remove(temp)
		return r, err
	}
	return saved, d.settle(ctx)
}

// next returns a record with its next revision. A new record starts with the time in microseconds, because no record of
// its name that was removed by hand has got there.
func (d *Dir) next(r Record) (Record, error) {
	if r.Revision > 0 {
		r.Revision++
		return r, nil
	}
	highest, err := d.highest()
	r.Revision = max(highest+1, time.Now().UnixMicro())
	return r, err
}

// compare reports whether a record may be replaced. It runs alone.
func (d *Dir) compare(r, saved Record) error {
	stored, exists, err := d.read(fileName(r.Plan.Name))
	if err != nil {
		return err
	}
	if err := checkRevision(r, stored, exists); err != nil || exists {
		return err
	}
	highest, err := d.highest()
	if err == nil && saved.Revision <= highest {
		return fmt.Errorf("a record was deleted meanwhile: %w", ErrStale)
	}
	return err
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
		if err := d.keepHighest(ctx, stored.Revision); err != nil {
			return err
		}
		defer d.changes.Add(1)
		return d.do("remove", func() error { return os.Remove(filepath.Join(d.path, file)) })
	})
	if err != nil {
		return err
	}
	return d.settle(ctx)
}
