package exchange

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/endpoint"
)

// step is what becomes of one request below the exchange.
type step func(*http.Request) (*http.Response, error)

// RoundTrip makes a step a transport.
func (s step) RoundTrip(req *http.Request) (*http.Response, error) { return s(req) }

// sent is a step of which nobody knows whether the request arrived, unless there is a response.
func sent(s step) step { return delivery.NewTransport(s).RoundTrip }

// reply is a response. header holds names and values in turn.
func reply(status int, body string, header ...string) step {
	return sent(respond(status, body, header...))
}

// respond is a reply that goes on from where the delivery is noted.
func respond(status int, body string, header ...string) step {
	return stream(status, func(*http.Request) io.Reader { return strings.NewReader(body) }, header...)
}

// stream is a response with a body of its own for each request.
func stream(status int, body func(*http.Request) io.Reader, header ...string) step {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: h, Body: io.NopCloser(body(req)), ContentLength: -1, Request: req,
		}, nil
	}
}

// cut is a success whose body ends too early.
func cut(body string) step {
	return sent(stream(200, func(*http.Request) io.Reader {
		return io.MultiReader(strings.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF))
	}))
}

// stuck is a success whose body does not end.
func stuck(body string) step {
	return sent(stream(200, func(req *http.Request) io.Reader {
		return io.MultiReader(strings.NewReader(body), untilDone{req.Context()})
	}))
}

type untilDone struct{ ctx context.Context }

func (r untilDone) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}

// fail is an error after the request may have arrived.
func fail(err error) step {
	return sent(func(*http.Request) (*http.Response, error) { return nil, err })
}

// unsent is an error before the request was passed to a connection.
func unsent(err error) step { return func(*http.Request) (*http.Response, error) { return nil, err } }

// hang is a server that does not respond.
var hang = sent(func(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
})

// slow is a step that takes some time.
func slow(d time.Duration, s step) step {
	return func(req *http.Request) (*http.Response, error) {
		time.Sleep(d)
		return s(req)
	}
}

// scripted gives each request the next of its steps, and the last one for ever.
type scripted struct {
	steps    []step
	requests []*http.Request
	bodies   []string
	times    []time.Duration // of the requests, since the script was made
	begun    time.Time
}

func script(steps ...step) *scripted { return &scripted{steps: steps, begun: time.Now()} }

func (s *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	s.requests, s.bodies, s.times = append(s.requests, req), append(s.bodies, string(body)), append(s.times, time.Since(s.begun))
	return s.steps[min(len(s.requests), len(s.steps))-1](req)
}

// exchanger makes calls through the script.
func (s *scripted) exchanger(change ...func(*Config)) *Exchanger {
	cfg := Config{
		Transport: s, Prefix: "https://atlas.invalid/api/atlas/v2", Version: endpoint.V2, UserAgent: "test/1",
		Timeout: 30 * time.Second, Logger: slog.New(slog.DiscardHandler),
	}
	for _, change := range change {
		change(&cfg)
	}
	return New(cfg)
}

// do makes one call with a new exchanger.
func (s *scripted) do(t *testing.T, r *Request) Outcome {
	t.Helper()
	return s.exchanger().Do(t.Context(), r)
}

// attempts limits the attempts of every call.
func attempts(n int) func(*Config) { return func(c *Config) { c.Policy.MaxAttempts = n } }

const (
	scope = "e01c9427f054fe80745f3f6c"
	id    = "5f2a1c2e3d4b5a6c7d8e9f01"
)

// of is a call of an endpoint.
func of(e *endpoint.Endpoint) *Request {
	return &Request{Endpoint: e, Scope: scope, Path: e.Expand(scope, id)}
}

// The calls that most tests make: one that may be retried always, one that may not be carried out twice, one that is done
// when there is nothing left, and one that may be rejected because it has been carried out.
func reading() *Request  { return of(&endpoint.GetMigration) }
func creating() *Request { return of(&endpoint.CreateMigration) }
func deleting() *Request { return of(&endpoint.DeleteLinkToken) }
func cutting() *Request  { return of(&endpoint.Cutover) }

// authenticator stands for the transport of credentials.
type authenticator struct {
	secrets     []string
	stale       bool
	explanation string
	counts      bool
}

func (a *authenticator) Secrets() []string                  { return a.secrets }
func (a *authenticator) Explain(http.Header) (bool, string) { return a.stale, a.explanation }
func (a *authenticator) CountsRequests() bool               { return a.counts }

func with(a *authenticator) func(*Config) { return func(c *Config) { c.Authenticator = a } }
