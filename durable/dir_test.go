package durable

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	dir, err := OpenDir(path)
	require.NoError(t, err)
	return dir
}

func mustSave(t *testing.T, s Store, r Record) Record {
	t.Helper()
	saved, err := s.Save(t.Context(), r)
	require.NoError(t, err)
	return saved
}

func TestDirIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "state")
	dir := openDir(t, path)
	mustSave(t, dir, NewRecord(planFor("Billing"), t0))
	file := filepath.Join(path, "Billing.json")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "\n  \"state\": \"PLANNED\"", "it is indented, for cat")
	assert.True(t, strings.HasSuffix(string(text), "}\n"))
	if runtime.GOOS == "windows" {
		return
	}
	for path, mode := range map[string]os.FileMode{path: 0o700, filepath.Dir(path): 0o700, file: 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm(), path)
	}
}

func TestOpenDirFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{"", file, filepath.Join(file, "below")} {
		_, err := OpenDir(path)
		assert.ErrorContains(t, err, "durable: open a directory", path)
	}
}

func TestDirIgnoresOtherFiles(t *testing.T) {
	path := t.TempDir()
	dir := openDir(t, path)
	saved := mustSave(t, dir, NewRecord(planFor("a"), t0))
	for _, name := range []string{"README", "notes.txt", "a.json.bak", "a.json~", ".a.json.swp", "._a.json", tempFile, "a.JSON.old"} {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte("not json"), 0o600))
	}
	records, err := dir.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Record{saved}, records)
	mustSave(t, dir, saved)
	names, err := filepath.Glob(filepath.Join(path, "*.json"))
	require.NoError(t, err)
	assert.Equal(t, []string{filepath.Join(path, "._a.json"), filepath.Join(path, "a.json")}, names)
	assert.NoFileExists(t, filepath.Join(path, tempFile), "what a crash left is used up")
}

func TestDamagedFilesAreNamedAndLeftAlone(t *testing.T) {
	path := t.TempDir()
	dir := openDir(t, path)
	good := mustSave(t, dir, NewRecord(planFor("good"), t0))
	text, err := os.ReadFile(filepath.Join(path, "good.json"))
	require.NoError(t, err)
	damaged := map[string]string{
		"empty.json":     "",
		"half.json":      string(text[:len(text)/2]),
		"newer.json":     strings.Replace(strings.ReplaceAll(string(text), "good", "newer"), `"format": 1`, `"format": 2`, 1),
		"copied.json":    string(text),
		"good copy.json": string(text),
		"trailing.json":  strings.ReplaceAll(string(text), "good", "trailing") + "{}",
	}
	for name, text := range damaged {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte(text), 0o600))
	}
	for _, look := range []func() ([]Record, error){
		func() ([]Record, error) { return dir.List(t.Context()) },
		func() ([]Record, error) { return dir.Changed(t.Context(), func(string) int64 { return 0 }) },
	} {
		records, err := look()
		assert.Equal(t, []Record{good}, records, "the others can be used")
		for name := range damaged {
			assert.ErrorContains(t, err, filepath.Join(path, name))
		}
	}
	for _, name := range []string{"empty", "half", "newer", "copied", "trailing"} {
		_, err := dir.Load(t.Context(), name)
		assert.ErrorContains(t, err, name+".json")
		assert.NotErrorIs(t, err, ErrNotFound)
		for revision := range int64(2) {
			r := NewRecord(planFor(name), t0)
			r.Revision = revision
			_, err = dir.Save(t.Context(), r)
			assert.ErrorContains(t, err, name+".json")
			assert.NotErrorIs(t, err, ErrConflict)
		}
	}
	for name, text := range damaged {
		now, err := os.ReadFile(filepath.Join(path, name))
		require.NoError(t, err)
		assert.Equal(t, text, string(now))
	}
}

func TestFailedWriteLeavesTheRecordBefore(t *testing.T) {
	path := t.TempDir()
	dir := openDir(t, path)
	saved := mustSave(t, dir, NewRecord(planFor("a"), t0))
	// A directory with something in it cannot be removed to make way for the temporary file.
	blocked := filepath.Join(path, tempFile)
	require.NoError(t, os.MkdirAll(filepath.Join(blocked, "x"), 0o700))
	returned, err := dir.Save(t.Context(), saved.Approve(GateCutover, t1))
	require.Error(t, err)
	assert.NotErrorIs(t, err, ErrConflict)
	assert.Equal(t, saved.Revision, returned.Revision)
	loaded, err := dir.Load(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, saved, loaded)
	require.NoError(t, os.RemoveAll(blocked))
	mustSave(t, dir, saved.Approve(GateCutover, t1))
}

func TestTwoHandlesOfOneDirectory(t *testing.T) {
	path := t.TempDir()
	one, two := openDir(t, path), openDir(t, path)
	unlock, err := one.Lock(t.Context())
	require.NoError(t, err)
	_, err = two.Lock(t.Context())
	require.ErrorIs(t, err, ErrRunning)
	require.NoError(t, unlock())
	require.NoError(t, unlock(), "a second time does nothing")
	unlock, err = two.Lock(t.Context())
	require.NoError(t, err)
	require.NoError(t, unlock())

	first := mustSave(t, one, NewRecord(planFor("a"), t0))
	second := mustSave(t, two, first.Approve(GateCutover, t1))
	_, err = one.Save(t.Context(), first.Abandon(t1))
	require.ErrorIs(t, err, ErrConflict)
	changed, err := one.Changed(t.Context(), func(string) int64 { return first.Revision })
	require.NoError(t, err)
	assert.Equal(t, []Record{second}, changed)
}

func TestChangedDoesNotReadWhatItKnows(t *testing.T) {
	path := t.TempDir()
	dir := openDir(t, path)
	saved := mustSave(t, dir, NewRecord(planFor("a"), t0))
	file := filepath.Join(path, "a.json")
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(file, old, old))
	look := func(revision int64) []Record {
		changed, err := dir.Changed(t.Context(), func(string) int64 { return revision })
		require.NoError(t, err)
		return changed
	}
	assert.Equal(t, []Record{saved}, look(0))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("x", int(info.Size()))), 0o600))
	require.NoError(t, os.Chtimes(file, old, old))
	assert.Empty(t, look(saved.Revision), "by its time and size it is the same")
	require.NoError(t, os.Chtimes(file, old, old.Add(time.Second)))
	_, err = dir.Changed(t.Context(), func(string) int64 { return saved.Revision })
	assert.ErrorContains(t, err, "a.json")
	require.NoError(t, os.Remove(file))
	assert.Empty(t, look(saved.Revision))
}

func TestReadersSeeWholeRecords(t *testing.T) {
	path := t.TempDir()
	writer, reader := openDir(t, path), openDir(t, path)
	r := mustSave(t, writer, NewRecord(planFor("a"), t0))
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() {
		for last := int64(0); ctx.Err() == nil; {
			loaded, err := reader.Load(t.Context(), "a")
			if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, loaded.Revision, last) {
				return
			}
			last = loaded.Revision
		}
	})
	for range 50 {
		r = mustSave(t, writer, r)
	}
	cancel()
	readers.Wait()
}
