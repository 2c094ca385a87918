package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/livemigration/livemigration-go"
)

// Traced makes a span of each attempt of each call, named after the operation, below the span of the caller's context. No
// span contains a header, a body or credentials.
func Traced(provider trace.TracerProvider) livemigration.Option {
	return livemigration.WithTransportWrapper(func(next http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(labelling{next},
			otelhttp.WithTracerProvider(provider),
			otelhttp.WithSpanNameFormatter(spanName),
			// Neither trace IDs nor baggage are sent to Atlas.
			otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()))
	})
}

// spanName says what the request is for. The default of otelhttp is only its verb.
func spanName(_ string, req *http.Request) string {
	if attempt, ok := livemigration.AttemptFromContext(req.Context()); ok {
		return attempt.Operation
	}
	return "HTTP " + req.Method
}

// labelling adds attributes to the span that otelhttp has put into the context of a request.
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
