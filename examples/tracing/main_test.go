package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// spansOf are what a program leaves whose client has credentials of that kind.
func spansOf(t *testing.T, credentials func(*livemigrationtest.Server) livemigration.Credentials) (spans tracetest.SpanStubs, secrets []string) {
	t.Helper()
	srv := livemigrationtest.NewServer(livemigrationtest.InProcess())
	defer srv.Close()
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter))
	seen := &secretKeeper{base: srv.Transport()}
	client, err := livemigration.NewClient(credentials(srv), livemigration.WithBaseURL(srv.URL()),
		livemigration.WithHTTPClient(&http.Client{Transport: seen}), Traced(provider))
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := provider.Tracer("test").Start(t.Context(), "parent")
	if err := start(ctx, srv, client); err != nil {
		t.Fatal(err)
	}
	span.End()
	public, private := srv.APIKey()
	id, secret := srv.ServiceAccount()
	return exporter.GetSpans(), append(seen.secrets, public, private.Reveal(), id, secret.Reveal())
}

// secretKeeper remembers the credentials that go over the wire.
type secretKeeper struct {
	base    http.RoundTripper
	secrets []string
}

func (k *secretKeeper) RoundTrip(req *http.Request) (*http.Response, error) {
	if value := req.Header.Get("Authorization"); value != "" {
		k.secrets = append(k.secrets, value)
	}
	return k.base.RoundTrip(req)
}

func TestEachAttemptIsASpan(t *testing.T) {
	for name, credentials := range map[string]func(*livemigrationtest.Server) livemigration.Credentials{
		"API key": (*livemigrationtest.Server).Credentials, "service account": (*livemigrationtest.Server).ServiceAccountCredentials,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spans, secrets := spansOf(t, credentials)
				parent := spans[len(spans)-1] // the first to start is the last to end
				var got []string
				for _, span := range spans[:len(spans)-1] {
					values := attribute.NewSet(span.Attributes...)
					read := func(key attribute.Key) string {
						v, _ := values.Value(key)
						return v.String()
					}
					if span.Name != read("livemigration.operation") || len(read("livemigration.scope")) != 24 {
						t.Errorf("span %s is labelled %v", span.Name, span.Attributes)
					}
					if span.Parent.SpanID() != parent.SpanContext.SpanID() {
						t.Errorf("span %s is not below the caller's", span.Name)
					}
					got = append(got, fmt.Sprint(span.Name, " ", read("livemigration.attempt"), " ", read("http.response.status_code"), " ", span.Status.Code == codes.Error))
				}
				want := []string{
					"Validations.Create 1 200 false", "Validations.Get 1 200 false",
					"Migrations.Create 1 503 true", "Migrations.Create 2 201 false", "Migrations.Get 1 200 false",
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("spans\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				text := fmt.Sprintf("%+v", spans)
				for _, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Error("a span shows a secret")
					}
				}
				if strings.Contains(text, "Authorization") {
					t.Error("a span shows a header of authentication")
				}
			})
		})
	}
}

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^Validations.Create .*\nValidations.Get .*\nMigrations.Create +attempt 1  status 503 .*\nMigrations.Create +attempt 2  status 201 .*\nMigrations.Get .*\nstart a migration +attempt -  status -  .*\n$`)
	if !want.MatchString(out.String()) {
		t.Errorf("printed\n%s", out.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, &out); !errors.Is(err, context.Canceled) {
		t.Errorf("after Ctrl-C: %v", err)
	}
}
