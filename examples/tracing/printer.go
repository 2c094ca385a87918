package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
)

// printer is an exporter that prints one line for each span. In a program of your own there is that of your collector
// in its place.
type printer struct{ out io.Writer }

const line = "%-24s  %-10s  %7s  %s\n"

func (p printer) begin() error {
	_, err := fmt.Fprintf(p.out, line, "span", "status", "attempt", "duration")
	return err
}

// ExportSpans prints the spans. A span within another one is indented, and above it, since it ends before it.
func (p printer) ExportSpans(_ context.Context, spans []trace.ReadOnlySpan) error {
	for _, span := range spans {
		name := span.Name()
		if span.Parent().IsValid() {
			name = "  " + name
		}
		attributes := attribute.NewSet(span.Attributes()...)
		took := span.EndTime().Sub(span.StartTime()).Round(time.Microsecond)
		if _, err := fmt.Fprintf(p.out, line, name, outcome(span, attributes), text(attributes, "livemigration.attempt"), took); err != nil {
			return err
		}
	}
	return nil
}

// Shutdown has nothing to do.
func (printer) Shutdown(context.Context) error { return nil }

// outcome is the status of the response, where there is one, and whether the span counts as an error.
func outcome(span trace.ReadOnlySpan, attributes attribute.Set) string {
	status := text(attributes, "http.response.status_code")
	if span.Status().Code != codes.Error {
		return cmp.Or(status, "-")
	}
	return cmp.Or(status, span.Status().Description) + " Error"
}

// text is the value of an attribute, empty if the span has none of that key.
func text(attributes attribute.Set, key attribute.Key) string {
	value, ok := attributes.Value(key)
	if !ok {
		return ""
	}
	return value.String()
}
