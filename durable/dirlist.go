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
	"time"
)

// granule is more than the unit of the times of any file system. A file that is replaced twice within one may get the inode
// and the time that it had before.
const granule = 3 * time.Second

// sight is a file that was read long enough after it was written, or dated in the future: if it is replaced, info differs.
type sight struct {
	info     fs.FileInfo
	revision int64
}

func (s sight) is(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.ModTime().Equal(info.ModTime()) && s.info.Size() == info.Size()
}

// files returns the names of the files that are, or should be, records. It runs alone, because a file that is replaced while
// a directory is read may be left out.
func (d *Dir) files(ctx context.Context) (files []string, err error) {
	err = d.alone(ctx, func() error {
		return d.do("list", func() error {
			dir, err := os.Open(d.path)
			if err != nil {
				return err
			}
			files, err = dir.Readdirnames(-1)
			return errors.Join(err, dir.Close())
		})
	})
	return slices.DeleteFunc(files, func(name string) bool {
		return !strings.HasSuffix(name, suffix) || strings.HasPrefix(name, ".")
	}), err
}

// List returns all records, by name. With an error it returns those that could be read.
func (d *Dir) List(ctx context.Context) ([]Record, error) {
	records, _, err := d.Changed(ctx, nil)
	return records, err
}

// Changed returns the records whose revisions are not the known ones, and the names of the known ones that are gone. It
// compares times and sizes of the files, and reads those that differ.
func (d *Dir) Changed(ctx context.Context, known map[string]int64) (changed []Record, gone []string, err error) {
	changed, gone, err = d.changed(ctx, known)
	if failed := d.settle(); failed != nil {
		changed, gone, err = nil, nil, failed
	}
	if err != nil {
		err = fmt.Errorf("durable: list the records in %s: %w", d.path, err)
	}
	return changed, gone, err
}

func (d *Dir) changed(ctx context.Context, known map[string]int64) (changed []Record, gone []string, err error) {
	files, err := d.files(ctx)
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(files)
	revisions := make(map[string]int64, len(known)) // by file
	for name, revision := range known {
		file := fileName(name)
		revisions[file] = revision
		if _, found := slices.BinarySearch(files, file); !found {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	changed = []Record{}
	var failed []error
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		r, err := d.readChanged(file, revisions[file])
		if err != nil {
			failed = append(failed, err)
		} else if r.Revision != revisions[file] && r.Revision > 0 {
			changed = append(changed, r)
		}
	}
	sortByName(changed)
	return changed, gone, joined(failed)
}

// readChanged reads a file if its revision may differ from the known one. Otherwise, and if the file is gone, it returns the
// zero record.
func (d *Dir) readChanged(file string, known int64) (r Record, err error) {
	info, err := os.Stat(filepath.Join(d.path, file))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, err
	}
	age := time.Since(info.ModTime())
	d.mu.Lock()
	last := d.seen[file]
	d.mu.Unlock()
	if last.revision == known && last.is(info) {
		return Record{}, nil
	}
	r, _, err = d.read(file)
	if err == nil && age.Abs() > granule {
		d.mu.Lock()
		d.seen[file] = sight{info, r.Revision}
		d.mu.Unlock()
	}
	return r, err
}
