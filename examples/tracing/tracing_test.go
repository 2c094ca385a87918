package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// TestMain makes the tests those of a program that hands its traces on to whom it calls.
func TestMain(m *testing.M) {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`(?s)^Calls .*
span +status +attempt +duration
  LinkTokens.Create +20\d +1  .*
  AvailableProjects.List +200 +1  .*
  Migrations.Create +20\d +1  .*
  Migrations.Get +503 Error +1  .*
  Migrations.Get +200 +2  .*
begin a migration +- +\S+
$`)
	if !wanted.MatchString(out.String()) {
		t.Errorf("printed:\n%s", out.String())
	}
}

// fixture is the in-memory Atlas and a client whose spans are recorded.
type fixture struct {
	*livemigrationtest.Server
	client *livemigration.Client
	tracer trace.Tracer
	spans  *tracetest.InMemoryExporter
}

// inBubble runs a test on virtual time, on which the waits before repeats pass at once. It fails if a goroutine is left.
func inBubble(t *testing.T, test func(*testing.T, *fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{
			Server: livemigrationtest.NewServer(livemigrationtest.WithInProcess()),
			spans:  tracetest.NewInMemoryExporter(),
		}
		defer f.Close()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(f.spans))
		f.tracer = provider.Tracer("test")
		var err error
		if f.client, err = f.NewClient(Traced(provider)); err != nil {
			t.Fatal(err)
		}
		test(t, f)
	})
}

// want is what a test expects of a span.
type want struct {
	name    string
	scope   string
	attempt int64
	code    codes.Code
	status  int64 // the status of HTTP, 0 without a response
}

// check compares the spans, in the order in which they have ended.
func (f *fixture) check(t *testing.T, parent trace.SpanContext, wanted ...want) {
	t.Helper()
	spans := f.spans.GetSpans()
	if len(spans) != len(wanted) {
		t.Fatalf("%d spans, want one for each of %d attempts", len(spans), len(wanted))
	}
	for i, span := range spans {
		attributes := attribute.NewSet(span.Attributes...)
		operation, _ := attributes.Value("livemigration.operation")
		scope, _ := attributes.Value("livemigration.scope")
		attempt, _ := attributes.Value("livemigration.attempt")
		status, _ := attributes.Value("http.response.status_code")
		got := want{span.Name, scope.AsString(), attempt.AsInt64(), span.Status.Code, status.AsInt64()}
		if got != wanted[i] || operation.AsString() != span.Name {
			t.Errorf("span %d is %+v of operation %q, want %+v", i, got, operation.AsString(), wanted[i])
		}
		if span.SpanKind != trace.SpanKindClient || span.SpanContext.TraceID() != parent.TraceID() || span.Parent.SpanID() != parent.SpanID() {
			t.Errorf("span %d is a %s span below %s, want a client span below that of the caller", i, span.SpanKind, span.Parent.SpanID())
		}
	}
	if n := len(f.Recorded()); f.PendingFaultCount() != 0 || n < len(wanted) {
		t.Errorf("%d requests have arrived, and %d faults are left", n, f.PendingFaultCount())
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	const unknown = livemigration.MigrationID("000000000000000000000000")
	for name, test := range map[string]struct {
		call  func(context.Context, *fixture) error
		fault livemigrationtest.Fault
		times int
		fails bool
		want  func(org, project string) []want
	}{
		"success": {
			call: func(ctx context.Context, f *fixture) error {
				_, err := f.client.Migrations.Create(ctx, f.ProjectID(), f.SampleRequest())
				return err
			},
			want: func(_, project string) []want {
				return []want{{"Migrations.Create", project, 1, codes.Unset, 201}}
			},
		},
		"a retry": {
			call:  list,
			fault: livemigrationtest.Status(http.StatusServiceUnavailable), times: 1,
			want: func(org, _ string) []want {
				return []want{
					{"AvailableProjects.List", org, 1, codes.Error, 503},
					{"AvailableProjects.List", org, 2, codes.Unset, 200},
				}
			},
		},
		"no response": {
			call:  list,
			fault: livemigrationtest.ResetAfterRequest(), times: 2,
			want: func(org, _ string) []want {
				return []want{
					{"AvailableProjects.List", org, 1, codes.Error, 0},
					{"AvailableProjects.List", org, 2, codes.Error, 0},
					{"AvailableProjects.List", org, 3, codes.Unset, 200},
				}
			},
		},
		"a refusal": {
			call: func(ctx context.Context, f *fixture) error {
				_, err := f.client.Migrations.Get(ctx, f.ProjectID(), unknown)
				return err
			},
			fails: true,
			want: func(_, project string) []want {
				return []want{{"Migrations.Get", project, 1, codes.Error, 404}}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				f.Inject(livemigrationtest.AnyOperation, test.fault, test.times)
				ctx, parent := f.tracer.Start(t.Context(), "caller")
				if err := test.call(ctx, f); (err != nil) != test.fails {
					t.Errorf("error %v, want one: %t", err, test.fails)
				}
				f.check(t, parent.SpanContext(), test.want(string(f.OrgID()), string(f.ProjectID()))...)
			})
		})
	}
}

func list(ctx context.Context, f *fixture) error {
	_, err := f.client.AvailableProjects.List(ctx, f.OrgID())
	return err
}

