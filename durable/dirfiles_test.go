package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// diskLog notes the operations of a directory.
type diskLog struct {
	mu         sync.Mutex
	operations []string
	fail       map[string]error // by operation, instead of it
}

func (l *diskLog) try(operation string, do func() error) error {
	l.mu.Lock()
	l.operations = append(l.operations, operation)
	err := l.fail[operation]
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return do()
}

// take returns the operations since the last call.
func (l *diskLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	operations := l.operations
	l.operations = nil
	return operations
}

func logged(dir *Dir) *diskLog {
	l := &diskLog{}
	dir.try = l.try
	return l
}

// The order is what survives a crash: the content before the name, and the name before Save returns.
func TestSaveSyncsContentAndName(t *testing.T) {
	dir := newDir(t, t.TempDir())
	log := logged(dir)
	saved := dirSave(t, dir, dirRecord("a"))
	added := log.take()
	assert.Equal(t, []string{
		"read", "create", "own", "write", "sync", "create lock", "lock", "read", "read", "rename", "sync directory",
	}, added)
	for i := range 50 {
		dirSave(t, dir, dirRecord(fmt.Sprint("more-", i)))
		assert.Equal(t, added, log.take(), "a record costs the same in a full directory")
	}
	saved = dirSave(t, dir, dirChange(saved))
	assert.Equal(t, []string{"create", "own", "write", "sync", "create lock", "lock", "read", "rename", "sync directory"}, log.take())
	require.NoError(t, dir.Delete(t.Context(), "a", saved.Revision))
	assert.Equal(t, []string{
		"create lock", "lock", "read", "read", "create", "own", "write", "sync", "rename", "sync directory", "remove", "sync directory",
	}, log.take(), "the revision is stored before the record is gone")
}

func TestAnyOperationMayFail(t *testing.T) {
	broken := errors.New("broken")
	for _, method := range []string{"add", "save", "delete"} {
		for _, operation := range []string{
			"create", "own", "write", "sync", "create lock", "lock", "read", "rename", "remove", "sync directory",
		} {
			t.Run(method+" "+operation, func(t *testing.T) {
				path := t.TempDir()
				dir := newDir(t, path)
				log := logged(dir)
				before := dirSave(t, dir, dirRecord("a"))
				change := map[string]func() error{
					"add":    func() error { _, err := dir.Save(t.Context(), dirRecord("b")); return err },
					"save":   func() error { _, err := dir.Save(t.Context(), dirChange(before)); return err },
					"delete": func() error { return dir.Delete(t.Context(), "a", before.Revision) },
				}[method]
				log.take()
				log.fail = map[string]error{operation: broken}
				err := change()
				log.fail = nil
				if !slices.Contains(log.take(), operation) {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, broken)
				assert.ErrorContains(t, err, path)
				assert.NotErrorIs(t, err, ErrStale)
				for _, file := range dirFiles(t, path) {
					assert.False(t, strings.HasSuffix(file, temporary), "%s is left", file)
				}
				if operation == "sync directory" {
					return // it may be stored or not
				}
				records, err := dir.List(t.Context())
				require.NoError(t, err)
				assert.Equal(t, []Record{before}, records)
				require.NoError(t, change(), "it can be repeated")
			})
		}
	}
}

// A run that could not save its intent loads the record, and sends what it finds begun by itself.
func TestNothingIsReadBeforeASyncHasSucceeded(t *testing.T) {
	broken := errors.New("broken")
	for name, change := range map[string]func(ctx context.Context, dir *Dir, r Record) error{
		"save":   func(ctx context.Context, dir *Dir, r Record) error { _, err := dir.Save(ctx, dirChange(r)); return err },
		"delete": func(ctx context.Context, dir *Dir, r Record) error { return dir.Delete(ctx, "a", r.Revision) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t, t.TempDir())
			other := dirSave(t, dir, dirRecord("other"))
			r := dirSave(t, dir, dirRecord("a"))
			log := logged(dir)
			log.fail = map[string]error{"sync directory": broken}
			require.ErrorIs(t, change(t.Context(), dir, r), broken)
			_, loadErr := dir.Load(t.Context(), "other")
			records, listErr := dir.List(t.Context())
			changed, gone, changedErr := dir.Changed(t.Context(), map[string]int64{"a": 1, "b": 1})
			for _, err := range []error{loadErr, listErr, changedErr} {
				require.ErrorIs(t, err, broken)
			}
			assert.Nil(t, records)
			assert.Nil(t, changed)
			assert.Nil(t, gone)
			log.fail = nil
			log.take()
			loaded, err := dir.Load(t.Context(), "other")
			require.NoError(t, err)
			assert.Equal(t, other, loaded)
			assert.Equal(t, []string{"read", "sync directory"}, log.take())
			_, err = dir.List(t.Context())
			require.NoError(t, err)
			assert.NotContains(t, log.take(), "sync directory", "once is enough")
		})
	}
}

func TestInterruptedOperationsAreRepeated(t *testing.T) {
	dir := newDir(t, t.TempDir())
	interrupted := make(map[string]bool)
	dir.try = func(operation string, do func() error) error {
		if !interrupted[operation] {
			interrupted[operation] = true
			return &os.PathError{Op: operation, Err: syscall.EINTR}
		}
		return do()
	}
	_, unlock, err := dir.Lock(t.Context(), "run")
	require.NoError(t, err)
	defer func() { require.NoError(t, unlock()) }()
	saved := dirSave(t, dir, dirRecord("a"))
	records, err := dir.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Record{saved}, records)
	require.NoError(t, dir.Delete(t.Context(), "a", saved.Revision))
	for _, operation := range []string{
		"create", "own", "write", "sync", "create lock", "lock", "read", "rename", "remove", "list", "sync directory",
	} {
		assert.True(t, interrupted[operation], operation)
	}
}

