package durable

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newDir(t testing.TB, path string) *Dir {
	t.Helper()
	dir, err := OpenDir(path)
	require.NoError(t, err)
	return dir
}

func dirRecord(name string) Record {
	return NewRecord(Plan{Name: name}, time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
}

func dirSave(t testing.TB, d *Dir, r Record) Record {
	t.Helper()
	saved, err := d.Save(t.Context(), r)
	require.NoError(t, err)
	return saved
}

// dirChange returns a record with another content.
func dirChange(r Record) Record {
	r.Events = append(slices.Clone(r.Events), Event{r.UpdatedAt, "changed"})
	return r
}

// dirFiles returns the names of the files that are no records.
func dirFiles(t *testing.T, path string) (others []string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			others = append(others, entry.Name())
		}
	}
	return others
}

func TestDirIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "state")
	dir := newDir(t, path)
	dirSave(t, dir, dirRecord("Billing"))
	_, unlock, err := dir.Lock(t.Context(), "run")
	require.NoError(t, err)
	defer func() { require.NoError(t, unlock()) }()
	file := filepath.Join(path, "billing.json")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "\n  \"state\": \"PLANNED\"", "it is indented, for cat")
	assert.True(t, strings.HasSuffix(string(text), "}\n"))
	if runtime.GOOS == "windows" {
		return
	}
	for path, mode := range map[string]os.FileMode{
		path: 0o700, filepath.Dir(path): 0o700, file: 0o600,
		filepath.Join(path, ".lock"): 0o600, filepath.Join(path, ".run.lock"): 0o600,
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm(), path)
	}
}

func TestOpenDirFails(t *testing.T) {
	path := t.TempDir()
	file := filepath.Join(path, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, open := range map[string]func(string) (*Dir, error){"OpenDir": OpenDir, "OpenExistingDir": OpenExistingDir} {
		for _, path := range []string{"", file, filepath.Join(file, "below")} {
			_, err := open(path)
			assert.ErrorContains(t, err, "durable: open a directory: ", "%s %q", name, path)
		}
	}
	missing := filepath.Join(path, "missing")
	_, err := OpenExistingDir(missing)
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, missing)
	assert.NoDirExists(t, missing)
	_, err = OpenExistingDir(path)
	require.NoError(t, err)
}

func TestDirIgnoresOtherFiles(t *testing.T) {
	path := t.TempDir()
	dir := newDir(t, path)
	saved := dirSave(t, dir, dirRecord("a"))
	for _, name := range []string{"README", "notes.txt", "a.json.bak", "a.json~", ".a.json.swp", "._a.json", "a.JSON.old"} {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte("not json"), 0o600))
	}
	records, err := dir.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Record{saved}, records)
}

func TestOpenDirRemovesWhatKilledProcessesLeft(t *testing.T) {
	path := t.TempDir()
	fresh, old, other := filepath.Join(path, ".1.tmp"), filepath.Join(path, ".2.tmp"), filepath.Join(path, "3.tmp")
	for _, file := range []string{fresh, old, other} {
		require.NoError(t, os.WriteFile(file, nil, 0o600))
	}
	before := time.Now().Add(-2 * abandonedAfter)
	require.NoError(t, os.Chtimes(old, before, before))
	require.NoError(t, os.Chtimes(other, before, before))
	newDir(t, path)
	assert.FileExists(t, fresh, "its process may write it")
	assert.NoFileExists(t, old)
	assert.FileExists(t, other)
}

func TestDamagedFilesAreNamedAndLeftAlone(t *testing.T) {
	path := t.TempDir()
	dir := newDir(t, path)
	good := dirSave(t, dir, dirRecord("good"))
	content, err := os.ReadFile(filepath.Join(path, "good.json"))
	require.NoError(t, err)
	text := string(content)
	damaged := map[string]string{
		"empty.json":     "",
		"half.json":      text[:len(text)/2],
		"newer.json":     strings.Replace(strings.ReplaceAll(text, "good", "newer"), `"format": 1`, `"format": 2`, 1),
		"copied.json":    text,
		"good copy.json": text,
		"Upper.json":     strings.ReplaceAll(text, "good", "Upper"),
		"trailing.json":  strings.ReplaceAll(text, "good", "trailing") + "{}",
		"counted.json":   regexp.MustCompile(`"revision": \d+`).ReplaceAllString(strings.ReplaceAll(text, "good", "counted"), `"revision": 0`),
	}
	for name, text := range damaged {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte(text), 0o600))
	}
	known := map[string]int64{"half": 7, "good": good.Revision - 1}
	for name, read := range map[string]func() ([]Record, []string, error){
		"list":    func() ([]Record, []string, error) { records, err := dir.List(t.Context()); return records, nil, err },
		"changed": func() ([]Record, []string, error) { return dir.Changed(t.Context(), known) },
	} {
		records, gone, err := read()
		assert.Equal(t, []Record{good}, records, "%s: the others can be used", name)
		assert.Empty(t, gone, "%s: a damaged record is not gone", name)
		for file := range damaged {
			assert.ErrorContains(t, err, filepath.Join(path, file), name)
		}
	}
	for _, name := range []string{"empty", "half", "newer", "copied", "trailing", "counted"} {
		r := dirRecord(name)
		_, loadErr := dir.Load(t.Context(), name)
		_, addErr := dir.Save(t.Context(), r)
		r.Revision = 1
		_, saveErr := dir.Save(t.Context(), r)
		for _, err := range []error{loadErr, addErr, saveErr, dir.Delete(t.Context(), name, 1)} {
			assert.ErrorContains(t, err, name+".json")
			assert.NotErrorIs(t, err, ErrNotFound)
			assert.NotErrorIs(t, err, ErrStale)
		}
	}
	for name, text := range damaged {
		now, err := os.ReadFile(filepath.Join(path, name))
		require.NoError(t, err)
		assert.Equal(t, text, string(now))
	}
}

