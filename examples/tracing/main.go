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
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/otel/attribute"
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

func run(ctx context.Context, out io.Writer) error {
	server := livemigrationtest.NewServer()
	defer server.Close()
	server.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(http.StatusServiceUnavailable), 1)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "Calls to the in-memory Atlas, which responds to the first Migrations.Get with 503:\n\n"+
		"SPAN\tSTATUS\tATTEMPT\tDURATION")
	// A program of your own has WithBatcher, and the exporter of its collector.
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(printer{table}))
	client, err := server.NewClient(Traced(provider),
		livemigration.WithRetryPolicy(livemigration.RetryPolicy{BaseBackoff: 100 * time.Millisecond}))
	if err != nil {
		return err
	}
	err = migrate(ctx, provider.Tracer("tracing-example"), client, server)
	return errors.Join(err, provider.Shutdown(context.WithoutCancel(ctx)), table.Flush())
}

// migrate makes calls within a span, as a program does that is traced itself.
func migrate(ctx context.Context, tracer trace.Tracer, client *livemigration.Client, server *livemigrationtest.Server) (err error) {
	ctx, span := tracer.Start(ctx, "start a migration")
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
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

// printer is an exporter that prints one line for each span.
type printer struct{ out io.Writer }

// ExportSpans prints spans. A span within another one is indented, and above it, since it ends before it.
func (p printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, span := range spans {
		name := span.Name()
		if span.Parent().IsValid() {
			name = "  " + name
		}
		attributes := attribute.NewSet(span.Attributes()...)
		status, _ := attributes.Value("http.response.status_code")
		attempt, _ := attributes.Value("livemigration.attempt")
		took := span.EndTime().Sub(span.StartTime()).Round(time.Microsecond)
		_, err := fmt.Fprintf(p.out, "%s\t%s %s\t%s\t%s\n", name, status.String(), span.Status().Code, attempt.String(), took)
		if err != nil {
			return err
		}
	}
	return nil
}

// Shutdown has nothing to do.
func (printer) Shutdown(context.Context) error { return nil }
