// Command tracing records each HTTP request of a client as an OpenTelemetry span, and prints the spans.
//
//	tracing   calls on an Atlas in memory, of which one is refused and repeated
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tracing:", err)
		os.Exit(1)
	}
}

// run makes the calls of a small program below one span.
func run(ctx context.Context, out io.Writer) error {
	provider := trace.NewTracerProvider(trace.WithSyncer(printer{out}))
	// Spans that are not exported yet are lost without this, also after Ctrl-C.
	defer func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) }()
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	client, err := srv.NewClient(Traced(provider))
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	ctx, span := provider.Tracer("example").Start(ctx, "start a migration")
	defer span.End()
	return start(ctx, srv, client)
}

// start validates a migration, starts it and reads it. Atlas is busy when it is to be started.
func start(ctx context.Context, srv *livemigrationtest.Server, client *livemigration.Client) error {
	validation, err := client.Validations.Create(ctx, srv.ProjectID(), srv.Request())
	if err != nil {
		return err
	}
	srv.Advance(srv.Timings().Validation)
	if _, err := client.Validations.Wait(ctx, srv.ProjectID(), validation.ID); err != nil {
		return err
	}
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(503).WithRetryAfter(0), 1)
	migration, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.Request())
	if err != nil {
		return err
	}
	_, err = client.Migrations.Get(ctx, srv.ProjectID(), migration.ID)
	return err
}

// printer exports spans to a reader.
type printer struct{ out io.Writer }

// ExportSpans prints a line for each span.
func (p printer) ExportSpans(_ context.Context, spans []trace.ReadOnlySpan) error {
	var errs []error
	for _, span := range spans {
		_, err := fmt.Fprintf(p.out, "%-20s attempt %s  status %-3s  %s\n", span.Name(), value(span, "livemigration.attempt"),
			value(span, "http.response.status_code"), span.EndTime().Sub(span.StartTime()).Round(10*time.Microsecond))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Shutdown does nothing: each span has been printed.
func (printer) Shutdown(context.Context) error { return nil }

// value is that of an attribute, or a dash.
func value(span trace.ReadOnlySpan, key attribute.Key) string {
	for _, a := range span.Attributes() {
		if a.Key == key {
			return strconv.FormatInt(a.Value.AsInt64(), 10)
		}
	}
	return "-"
}
