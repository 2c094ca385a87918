package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestServe(t *testing.T) {
	source := newDatabase(t)
	server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(3600))
	defer server.Close()
	client, err := server.NewClient()
	require.NoError(t, err)
	text, err := json.Marshal(plans(server)[:3])
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "plans.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	complete := 0
	err = serve(ctx, client, source, file, "00:00-24:00", durable.WithPollInterval(time.Second, time.Second),
		durable.WithOnChange(func(_ context.Context, r durable.Record) {
			if r.State == durable.StateComplete {
				complete++
			}
			if complete == 3 {
				stop()
			}
		}))
	require.ErrorIs(t, err, context.Canceled)
	records, err := openStore(t, source).List(t.Context())
	require.NoError(t, err)
	require.Len(t, records, 3)
	for _, r := range records {
		require.Equal(t, durable.StateComplete, r.State)
	}
	require.Len(t, server.Migrations(), 3)
}
