package temporal

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
)

// executions are all runs of workflows in the namespace, once at least n are visible.
func (l *lab) executions(t *testing.T, n int) (all []*workflow.WorkflowExecutionInfo) {
	t.Helper()
	eventually(t, func() bool {
		response, err := l.ListWorkflow(context.Background(), &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000})
		all = response.GetExecutions()
		return err == nil && len(all) >= n
	})
	return all
}

func historyOf(t *testing.T, c client.Client, workflowID, runID string) *history.History {
	t.Helper()
	all := &history.History{}
	events := c.GetWorkflowHistory(t.Context(), workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		all.Events = append(all.Events, event)
	}
	return all
}

// assertHistories reads the whole histories and memos of a namespace, those of locks too. It replays each one, and finds no
// secret.
func (l *lab) assertHistories(t *testing.T) {
	t.Helper()
	_, private := l.atlas.APIKey()
	secrets := []string{estate.Password, private.Reveal()}
	replayer := worker.NewWorkflowReplayer()
	livemigrationtemporal.RegisterWorkflows(replayer)
	for _, info := range l.executions(t, 2) {
		id := info.GetExecution()
		all := historyOf(t, l.Client, id.GetWorkflowId(), id.GetRunId())
		require.Greater(t, len(all.Events), 2)
		// As it is stored, where payloads are plain JSON.
		wire, err := all.Marshal()
		require.NoError(t, err)
		memo, err := info.GetMemo().Marshal()
		require.NoError(t, err)
		for _, secret := range secrets {
			assert.False(t, bytes.Contains(append(wire, memo...), []byte(secret)), "a secret is in the history of %s", id.GetWorkflowId())
		}
		assert.True(t, bytes.Contains(wire, []byte("livemigration")))
		require.NoError(t, replayer.ReplayWorkflowHistory(estate.Silence{}, all), id.GetWorkflowId())
		record(t, info.GetType().GetName(), all)
	}
}

// hostName finds the name of the machine in the names of task queues and workers.
var hostName = regexp.MustCompile(`"(\d+@)?[\w.-]+(:[0-9a-f]{8}-[0-9a-f-]{27}|@[\w@.-]*)"`)

// record writes a history into the directory that RECORD_HISTORIES names: for the test of livemigrationtemporal that
// replays what earlier versions have written.
func record(t *testing.T, workflowType string, all *history.History) {
	t.Helper()
	directory := os.Getenv("RECORD_HISTORIES")
	if directory == "" || all.Size() > 1<<20 {
		return
	}
	text, err := protojson.Marshal(all)
	require.NoError(t, err)
	text = hostName.ReplaceAll(text, []byte(`"worker"`))
	name := strings.NewReplacer("/", "-", "|", "-", " ", "-").Replace(t.Name())
	file, err := os.Create(filepath.Join(directory, fmt.Sprintf("%s-%s-%d.json.gz", name, workflowType, len(all.Events))))
	require.NoError(t, err)
	zipped := gzip.NewWriter(file)
	_, err = zipped.Write(text)
	require.NoError(t, errors.Join(err, zipped.Close(), file.Close()))
}