func TestNewDirectoriesAreSynced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "state")
	dir := unopened(path)
	log := logged(dir)
	require.NoError(t, dir.make(path))
	assert.Equal(t, []string{"make directory", "sync directory", "make directory", "sync directory"}, log.take())
	require.NoError(t, dir.make(path))
	assert.Empty(t, log.take())
}

// A directory that is read while a file in it is replaced may show neither the file before nor the one after.
func TestNothingIsReplacedWhileTheDirectoryIsRead(t *testing.T) {
	path := t.TempDir()
	dir, other := newDir(t, path), newDir(t, path)
	r := dirSave(t, dir, dirRecord("a"))
	dir.try = func(operation string, do func() error) error {
		if operation == "list" {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := other.Save(ctx, r)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		return do()
	}
	records, err := dir.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Record{r}, records)
}

func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := newDir(t, t.TempDir())
		log := logged(dir)
		dir.try = func(operation string, do func() error) error {
			switch {
			case strings.HasPrefix(operation, "sync"):
				time.Sleep(100 * time.Millisecond)
			case operation == "rename":
				time.Sleep(time.Millisecond)
			}
			return log.try(operation, do)
		}
		start := time.Now()
		var savers sync.WaitGroup
		for i := range 200 {
			savers.Go(func() {
				_, err := dir.Save(t.Context(), dirRecord(fmt.Sprint("m-", i)))
				assert.NoError(t, err)
			})
		}
		savers.Wait()
		assert.LessOrEqual(t, time.Since(start), time.Second, "they share syncs, so that no intent grows old meanwhile")
		locks := slices.DeleteFunc(log.take(), func(operation string) bool { return operation != "lock" })
		assert.Len(t, locks, 200, "each waits for its turn, and does not ask again and again")
		records, err := dir.List(t.Context())
		require.NoError(t, err)
		assert.Len(t, records, 200)
	})
}

// changedFiles returns the names that Changed returns, and how many files it read.
func changedFiles(t *testing.T, dir *Dir, log *diskLog, known map[string]int64) (names []string, reads int) {
	t.Helper()
	log.take()
	changed, gone, err := dir.Changed(t.Context(), known)
	require.NoError(t, err)
	assert.Empty(t, gone)
	for _, r := range changed {
		names = append(names, r.Plan.Name)
	}
	for _, operation := range log.take() {
		if operation == "read" {
			reads++
		}
	}
	return names, reads
}

func TestChangedReadsWhatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		dir := newDir(t, path)
		log := logged(dir)
		known := make(map[string]int64)
		for _, name := range []string{"a", "b", "future"} {
			known[name] = dirSave(t, dir, dirRecord(name)).Revision
		}
		future := time.Now().AddDate(10, 0, 0)
		require.NoError(t, os.Chtimes(filepath.Join(path, "future.json"), future, future))
		names, reads := changedFiles(t, dir, log, known)
		assert.Empty(t, names)
		assert.Equal(t, 3, reads, "they are new to this process")
		time.Sleep(granule + time.Second)
		_, reads = changedFiles(t, dir, log, known)
		assert.Equal(t, 3, reads, "they may have been replaced within the same unit of time")
		for range 3 {
			time.Sleep(time.Second)
			names, reads = changedFiles(t, dir, log, known)
			assert.Empty(t, names)
			assert.Zero(t, reads, "nothing has changed")
		}
		known["b"]--
		names, reads = changedFiles(t, dir, log, known)
		assert.Equal(t, []string{"b"}, names, "this caller knows another revision")
		assert.Equal(t, 1, reads)
	})
}

func TestChangedWithinTheUnitOfTheFileSystem(t *testing.T) {
	path := t.TempDir()
	dir, other := newDir(t, path), newDir(t, path)
	log := logged(dir)
	file := filepath.Join(path, "a.json")
	at := time.Now().Add(-time.Hour)
	r := dirSave(t, other, dirRecord("a"))
	for range 5 {
		require.NoError(t, os.Chtimes(file, at, at))
		_, _ = changedFiles(t, dir, log, nil)
		before, err := os.Stat(file)
		require.NoError(t, err)
		known := map[string]int64{"a": r.Revision}
		r = dirSave(t, other, r)
		require.NoError(t, os.Chtimes(file, at, at))
		after, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, before.Size(), after.Size())
		require.Equal(t, before.ModTime(), after.ModTime())
		names, _ := changedFiles(t, dir, log, known)
		assert.Equal(t, []string{"a"}, names)
	}
}

func BenchmarkDir(b *testing.B) {
	const n = 10000
	dir := newDir(b, b.TempDir())
	known := make(map[string]int64, n)
	for i := range n {
		r := dirSave(b, dir, dirRecord(fmt.Sprintf("m-%05d", i)))
		known[r.Plan.Name] = r.Revision
	}
	b.Run("save", func(b *testing.B) {
		r := dirSave(b, dir, dirRecord(fmt.Sprint("new-", time.Now().UnixNano())))
		for b.Loop() {
			r = dirSave(b, dir, r)
		}
		require.NoError(b, dir.Delete(b.Context(), r.Plan.Name, r.Revision))
	})
	b.Run("changed, 10000 files, nothing new", func(b *testing.B) {
		for range 2 {
			_, _, err := dir.Changed(b.Context(), known)
			require.NoError(b, err)
			time.Sleep(granule + time.Second)
		}
		for b.Loop() {
			changed, gone, err := dir.Changed(b.Context(), known)
			require.NoError(b, err)
			require.Empty(b, changed)
			require.Empty(b, gone)
		}
	})
}
