package durable

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRecord makes sure that what can be read can be written again as it is, and that the functions of a record take
// whatever can be read.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(golden))
	for _, state := range allStates {
		text, err := json.Marshal(recordIn(state))
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Record
		if json.Unmarshal(data, &r) != nil {
			return
		}
		text, err := json.Marshal(r)
		require.NoError(t, err)
		var again Record
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, r.State, again.State)
		require.Equal(t, string(text), string(mustJSON(t, again)))
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		for _, action := range allActions {
			begun := r.Begin(action, now)
			require.NoError(t, begun.Validate())
			recovered := begun.Recover(now)
			require.Empty(t, recovered.Begun)
			require.NoError(t, recovered.Validate())
			require.NoError(t, begun.Merge(recovered).Validate())
		}
	})
}

func mustJSON(t *testing.T, r Record) []byte {
	text, err := json.Marshal(r)
	require.NoError(t, err)
	return text
}
