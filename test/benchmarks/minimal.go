package benchmarks

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/livemigration/livemigration-go"
)

const (
	minimalUsername  = "abcdefgh"
	minimalPassword  = "01234567-89ab-cdef-0123-456789abcdef"
	minimalNonce     = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
	minimalOrg       = "5f1a2b3c4d5e6f7081920a01"
	minimalProject   = "5f1a2b3c4d5e6f7081920a02"
	minimalMigration = "5f1a2b3c4d5e6f7081920a03"
)

// minimal is a server that checks HTTP Digest and responds with bytes that it has ready, so that its own cost does not
// hide the client's.
type minimal struct {
	verifier verifier
	rejects  atomic.Int32 // how many authenticated requests are still to be rejected

	challenge, notFound, rejection, one, created, list ready
}

// ready is a response.
type ready struct {
	status int
	header http.Header
	body   []byte
}

func newReady(status int, body []byte) ready {
	return ready{status, http.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {strconv.Itoa(len(body))},
	}, body}
}

func (a *ready) write(w http.ResponseWriter) {
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone notices by itself
}

func newMinimal(projects []livemigration.AvailableProject) *minimal {
	body := mustJSON(migration{ID: minimalMigration, Status: "WORKING", MigrationHosts: hosts})
	m := &minimal{
		verifier:  newVerifier(minimalNonce, minimalUsername, minimalPassword),
		challenge: newReady(http.StatusUnauthorized, []byte(`{"error":401,"reason":"Unauthorized"}`)),
		rejection: newReady(http.StatusTooManyRequests, []byte(`{"error":429,"errorCode":"RATE_LIMITED","reason":"Too Many Requests"}`)),
		notFound:  newReady(http.StatusNotFound, []byte(`{"error":404,"errorCode":"NOT_FOUND","reason":"Not Found"}`)),
		one:       newReady(http.StatusOK, body),
		created:   newReady(http.StatusCreated, body),
		list:      newReady(http.StatusOK, mustJSON(projects)),
	}
	m.challenge.header["Www-Authenticate"] = []string{m.verifier.challenge()}
	return m
}

func (m *minimal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // what does not arrive is the client's failure too
	m.respond(r).write(w)
}

func (m *minimal) respond(r *http.Request) *ready {
	switch {
	case !m.verifier.accepts(r):
		return &m.challenge
	case m.rejects.Load() > 0 && m.rejects.Add(-1) >= 0:
		return &m.rejection
	case r.Method == http.MethodPost:
		return &m.created
	case strings.HasSuffix(r.URL.Path, "/availableProjects"):
		return &m.list
	case strings.HasSuffix(r.URL.Path, "/"+minimalMigration):
		return &m.one
	default:
		return &m.notFound
	}
}
