package livemigration

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// verbs are all that package fmt hands to a value's own formatting: %T names the type, and %p and %w are errors for a
// string, which go vet reports.
var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%b", "%o", "%O", "%c", "%U", "%e", "%g", "%t", "%10s", "%-10.3v", "%!"}

func TestSecretShowsNothing(t *testing.T) {
	t.Parallel()
	const secret = Secret("hunter2")
	assert.Equal(t, "hunter2", secret.Reveal())
	for _, verb := range verbs {
		out := fmt.Sprintf(verb, secret)
		assert.NotContains(t, out, "hunter2", verb)
		assert.NotContains(t, out, "68756e74657232", verb)
	}
	assert.Equal(t, "[REDACTED]", secret.String())
	assert.Equal(t, "[REDACTED]", secret.GoString())
	assert.Equal(t, "[REDACTED] and [[REDACTED]]", fmt.Sprintf("%v and %v", secret, []Secret{secret}))

	data, err := json.Marshal(map[string]any{"password": secret, "list": []Secret{secret}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"password":"[REDACTED]","list":["[REDACTED]"]}`, string(data))
	data, err = xml.Marshal(secret)
	require.NoError(t, err)
	assert.NotContains(t, string(data), "hunter2")

	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("message", "secret", secret, slog.Any("struct", struct{ Password Secret }{secret}))
	}
	assert.NotContains(t, log.String(), "hunter2")
	assert.Contains(t, log.String(), "[REDACTED]")
}

func TestSecretLoadsFromJSON(t *testing.T) {
	t.Parallel()
	var source Source
	require.NoError(t, json.Unmarshal([]byte(`{"password": "hunter2"}`), &source))
	assert.Equal(t, "hunter2", source.Password.Reveal())
}
