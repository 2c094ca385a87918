package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/durable/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) durable.Store { return durable.NewMemory() })
}

func TestDir(t *testing.T) {
	storetest.Run(t, func(t *testing.T) durable.Store {
		dir, err := durable.OpenDir(t.TempDir())
		require.NoError(t, err)
		return dir
	})
}

func TestDirLosesItsLock(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"removed":  os.Remove,
		"replaced": func(path string) error { return os.Rename(path+".new", path) },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Lost(t, func(t *testing.T) (durable.Store, func()) {
				path := t.TempDir()
				dir, err := durable.OpenDir(path)
				require.NoError(t, err)
				file := filepath.Join(path, ".run.lock")
				require.NoError(t, os.WriteFile(file+".new", nil, 0o600))
				return dir, func() { require.NoError(t, lose(file)) }
			})
		})
	}
}
