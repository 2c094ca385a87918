package durable_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

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
	synctest.Test(t, func(t *testing.T) {
		storetest.Lost(t, func(t *testing.T) (durable.Store, func()) {
			path := t.TempDir()
			dir, err := durable.OpenDir(path)
			require.NoError(t, err)
			return dir, func() { require.NoError(t, os.Remove(filepath.Join(path, ".run.lock"))) }
		})
	})
}