func TestManyDamagedFilesMakeAShortError(t *testing.T) {
	path := t.TempDir()
	for i := range 50 {
		require.NoError(t, os.WriteFile(filepath.Join(path, string(rune('a'+i%26))+strings.Repeat("x", i)+".json"), nil, 0o600))
	}
	records, err := newDir(t, path).List(t.Context())
	assert.Empty(t, records)
	require.ErrorContains(t, err, "; and 30 more")
	assert.Equal(t, 20, strings.Count(err.Error(), "cannot be read"))
	var first *fs.PathError
	assert.False(t, errors.As(err, &first))
}

func TestTwoHandlesOfOneDirectory(t *testing.T) {
	path := t.TempDir()
	one, two := newDir(t, path), newDir(t, path)
	first := dirSave(t, one, dirRecord("a"))
	second := dirSave(t, two, dirChange(first))
	_, err := one.Save(t.Context(), first)
	require.ErrorIs(t, err, ErrStale)
	require.ErrorIs(t, one.Delete(t.Context(), "a", first.Revision), ErrStale)
	known := map[string]int64{"a": first.Revision}
	changed, gone, err := one.Changed(t.Context(), known)
	require.NoError(t, err)
	assert.Equal(t, []Record{second}, changed)
	assert.Empty(t, gone)
	require.NoError(t, two.Delete(t.Context(), "A", second.Revision))
	changed, gone, err = one.Changed(t.Context(), known)
	require.NoError(t, err)
	assert.Empty(t, changed)
	assert.Equal(t, []string{"a"}, gone)
}

func TestReadersSeeWholeRecords(t *testing.T) {
	path := t.TempDir()
	writer, reader := newDir(t, path), newDir(t, path)
	r := dirSave(t, writer, dirRecord("a"))
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() {
		for last := int64(0); ctx.Err() == nil; {
			records, err := reader.List(t.Context())
			if !assert.NoError(t, err) || !assert.Len(t, records, 1) || !assert.GreaterOrEqual(t, records[0].Revision, last) {
				return
			}
			last = records[0].Revision
		}
	})
	for range 50 {
		r = dirSave(t, writer, dirChange(r))
	}
	cancel()
	readers.Wait()
}

func TestRevisionsOnlyGrow(t *testing.T) {
	path := t.TempDir()
	dir := newDir(t, path)
	now := time.Now().UnixMicro()
	r := dirSave(t, dir, dirRecord("a"))
	assert.GreaterOrEqual(t, r.Revision, now, "a new record starts with the time, because its file may have been removed by hand")

	b := dirSave(t, dir, dirRecord("b"))

	// The clock was in the future when a record was planned.
	r.Revision = 1 << 60
	text, err := indented(r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(path, "a.json"), text, 0o600))
	require.NoError(t, dir.Delete(t.Context(), "a", r.Revision))
	require.NoError(t, dir.Delete(t.Context(), "b", b.Revision))
	again := dirSave(t, newDir(t, path), dirRecord("A"))
	assert.Greater(t, again.Revision, r.Revision)

	// Between the choice of a revision and its file, another process adds the record, and deletes it.
	other := newDir(t, path)
	dir.try = func(operation string, do func() error) error {
		if operation == "sync" {
			added := dirSave(t, other, dirRecord("c"))
			require.NoError(t, other.Delete(t.Context(), "c", added.Revision))
		}
		return do()
	}
	_, err = dir.Save(t.Context(), dirRecord("c"))
	require.ErrorIs(t, err, ErrStale)
	dir.try = func(_ string, do func() error) error { return do() }
	dirSave(t, dir, dirRecord("c"))

	require.NoError(t, os.WriteFile(filepath.Join(path, revisionsFile), []byte("?"), 0o600))
	_, err = dir.Save(t.Context(), dirRecord("d"))
	assert.ErrorContains(t, err, revisionsFile)
}
