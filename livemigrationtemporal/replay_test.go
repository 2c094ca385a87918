package livemigrationtemporal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

func replay(h *history.History) error {
	replayer := worker.NewWorkflowReplayer()
	RegisterWorkflows(replayer)
	return replayer.ReplayWorkflowHistory(silence{}, h)
}

// recorded are histories that earlier versions of this module wrote. They stay, and later versions add theirs: a workflow
// that began under one version must go on under the next.
func recorded(t *testing.T) map[string]*history.History {
	t.Helper()
	files, err := filepath.Glob("testdata/histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := make(map[string]*history.History)
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(t, err)
		all[strings.TrimSuffix(filepath.Base(file), ".json")], err = client.HistoryFromJSON(f, client.HistoryJSONOptions{})
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	return all
}

func TestReplayOfRecordedHistories(t *testing.T) {
	for name, h := range recorded(t) {
		t.Run(name, func(t *testing.T) { require.NoError(t, replay(h)) })
	}
}

// A replay notices a step that is not the one that was recorded.
func TestReplayNoticesOtherSteps(t *testing.T) {
	h := recorded(t)["migration"]
	for _, event := range h.Events {
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			scheduled.ActivityType.Name = "something else"
			break
		}
	}
	require.ErrorContains(t, replay(h), "something else")
}
