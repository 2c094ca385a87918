// Command tracing shows the requests of a client as OpenTelemetry spans: it makes a few calls to the in-memory Atlas and
// prints a line for each span. [Traced], in traced.go, is what a program of your own needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "tracing: "+err.Error())
		os.Exit(1)
	}
}

// run is the program.
func run(ctx context.Context, out io.Writer) (err error) {
	_, err = io.WriteString(out, "Calls to the in-memory Atlas, which responds to the first Migrations.Get with 503:\n\n")
	exporter := printer{out}
	if err := errors.Join(err, exporter.begin()); err != nil {
		return err
	}
	// A syncer exports each span as it ends, so that they show at once. Programs that make many take WithBatcher.
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	defer func() { err = errors.Join(err, provider.Shutdown(context.WithoutCancel(ctx))) }()
	server := livemigrationtest.NewServer()
	defer server.Close()
	server.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(http.StatusServiceUnavailable), 1)
	client, err := server.NewClient(Traced(provider),
		livemigration.WithRetryPolicy(livemigration.RetryPolicy{BaseBackoff: 100 * time.Millisecond}))
	if err != nil {
		return err
	}
	return migrate(ctx, provider.Tracer("tracing-example"), client, server)
}

// migrate makes calls within a span of its own, as a program does that is traced itself.
func migrate(ctx context.Context, tracer trace.Tracer, client *livemigration.Client, server *livemigrationtest.Server) (err error) {
	ctx, span := tracer.Start(ctx, "begin a migration")
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	if _, err := client.LinkTokens.Create(ctx, server.OrgID(), livemigration.LinkTokenRequest{}); err != nil {
		return err
	}
	if _, err := client.AvailableProjects.List(ctx, server.OrgID()); err != nil {
		return err
	}
	created, err := client.Migrations.Create(ctx, server.ProjectID(), server.SampleRequest())
	if err != nil {
		return err
	}
	_, err = client.Migrations.Get(ctx, server.ProjectID(), created.ID)
	return err
}
