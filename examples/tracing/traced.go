package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/livemigration/livemigration-go"
)

// Traced makes a client record each attempt of its calls as a span, below the span of the caller's context. A span has
// the name of the operation, and says in its attributes what the attempt was for. It holds no credentials: they are added
// further inside.
func Traced(provider trace.TracerProvider) livemigration.Option {
	return livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(labelled{base}, otelhttp.WithTracerProvider(provider),
			otelhttp.WithSpanNameFormatter(func(_ string, req *http.Request) string {
				attempt, _ := livemigration.AttemptFromContext(req.Context())
				return attempt.Operation
			}))
	})
}

// labelled adds what the client knows of an attempt to its span.
type labelled struct{ base http.RoundTripper }

func (l labelled) RoundTrip(req *http.Request) (*http.Response, error) {
	if attempt, ok := livemigration.AttemptFromContext(req.Context()); ok {
		trace.SpanFromContext(req.Context()).SetAttributes(
			attribute.String("livemigration.operation", attempt.Operation),
			attribute.String("livemigration.scope", attempt.Scope),
			attribute.Int("livemigration.attempt", attempt.Number),
		)
	}
	return l.base.RoundTrip(req)
}
