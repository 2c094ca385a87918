package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const serviceUser = 65534

// asService calls a function with the file permissions of another user. It must not start goroutines that use files.
func asService(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocks: the thread ends with the goroutine
		if assert.NoError(t, syscall.Setfsgid(serviceUser)) && assert.NoError(t, syscall.Setfsuid(serviceUser)) {
			do()
		}
	}()
	<-done
}

func mustBelongTo(t *testing.T, path string, user uint32, mode fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	assert.Equal(t, []uint32{user, user}, []uint32{owner.Uid, owner.Gid}, path)
	assert.Equal(t, mode, info.Mode().Perm(), path)
}

// A service of another user goes on with what root has added, approved and deleted.
func TestRootChangesTheRecordsOfAService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	parent := t.TempDir()
	require.NoError(t, os.Chmod(parent, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(parent), 0o755))
	path := filepath.Join(parent, "state")
	require.NoError(t, os.Mkdir(path, 0o750))
	require.NoError(t, os.Chown(path, serviceUser, serviceUser))
	root := newDir(t, path)
	added := dirSave(t, root, dirRecord("a"))
	deleted := dirSave(t, root, dirRecord("deleted"))
	require.NoError(t, root.Delete(t.Context(), "deleted", deleted.Revision))
	_, unlock, err := root.Lock(t.Context(), "run")
	require.NoError(t, err)
	require.NoError(t, unlock())
	mustBelongTo(t, filepath.Join(path, "a.json"), serviceUser, 0o600)

	require.NoError(t, os.Chmod(filepath.Join(path, "a.json"), 0o640))
	var saved Record
	asService(t, func() {
		service := newDir(t, path)
		loaded, err := service.Load(t.Context(), "a")
		assert.NoError(t, err)
		saved = dirSave(t, service, dirChange(loaded))
		dirSave(t, service, dirRecord("b"))
		_, unlock, err := service.Lock(t.Context(), "run")
		if assert.NoError(t, err) {
			assert.NoError(t, unlock())
		}
	})
	require.Equal(t, added.Revision+1, saved.Revision)
	saved = dirSave(t, root, saved)
	for _, file := range []string{"a.json", "b.json", ".lock", ".run.lock", revisionsFile} {
		mode := fs.FileMode(0o600)
		if file == "a.json" {
			mode = 0o640
		}
		mustBelongTo(t, filepath.Join(path, file), serviceUser, mode)
	}

	require.NoError(t, os.Chown(filepath.Join(path, "a.json"), 0, 0))
	require.NoError(t, os.Chmod(filepath.Join(path, "a.json"), 0o644))
	asService(t, func() {
		_, err := newDir(t, path).Save(t.Context(), saved)
		assert.ErrorContains(t, err, "a.json belongs to user 0, and only that user and root can replace it")
	})
	loaded, err := root.Load(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, saved, loaded)
}
