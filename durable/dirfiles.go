package durable

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// damageError is what of a store cannot be read, while the rest can.
type damageError struct{ problems }

// files returns the names of the files that are, or should be, records.
func (d *Dir) files() ([]string, error) {
	dir, err := os.Open(d.path)
	if err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(-1)
	if err := errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	files := names[:0]
	for _, name := range names {
		if strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, ".") {
			files = append(files, name)
		}
	}
	return files, nil
}

// List returns all records, by name. With an error it returns those that could be read.
func (d *Dir) List(ctx context.Context) ([]Record, error) {
	files, err := d.files()
	if err != nil {
		return nil, fmt.Errorf("durable: list records: %w", err)
	}
	return d.readAll(ctx, files)
}

// Changed returns the records whose revision differs from what known returns. It looks at the times and sizes of the
// files, and reads those that are new.
func (d *Dir) Changed(ctx context.Context, known func(name string) int64) ([]Record, error) {
	files, err := d.files()
	if err != nil {
		return nil, fmt.Errorf("durable: list records: %w", err)
	}
	d.mu.Lock()
	if len(d.seen) > len(files) { // some are gone
		d.seen = make(map[string]sight, len(files))
	}
	changed := files[:0]
	for _, file := range files {
		last, ok := d.seen[file]
		info, err := os.Stat(filepath.Join(d.path, file))
		same := ok && err == nil && info.ModTime().Equal(last.modified) && info.Size() == last.size
		if !same || last.revision != known(strings.TrimSuffix(file, suffix)) {
			changed = append(changed, file)
		}
	}
	d.mu.Unlock()
	records, err := d.readAll(ctx, changed)
	news := records[:0]
	for _, r := range records {
		if r.Revision != known(r.Plan.Name) {
			news = append(news, r)
		}
	}
	return news, err
}

// readAll reads files, several at a time: an estate has thousands.
func (d *Dir) readAll(ctx context.Context, files []string) ([]Record, error) {
	records := make([]Record, len(files))
	errs := make([]error, len(files))
	var readers sync.WaitGroup
	n := min(len(files), runtime.GOMAXPROCS(0))
	for first := range n {
		readers.Go(func() {
			for i := first; i < len(files) && ctx.Err() == nil; i += n {
				records[i], errs[i] = d.readAndNote(files[i])
			}
		})
	}
	readers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("durable: list records: %w", err)
	}
	var damage problems
	found := records[:0]
	for i, err := range errs {
		switch {
		case err == nil:
			found = append(found, records[i])
		case !errors.Is(err, fs.ErrNotExist): // it has gone meanwhile
			damage = append(damage, err)
		}
	}
	sortByName(found)
	if len(damage) > 0 {
		return found, &damageError{damage}
	}
	return found, nil
}

// readAndNote reads a file and notes its revision, for the next look, once its time can tell it from a newer one.
func (d *Dir) readAndNote(file string) (Record, error) {
	info, err := os.Stat(filepath.Join(d.path, file))
	if err != nil {
		return Record{}, fmt.Errorf("durable: read a record: %w", err)
	}
	r, err := d.read(file)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || time.Since(info.ModTime()) < settled {
		delete(d.seen, file)
	} else {
		d.seen[file] = sight{info.ModTime(), info.Size(), r.Revision}
	}
	return r, err
}

// write puts a record in the place of the one before, in one step. A crash in the middle leaves a temporary file, which the
// next write replaces.
func (d *Dir) write(r Record) error {
	data, err := r.MarshalJSON()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, data, "", "  "); err != nil {
		return err
	}
	text.WriteByte('\n')
	temp := filepath.Join(d.path, tempFile)
	if err := writeSynced(temp, text.Bytes()); err != nil {
		return errors.Join(err, remove(temp))
	}
	if err := replace(temp, filepath.Join(d.path, r.Plan.Name+suffix)); err != nil {
		return errors.Join(err, remove(temp))
	}
	return syncDir(d.path)
}

// writeSynced makes a new file that only its owner may read.
func writeSynced(path string, data []byte) error {
	if err := remove(path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
