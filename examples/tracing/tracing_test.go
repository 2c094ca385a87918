package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// TestMain makes the tests a program that sends its trace IDs to others.
func TestMain(m *testing.M) {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Regexp(t, `(?s)^Calls .*
SPAN +STATUS +ATTEMPT +DURATION
  AvailableProjects.List +200 Unset +1  .*
  Migrations.Create +20\d Unset +1  .*
  Migrations.Get +503 Error +1  .*
  Migrations.Get +200 Unset +2  .*
start a migration .*
$`, out.String())
}

// Each attempt is a span below the caller's. No span contains a secret, and no trace ID is sent.
func TestSpans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // on virtual time, waits before retries pass at once
		server := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
		defer server.Close()
		spans := tracetest.NewInMemoryExporter()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
		client, err := server.NewClient(Traced(provider))
		require.NoError(t, err)
		ctx, parent := provider.Tracer("test").Start(t.Context(), "caller")

		server.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(http.StatusTooManyRequests), 1)
		created, err := client.Migrations.Create(ctx, server.ProjectID(), server.SampleRequest())
		require.NoError(t, err)
		server.Inject(livemigrationtest.GetMigration, livemigrationtest.ResetAfterRequest(), 1)
		server.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(http.StatusForbidden), 1)
		_, err = client.Migrations.Get(ctx, server.ProjectID(), created.ID)
		require.ErrorIs(t, err, livemigration.ErrForbidden)

		type span struct {
			name             string
			attempt, status  int64 // status 0: no response
			code             codes.Code
			belowTheCaller   bool
			scopeIsTheTarget bool
		}
		var got []span
		for _, s := range spans.GetSpans() {
			attributes := attribute.NewSet(s.Attributes...)
			attempt, _ := attributes.Value("livemigration.attempt")
			status, _ := attributes.Value("http.response.status_code")
			scope, _ := attributes.Value("livemigration.scope")
			got = append(got, span{
				s.Name, attempt.AsInt64(), status.AsInt64(), s.Status.Code,
				s.Parent.SpanID() == parent.SpanContext().SpanID(), scope.AsString() == string(server.ProjectID()),
			})
		}
		assert.Equal(t, []span{
			{"Migrations.Create", 1, 429, codes.Error, true, true},
			{"Migrations.Create", 2, 201, codes.Unset, true, true},
			{"Migrations.Get", 1, 0, codes.Error, true, true},
			{"Migrations.Get", 2, 403, codes.Error, true, true},
		}, got)

		public, private := server.APIKey()
		for _, secret := range []string{public, private.Reveal(), server.SampleRequest().Source.Password.Reveal(), "Authorization", "Digest "} {
			assert.NotContains(t, fmt.Sprintf("%+v", spans.GetSpans()), secret)
		}
		for _, request := range server.Recorded() {
			assert.Empty(t, request.Header.Get("Traceparent"))
		}
	})
}
