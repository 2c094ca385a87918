package durable_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// The engine of docs/engines.md moves records to their end, although it is stopped again and again, and people change the
// records meanwhile.
func TestTheEngineOfTheDocumentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
		defer server.Close()
		client, err := server.NewClient()
		require.NoError(t, err)
		driver, err := durable.NewDriver(client, durable.WithPassword(readPassword))
		require.NoError(t, err)
		store := durable.NewMemory()
		fleet, err := durable.NewFleet(store)
		require.NoError(t, err)
		for i := range 3 {
			require.NoError(t, fleet.Add(t.Context(), examplePlan(server, fmt.Sprint("m-", i))))
		}
		for i := range 60 {
			ctx, cancel := context.WithTimeout(t.Context(), 97*time.Second)
			require.ErrorIs(t, Move(ctx, store, driver, fmt.Sprint("run ", i)), context.DeadlineExceeded)
			cancel()
			if i < 3 {
				require.NoError(t, fleet.Approve(t.Context(), fmt.Sprint("m-", i), durable.GateCutover, "kim", time.Time{}))
			}
		}
		records, err := fleet.Records(t.Context())
		require.NoError(t, err)
		for _, r := range records {
			assert.Equal(t, durable.StateComplete, r.State)
		}
		assert.Len(t, server.Migrations(), 3)
	})
}

// The documentation prints the engine as it is compiled here.
func TestTheEngineIsDocumented(t *testing.T) {
	code, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/engines.md")
	require.NoError(t, err)
	_, engine, found := strings.Cut(string(code), "\n// Move is")
	require.True(t, found)
	engine, _, found = strings.Cut(engine, "\n// An engine that you write")
	require.True(t, found)
	assert.Contains(t, string(page), strings.TrimSpace("// Move is"+engine))
}
