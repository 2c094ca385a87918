package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/livemigration/livemigration-go"
)

// Traced makes a span of each attempt of each call, with the operation for its name, below the span of the caller's
// context. No span holds a header, a body or credentials.
func Traced(provider trace.TracerProvider) livemigration.Option {
	return livemigration.WithTransportWrapper(func(next http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(labelling{next},
			otelhttp.WithTracerProvider(provider),
			otelhttp.WithSpanNameFormatter(spanName),
			// Atlas is another house: it gets neither the ids of the traces nor the baggage of their contexts.
			otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()))
	})
}

// spanName says what the request is for. otelhttp's own name for it would be no more than its verb.
func spanName(_ string, req *http.Request) string {
	if attempt, ok := livemigration.AttemptFromContext(req.Context()); ok {
		return attempt.Operation
	}
	return "HTTP " + req.Method
}

// labelling tells the span of a request, which otelhttp has put into its context, what the request is for.
type labelling struct{ next http.RoundTripper }

func (l labelling) RoundTrip(req *http.Request) (*http.Response, error) {
	if attempt, ok := livemigration.AttemptFromContext(req.Context()); ok {
		trace.SpanFromContext(req.Context()).SetAttributes(
			attribute.String("livemigration.operation", attempt.Operation),
			attribute.String("livemigration.scope", attempt.Scope),
			attribute.Int("livemigration.attempt", attempt.Number))
	}
	return l.next.RoundTrip(req)
}
