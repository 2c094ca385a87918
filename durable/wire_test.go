package durable

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go"
)

// wire is an in-process Atlas for one record, on virtual time. Each operation has an answer.
type wire struct {
	client  *livemigration.Client
	answers map[string]answer
	sent    []string // operations
	bodies  []string
}

type answer func(*http.Request) (*http.Response, error)

func onWire(t *testing.T, test func(*testing.T, *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answers: map[string]answer{
			opValidate:        reply(200, `{"_id": "`+string(validationID)+`", "status": "PENDING"}`),
			opCheckValidation: reply(200, `{"_id": "`+string(validationID)+`", "status": "SUCCESS"}`),
			opCreate:          reply(201, migrationJSON(false, "null")),
			opCheck:           reply(200, migrationJSON(true, "3")),
			opCutover:         reply(202, ""),
		}}
		token := livemigration.TokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "a-token"}))
		client, err := livemigration.NewClient(token, livemigration.WithHTTPClient(&http.Client{Transport: w, Timeout: time.Hour}))
		require.NoError(t, err)
		w.client = client
		test(t, w)
	})
}

func migrationJSON(ready bool, lag string) string {
	const format = `{"_id": %q, "status": "WORKING", "readyForCutover": %v, "migrationHosts": ["vm-a.example.com"], "lagTimeSeconds": %s}`
	return fmt.Sprintf(format, migrationID, ready, lag)
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	op := opCheck
	switch validation := strings.Contains(req.URL.Path, "/validate"); {
	case req.Method == http.MethodPut:
		op = opCutover
	case req.Method == http.MethodPost && validation:
		op = opValidate
	case req.Method == http.MethodPost:
		op = opCreate
	case validation:
		op = opCheckValidation
	}
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	w.sent, w.bodies = append(w.sent, op), append(w.bodies, string(body))
	return w.answers[op](req)
}

func reply(status int, body string, header ...string) answer {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
		}, nil
	}
}

// atlasError is an error in Atlas's own JSON.
func atlasError(status int, code string, header ...string) answer {
	return reply(status, fmt.Sprintf(`{"error": %d, "errorCode": %q, "detail": "a detail", "reason": "r"}`, status, code), header...)
}

func broken(err error) answer {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// later answers after some time, or when the request has ended.
func later(d time.Duration, then answer) answer {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return then(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

func (w *wire) driver(t *testing.T, opts ...Option) *Driver {
	t.Helper()
	d, err := NewDriver(w.client, opts...)
	require.NoError(t, err)
	return d
}

// now begins the next action of a record, whose history is moved to this instant.
func now(r Record) Record {
	for i := range r.Approved {
		r.Approved[i].At = time.Now()
	}
	r.PlannedAt = stamp(time.Now())
	r.Events = []Event{{r.PlannedAt, "planned"}}
	return r.Begin(r.Next(time.Now()), "run-1", time.Now())
}

func do(t *testing.T, d *Driver, r Record) Result {
	t.Helper()
	require.NotNil(t, r.Begun)
	res := d.Do(t.Context(), r)
	assert.Equal(t, *r.Begun, res.Intent)
	assert.Equal(t, r.State, res.State)
	return res
}
