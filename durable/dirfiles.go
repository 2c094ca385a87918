package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	suffix = ".json"
	// The names of all other files start with a dot. The name of a record cannot.
	temporary     = ".tmp"
	revisionsFile = ".revisions"
)

// fileName is the file of a record. It is in lower case, because the case of names does not matter.
func fileName(name string) string { return strings.ToLower(name) + suffix }

// indented returns a record as it is in its file.
func indented(r Record) ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// do performs a file operation, and repeats it while the failure is one that passes.
func (d *Dir) do(operation string, f func() error) error {
	for start := time.Now(); ; {
		if err := d.try(operation, f); err == nil || !passes(err, start) {
			return err
		}
	}
}

// readFile returns nil if there is no such file.
func (d *Dir) readFile(path string) (text []byte, err error) {
	err = d.do("read", func() error {
		text, err = os.ReadFile(path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// read reads a record. Its error names the file.
func (d *Dir) read(file string) (r Record, exists bool, err error) {
	path := filepath.Join(d.path, file)
	text, err := d.readFile(path)
	if err != nil || text == nil {
		return Record{}, false, err
	}
	if err := r.UnmarshalJSON(text); err != nil {
		return Record{}, false, fmt.Errorf("the record in %s cannot be read: %w", path, err)
	}
	if wanted := fileName(r.Plan.Name); file != wanted {
		return Record{}, false, fmt.Errorf("%s contains the record of %q: its name must be %s", path, r.Plan.Name, wanted)
	}
	if r.Revision < 1 {
		return Record{}, false, fmt.Errorf("the record in %s has no revision: it must be 1 or more", path)
	}
	return r, true, nil
}

// replace replaces a file, or creates it, in one step. It runs alone. The change can be lost in a crash until settle.
func (d *Dir) replace(file string, content []byte) error {
	path := filepath.Join(d.path, file)
	temp := filepath.Join(d.path, "."+file+temporary)
	_ = os.Remove(temp) // left by a process that was killed
	err := d.do("write", func() error { return d.write(temp, path, content) })
	if err == nil {
		defer d.changes.Add(1) // after it, because a sync before it does not count
		err = d.do("rename", func() error { return os.Rename(temp, path) })
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// write writes and syncs a new file that is to replace the file at path, with the same owner and mode.
func (d *Dir) write(temp, path string, content []byte) error {
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case err == nil:
		err = errors.Join(giveOwner(temp, info), f.Chmod(info.Mode().Perm()))
	case errors.Is(err, fs.ErrNotExist):
		err = d.ownAsDir(temp)
	}
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = d.do("sync", f.Sync)
	}
	return errors.Join(err, f.Close())
}

// ownAsDir gives a new file the owner of the directory, if this user may: root adds the records of a service.
func (d *Dir) ownAsDir(path string) error {
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	if err := giveOwner(path, info); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// settle syncs what was changed in the directory. If that fails, the next settle tries again, so no record is returned that a
// crash could undo.
func (d *Dir) settle() error {
	changes := d.changes.Load()
	if d.synced.Load() >= changes {
		return nil
	}
	err := d.syncDir(d.path)
	if err == nil {
		d.synced.Store(changes) // a slower settle may lower it, which costs one more sync
	}
	return err
}

func (d *Dir) syncDir(path string) error {
	return d.do("sync directory", func() error { return syncDir(path) })
}

// next returns the revision after a revision. It runs alone. A new record starts with the time in microseconds, because no
// record of its name that was removed by hand has got there. A clock that was set back does not matter.
func (d *Dir) next(revision int64) (int64, error) {
	if revision > 0 {
		return revision + 1, nil
	}
	highest, err := d.highest()
	return max(highest+1, time.Now().UnixMicro()), err
}

// highest returns the highest revision of the records that were deleted.
func (d *Dir) highest() (revision int64, err error) {
	path := filepath.Join(d.path, revisionsFile)
	text, err := d.readFile(path)
	if err != nil || text == nil {
		return 0, err
	}
	revision, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		err = fmt.Errorf("%s must contain the highest revision of the records that were deleted: %w", path, err)
	}
	return revision, err
}

// keepHighest stores the revision of a record that is to be deleted. It runs alone.
func (d *Dir) keepHighest(revision int64) error {
	highest, err := d.highest()
	if err != nil || highest >= revision {
		return err
	}
	if err := d.replace(revisionsFile, []byte(strconv.FormatInt(revision, 10)+"\n")); err != nil {
		return err
	}
	return d.settle()
}