func TestSpanOfAnotherRequest(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://atlas.test/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if name := spanName("", req); name != "HTTP GET" {
		t.Errorf("the name is %q", name)
	}
}

// observer keeps what the requests that pass it show in their lines and headers.
type observer struct {
	mu   sync.Mutex
	seen []string
}

func (o *observer) around(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		o.mu.Lock()
		o.seen = append(o.seen, fmt.Sprint(req.Method, " ", req.URL, " ", req.Header))
		o.mu.Unlock()
		return next.RoundTrip(req)
	})
}

func (o *observer) texts() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// proofs are what an Authorization header holds besides names: nonces, hashes, tokens, and a secret in base64.
var proofs = regexp.MustCompile(`(?:\b(?:nonce|cnonce|response|opaque)=|Bearer |Basic )"?([^",\] ]+)`)

// TestNoSecrets looks through the spans and through the requests on both sides of the tracing, for what the wire shows.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		credentials func(*fixture) livemigration.Credentials
		secrets     func(*fixture) []string
		proofs      int // on the wire, at least
	}{
		"API key": {
			func(f *fixture) livemigration.Credentials { return f.Credentials() },
			func(f *fixture) []string {
				public, private := f.APIKey()
				return []string{public, private.Reveal()}
			}, 6,
		},
		"service account": {
			func(f *fixture) livemigration.Credentials { return f.ServiceAccountCredentials() },
			func(f *fixture) []string {
				id, secret := f.ServiceAccount()
				return []string{id, secret.Reveal()}
			}, 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				var wire, around, within observer
				var err error
				f.client, err = livemigration.NewClient(test.credentials(f),
					livemigration.WithBaseURL(f.URL()),
					livemigration.WithHTTPClient(&http.Client{Transport: wire.around(f.Transport())}),
					livemigration.WithTransportWrapper(within.around),
					Traced(sdktrace.NewTracerProvider(sdktrace.WithSyncer(f.spans))),
					livemigration.WithTransportWrapper(around.around))
				if err != nil {
					t.Fatal(err)
				}
				secrets := append(test.secrets(f), f.SampleRequest().Source.Password.Reveal(), f.useEverything(t))
				found := proofsOn(wire.texts())
				if len(found) < test.proofs {
					t.Errorf("only %d proofs are on the wire", len(found))
				}
				secrets = append(secrets, found...)
				wantNone(t, "a request on the wire", wire.texts(), []string{"Traceparent", "Tracestate", "Baggage"})
				for place, texts := range map[string][]string{
					"a request around the tracing": around.texts(), "a request within it": within.texts(), "a span": f.spanTexts(),
				} {
					wantNone(t, place, texts, append(secrets, "Authorization", "Digest ", "Bearer ", "Basic "))
				}
			})
		})
	}
}

// proofsOn returns the different proofs in the texts.
func proofsOn(texts []string) (found []string) {
	for _, match := range proofs.FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
		found = append(found, match[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// wantNone looks in texts that are of calls for what must not be there.
func wantNone(t *testing.T, place string, texts, unwanted []string) {
	t.Helper()
	all := strings.Join(texts, "\n")
	if !strings.Contains(all, "/liveMigrations") {
		t.Errorf("the texts of %s say too little to be a test:\n%s", place, all)
	}
	for _, text := range unwanted {
		if strings.Contains(all, text) {
			t.Errorf("%q is in %s", text, place)
		}
	}
}

// useEverything makes calls that succeed, fail, and have to authenticate again. It returns the link-token.
func (f *fixture) useEverything(t *testing.T) string {
	t.Helper()
	ctx := t.Context()
	f.Inject(livemigrationtest.Handshake, livemigrationtest.ResetBeforeRequest(), 1)
	f.Inject(livemigrationtest.IssueToken, livemigrationtest.Status(http.StatusServiceUnavailable), 1)
	token, err := f.client.LinkTokens.Create(ctx, f.OrgID(), livemigration.LinkTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	f.ExpireNonces()
	f.ExpireTokens()
	created, err := f.client.Migrations.Create(ctx, f.ProjectID(), f.SampleRequest())
	if err != nil {
		t.Fatal(err)
	}
	f.Inject(livemigrationtest.GetMigration, livemigrationtest.ResetAfterRequest(), 1)
	f.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(http.StatusServiceUnavailable), 1)
	if _, err := f.client.Migrations.Get(ctx, f.ProjectID(), created.ID); err != nil {
		t.Fatal(err)
	}
	f.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(http.StatusUnauthorized), 100)
	if _, err := f.client.Migrations.Get(ctx, f.ProjectID(), created.ID); !errors.Is(err, livemigration.ErrUnauthorized) {
		t.Errorf("error %v, want that of a rejection", err)
	}
	f.ClearFaults()
	if err := f.FailMigration(created.ID); err != nil { // while it runs, the link-token stays
		t.Fatal(err)
	}
	if err := f.client.LinkTokens.Delete(ctx, f.OrgID()); err != nil {
		t.Fatal(err)
	}
	return token.Token.Reveal()
}

// spanTexts are the spans with all that they hold.
func (f *fixture) spanTexts() (texts []string) {
	for _, span := range f.spans.GetSpans() {
		texts = append(texts, fmt.Sprintf("%+v", span))
	}
	return texts
}
