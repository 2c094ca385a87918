package livemigrationtest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	forEachOperation(t, func(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation, version string) {
		plain := send(t, srv, prepare(t, srv, op, version))
		plain.body = withoutDrawn(srv, plain.body)

		srv = newOpenServer(t)
		r := prepare(t, srv, op, version)
		r.path += "?envelope=true"
		res := send(t, srv, r)
		var body struct {
			Status  int
			Content json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(res.body), &body), res.body)
		assert.Equal(t, plain.status, body.Status)
		assert.Equal(t, responseType(r, res), res.header.Get("Content-Type"))
		switch {
		case plain.status == http.StatusNoContent:
			assert.Equal(t, http.StatusOK, res.status)
			assert.Equal(t, "null", string(body.Content))
		case plain.body == "":
			assert.Equal(t, plain.status, res.status)
			assert.Equal(t, "null", string(body.Content))
		default:
			assert.Equal(t, plain.status, res.status)
			if op != livemigrationtest.CreateLinkToken { // two of them are never the same
				assert.JSONEq(t, plain.body, withoutDrawn(srv, string(body.Content)))
			}
		}
	})
}

// withoutDrawn replaces what every server draws for its ids.
func withoutDrawn(srv *livemigrationtest.Server, text string) string {
	return strings.ReplaceAll(text, string(srv.OrgID())[8:18], "..........")
}

func TestEnvelopeOfError(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	r := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, "0123456789abcdef01234567")
	r.path += "?envelope=true"
	res := send(t, srv, r)
	assert.Equal(t, http.StatusNotFound, res.status)
	body := res.object(t)
	assert.EqualValues(t, 404, body["status"])
	content, _ := body["content"].(map[string]any)
	assert.Equal(t, "RESOURCE_NOT_FOUND", content["errorCode"])
}

func TestPretty(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	r := prepare(t, srv, livemigrationtest.GetMigration, v2Prefix)
	plain := send(t, srv, r)
	assert.NotContains(t, plain.body, "\n")
	r.path += "?pretty=true&unknown=1"
	pretty := send(t, srv, r)
	assert.Contains(t, pretty.body, "{\n  \"_id\"")
	assert.JSONEq(t, plain.body, pretty.body)
}

func TestQueryFlags(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pretty", "envelope"} {
		for value, ok := range map[string]bool{
			"=true": true, "=false": true, "=": false, "": false, "=1": false, "=True": false, "=true&" + name + "=no": false,
		} {
			t.Run(name+value, func(t *testing.T) {
				t.Parallel()
				srv := newOpenServer(t)
				r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
				r.path += "?" + name + value
				res := send(t, srv, r)
				if ok {
					assert.Equal(t, http.StatusOK, res.status)
					return
				}
				assert.Equal(t, http.StatusBadRequest, res.status)
				assert.Regexp(t, `"field": ?"`+name+`"`, res.body)
			})
		}
	}
}
