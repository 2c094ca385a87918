package livemigrationtemporal

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// Workflows that an earlier version has begun go on with this one. A release adds histories, which the tests on a real server
// record:
//
//	RECORD_HISTORIES=/some/directory go test -C test/temporal ./...
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*.json.gz")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 10)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			zipped, err := os.Open(file)
			require.NoError(t, err)
			defer zipped.Close()
			text, err := gzip.NewReader(zipped)
			require.NoError(t, err)
			history, err := client.HistoryFromJSON(text, client.HistoryJSONOptions{})
			require.NoError(t, err)
			replayer := worker.NewWorkflowReplayer()
			RegisterWorkflows(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistory(silence{}, history))
		})
	}
}
