package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// granule is more than the unit of the times of any file system. A file that was replaced within one may have the same time
// as before.
const granule = 3 * time.Second

// sight is a file as it was when it was read.
type sight struct {
	stamp    fileStamp
	revision int64
	since    time.Time // when the file was first seen with this stamp, by the clock of this process
	final    bool      // it was read so much later that it can only change together with its stamp
}

// fileStamp is what tells a file from the one that it replaced.
type fileStamp struct {
	modified int64 // nanoseconds
	size     int64
}

func (d *Dir) names() (names []string, err error) {
	err = d.do("list", func() error {
		dir, err := os.Open(d.path)
		if err != nil {
			return err
		}
		names, err = dir.Readdirnames(-1)
		return errors.Join(err, dir.Close())
	})
	return names, err
}

// files returns the names of the files that are, or should be, records. It runs alone, because a file that is replaced while
// a directory is read may be left out.
func (d *Dir) files(ctx context.Context) (files []string, err error) {
	var names []string
	err = d.alone(ctx, func() error {
		names, err = d.names()
		return err
	})
	files = names[:0]
	for _, name := range names {
		if strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, ".") {
			files = append(files, name)
		}
	}
	return files, err
}

// List returns all records, by name. With an error it returns those that could be read.
func (d *Dir) List(ctx context.Context) ([]Record, error) {
	records, _, err := d.Changed(ctx, nil)
	return records, err
}

// Changed returns the records whose revisions are not the known ones, and the names of the known ones that are gone. It
// compares times and sizes of the files, and reads those that differ.
func (d *Dir) Changed(ctx context.Context, known map[string]int64) (changed []Record, gone []string, err error) {
	files, err := d.files(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("durable: list the records in %s: %w", d.path, err)
	}
	wanted := make(map[string]int64, len(known)) // the known revisions by file
	for name, revision := range known {
		wanted[fileName(name)] = revision
	}
	changed, err = d.readAll(ctx, files, wanted)
	for _, file := range files {
		delete(wanted, file)
	}
	for name := range known {
		if _, missing := wanted[fileName(name)]; missing {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	if failed := d.settle(ctx); failed != nil {
		changed, gone, err = nil, nil, failed
	}
	if err != nil {
		err = fmt.Errorf("durable: list the records in %s: %w", d.path, err)
	}
	return changed, gone, err
}

// readAll reads the files whose revisions are not the known ones, several at a time: an estate has thousands.
func (d *Dir) readAll(ctx context.Context, files []string, known map[string]int64) ([]Record, error) {
	var (
		mu      sync.Mutex
		found   = []Record{}
		failed  []error
		readers sync.WaitGroup
		n       = min(len(files), runtime.GOMAXPROCS(0))
	)
	for first := range n {
		readers.Go(func() {
			for i := first; i < len(files) && ctx.Err() == nil; i += n {
				r, err := d.readChanged(files[i], known[files[i]])
				mu.Lock()
				switch {
				case err != nil:
					failed = append(failed, err)
				case r.Revision > 0:
					found = append(found, r)
				}
				mu.Unlock()
			}
		})
	}
	readers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sortByName(found)
	slices.SortFunc(failed, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return found, joined(failed)
}

// readChanged reads a file if its revision may be another one than the known one. Else, and when the file is gone, it returns
// the zero record.
func (d *Dir) readChanged(file string, known int64) (Record, error) {
	now := time.Now()
	info, err := os.Stat(filepath.Join(d.path, file))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, err
	}
	stamp := fileStamp{info.ModTime().UnixNano(), info.Size()}
	d.mu.Lock()
	last := d.seen[file]
	d.mu.Unlock()
	if last.stamp != stamp {
		last = sight{stamp: stamp, since: now}
	}
	if last.final && last.revision == known {
		return Record{}, nil
	}
	r, _, err := d.read(file)
	last.revision = r.Revision
	last.final = err == nil && now.Sub(last.since) > granule
	d.mu.Lock()
	d.seen[file] = last
	d.mu.Unlock()
	if r.Revision == known {
		return Record{}, err
	}
	return r, err
}
