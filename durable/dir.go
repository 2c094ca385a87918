package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Dir is a [Store] in a directory, for any number of processes of one machine. Each record is a file, NAME.json, that
// cat and jq read, and that only its owner may read. A file is replaced in one step and synced: after a crash it holds
// the record before or the record after. Other files, and files that begin with a dot, are ignored.
//
// The directory must be on a local file system. The locks of NFS and SMB cannot be trusted. On Windows replacing a file
// is tried for a second while a reader has it open, and directories are not synced.
//
// A file may be edited by hand while nothing runs. A run replaces what was edited meanwhile.
//
// A file that cannot be used is left alone: one that is damaged, whose name is not that of its plan, or that a newer
// version of this package has written in another format. [Dir.List] names it and returns the other records.
type Dir struct {
	path   string
	saving chan struct{} // holds one element: whose turn it is in this process

	mu   sync.Mutex
	seen map[string]sight // by file name
}

// sight is a file as it was when its revision was read.
type sight struct {
	modified time.Time
	size     int64
	revision int64
}

const (
	suffix = ".json"
	// The names of other files begin with a dot, which that of a record cannot.
	runLock  = ".run.lock"
	saveLock = ".save.lock"
	tempFile = ".save.tmp"
	// lockPatience is how long a Save waits for that of another process, which takes milliseconds.
	lockPatience = 10 * time.Second
	lockInterval = 2 * time.Millisecond
	// settled is how old a file must be for its time to tell it from the one that replaces it; some file systems count in
	// seconds.
	settled = 3 * time.Second
)

// OpenDir returns the store in a directory. It makes the directory with mode 0700 if it does not exist.
func OpenDir(path string) (*Dir, error) {
	if path == "" {
		return nil, errors.New("durable: open a directory: the path must not be empty")
	}
	path, err := filepath.Abs(path)
	if err == nil {
		err = makeDir(path)
	}
	if err != nil {
		return nil, fmt.Errorf("durable: open a directory: %w", err)
	}
	return &Dir{path: path, saving: make(chan struct{}, 1), seen: make(map[string]sight)}, nil
}

func makeDir(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Load returns a record. The error is [ErrNotFound] when there is none of that name.
func (d *Dir) Load(ctx context.Context, name string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, fmt.Errorf("durable: load %q: %w", name, err)
	}
	if checkName(name) != "" {
		return Record{}, d.notFound(name)
	}
	file, err := d.find(name)
	if err != nil {
		return Record{}, fmt.Errorf("durable: load %q: %w", name, err)
	}
	if file == "" {
		return Record{}, d.notFound(name)
	}
	r, err := d.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, d.notFound(name)
	}
	return r, err
}

// notFound names the directory: another one may have been meant.
func (d *Dir) notFound(name string) error {
	return fmt.Errorf("durable: load %q from %s: %w", name, d.path, ErrNotFound)
}

// find returns the file of a record, also when its name is in another case; empty when there is none.
func (d *Dir) find(name string) (string, error) {
	file := name + suffix
	if _, err := os.Lstat(filepath.Join(d.path, file)); err == nil {
		return file, nil
	}
	files, err := d.files()
	if err != nil {
		return "", err
	}
	for _, other := range files {
		if strings.EqualFold(other, file) {
			return other, nil
		}
	}
	return "", nil
}

// read reads a file. Its error names the file.
func (d *Dir) read(file string) (Record, error) {
	path := filepath.Join(d.path, file)
	data, err := readFile(path)
	if err != nil {
		return Record{}, fmt.Errorf("durable: read a record: %w", err)
	}
	var r Record
	if err := r.UnmarshalJSON(data); err != nil {
		return Record{}, fmt.Errorf("durable: the record in %s cannot be read: %w", path, err)
	}
	if r.Plan.Name+suffix != file && !d.isNamed(r.Plan.Name, file) {
		return Record{}, fmt.Errorf("durable: %s holds the record of %q: its name must be %s", path, r.Plan.Name, r.Plan.Name+suffix)
	}
	return r, nil
}

// isNamed reports whether the file is that of the record, and was only found under a name in another case, as some file
// systems have it.
func (d *Dir) isNamed(name, file string) bool {
	if !strings.EqualFold(name+suffix, file) {
		return false
	}
	files, err := d.files()
	return err == nil && slices.Contains(files, name+suffix) && !slices.Contains(files, file)
}

// Save stores a record, see [Store].
func (d *Dir) Save(ctx context.Context, r Record) (Record, error) {
	if err := r.Validate(); err != nil {
		return r, fmt.Errorf("durable: save a record: %w", err)
	}
	unlock, err := d.lockToSave(ctx)
	if err != nil {
		return r, fmt.Errorf("durable: save %q: %w", r.Plan.Name, err)
	}
	saved, err := d.save(r)
	return saved, errors.Join(err, unlock())
}

func (d *Dir) lockToSave(ctx context.Context) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	select {
	case d.saving <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	lock := flock.New(filepath.Join(d.path, saveLock))
	if _, err := lock.TryLockContext(ctx, lockInterval); err != nil {
		<-d.saving
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("another process holds %s: %w", lock.Path(), err)
		}
		return nil, err
	}
	return func() error {
		err := lock.Unlock()
		<-d.saving
		return err
	}, nil
}

// save does so while nobody else does.
func (d *Dir) save(r Record) (Record, error) {
	file, err := d.find(r.Plan.Name)
	if err != nil {
		return r, fmt.Errorf("durable: save %q: %w", r.Plan.Name, err)
	}
	var stored Record
	if file != "" {
		if stored, err = d.read(file); err != nil {
			return r, err
		}
	}
	if err := checkRevision(r, stored, file != ""); err != nil {
		return r, err
	}
	saved := r
	saved.Revision++
	if err := d.write(saved); err != nil {
		return r, fmt.Errorf("durable: save %q: %w", r.Plan.Name, err)
	}
	return saved, nil
}

// Lock takes the lock of a run. The operating system ends it with the process.
func (d *Dir) Lock(ctx context.Context) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("durable: lock %s: %w", d.path, err)
	}
	lock := flock.New(filepath.Join(d.path, runLock))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("durable: lock %s: %w", d.path, err)
	}
	if !locked {
		return nil, fmt.Errorf("durable: lock %s: %w", d.path, ErrRunning)
	}
	return lock.Unlock, nil
}
