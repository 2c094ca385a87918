package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	suffix = ".json"
	// The names of all other files start with a dot, which the name of a record cannot.
	temporary     = ".tmp"
	revisionsFile = ".revisions"
	// abandonedAfter is the age at which a temporary file belongs to a process that was killed.
	abandonedAfter = time.Hour
)

// fileName is the file of a record. It is in lower case, because names are the same in any case.
func fileName(name string) string { return strings.ToLower(name) + suffix }

// indented returns a record as it is in its file.
func indented(r Record) ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// do performs a file operation, and again while a signal interrupts it.
func (d *Dir) do(operation string, f func() error) error {
	for {
		err := d.try(operation, f)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// write puts a new file with its content, synced, beside the one that it is to replace, whose owner and mode it gets.
func (d *Dir) write(file string, content []byte) (temp string, err error) {
	var f *os.File
	err = d.do("create", func() error {
		f, err = os.CreateTemp(d.path, ".*"+temporary)
		return err
	})
	if err != nil {
		return "", err
	}
	err = d.do("own", func() error { return d.own(f, file) })
	if err == nil {
		err = d.do("write", func() error {
			_, err := f.WriteAt(content, 0)
			return err
		})
	}
	if err == nil {
		err = d.do("sync", f.Sync)
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// own gives a new file owner and mode of the one that it is to replace: root may approve what a service of another user
// goes on with. Where there is none, root gives the file to the owner of the directory.
func (d *Dir) own(f *os.File, file string) error {
	info, err := os.Stat(filepath.Join(d.path, file))
	if err == nil {
		return errors.Join(giveOwner(f, info), f.Chmod(info.Mode().Perm()))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.ownAsDir(f)
}

func (d *Dir) ownAsDir(f *os.File) error {
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	if err := giveOwner(f, info); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// rename lets a file replace another one. It runs alone. The change has not survived before settle.
func (d *Dir) rename(temp, file string) error {
	defer d.changes.Add(1) // after it, because a sync before it does not count
	return d.do("rename", func() error { return replace(temp, filepath.Join(d.path, file)) })
}

// settle makes what was changed in the directory survive. Those who wait for a slow disk share a sync. A sync that failed is
// repeated by the next settle, so that nothing passes for stored that a crash could undo.
func (d *Dir) settle(ctx context.Context) error {
	mine := d.changes.Load()
	if d.synced.Load() >= mine {
		return nil
	}
	if err := d.syncing.take(ctx); err != nil {
		return err
	}
	defer d.syncing.give()
	if d.synced.Load() >= mine {
		return nil
	}
	changes := d.changes.Load()
	if err := d.do("sync directory", func() error { return syncDir(d.path) }); err != nil {
		return err
	}
	d.synced.Store(changes)
	return nil
}

// highest returns the highest revision that a deleted record had. A clock that was set back makes no new record with a
// lower one.
func (d *Dir) highest() (revision int64, err error) {
	path := filepath.Join(d.path, revisionsFile)
	var text []byte
	err = d.do("read", func() error {
		text, err = readFile(path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	revision, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		err = fmt.Errorf("%s must contain the highest revision of the records that were deleted: %w", path, err)
	}
	return revision, err
}

// keepHighest stores the revision of a record that is to be deleted. It runs alone.
func (d *Dir) keepHighest(ctx context.Context, revision int64) error {
	highest, err := d.highest()
	if err != nil || highest >= revision {
		return err
	}
	temp, err := d.write(revisionsFile, []byte(strconv.FormatInt(revision, 10)+"\n"))
	if err != nil {
		return err
	}
	if err := d.rename(temp, revisionsFile); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return d.settle(ctx)
}

// clean removes what processes that were killed have left.
func (d *Dir) clean() {
	names, err := d.names()
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasPrefix(name, ".") || !strings.HasSuffix(name, temporary) {
			continue
		}
		path := filepath.Join(d.path, name)
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(path) // a writer that is that slow reports that its file is gone
		}
	}
}

// make makes a directory and those above it, and makes them survive a crash.
func (d *Dir) make(path string) error {
	info, err := os.Stat(path)
	if err == nil {
		return isDir(path, info)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(path)
	if err := d.make(above); err != nil {
		return err
	}
	if err := d.do("make directory", func() error { return os.Mkdir(path, 0o700) }); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.do("sync directory", func() error { return syncDir(above) })
}

func isDir(path string, info fs.FileInfo) error {
	if info.IsDir() {
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
}
