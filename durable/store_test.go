package durable_test

import (
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
