package livemigration

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/response"
)

// logAttempt logs the end of an attempt, and a new job the moment that its ID is known: nothing else finds it again.
func (c *call) logAttempt() {
	if c.logger.Enabled(c.ctx, slog.LevelDebug) {
		attrs := []slog.Attr{
			slog.Int("status", c.status()), slog.Duration("duration", time.Since(c.started)), slog.Duration("wait", c.paced),
		}
		c.log(slog.LevelDebug, "attempt", append(attrs, errorAttrs(c.failure.err)...)...)
	}
	if c.failure.err == nil && c.endpoint.method == http.MethodPost && c.logger.Enabled(c.ctx, slog.LevelInfo) {
		c.log(slog.LevelInfo, "created")
	}
}

func (c *call) status() int {
	if c.received == nil {
		return 0
	}
	return c.received.Status
}

// logRetry logs that there will be another attempt. A wait logs its outages, so its retries are for debugging.
func (c *call) logRetry() {
	level := slog.LevelInfo
	if c.settings.poll {
		level = slog.LevelDebug
	}
	if c.logger.Enabled(c.ctx, level) {
		attrs := []slog.Attr{slog.Int("status", c.status()), slog.Duration("wait", c.wait)}
		c.log(level, "retry", append(attrs, errorAttrs(c.failure.err)...)...)
	}
}

func errorAttrs(err error) (attrs []slog.Attr) {
	if err == nil {
		return nil
	}
	var api *APIError
	if errors.As(err, &api) {
		attrs = append(attrs, slog.String("code", api.Code), slog.String("request_id", api.RequestID))
	}
	return append(attrs, slog.String("error", causeOf(err)))
}

func (c *call) log(level slog.Level, message string, attrs ...slog.Attr) {
	all := append([]slog.Attr{slog.String("operation", c.endpoint.operation)}, c.endpoint.logAttrs(c.scope, c.job)...)
	all = append(all, slog.String("method", c.endpoint.method), slog.String("path", c.path), slog.Int("attempt", c.attempts))
	c.logger.LogAttrs(c.ctx, level, message, append(all, attrs...)...)
}

// logDeprecation warns once for each endpoint that Atlas will remove its version (RFC 9745, RFC 8594).
func (c *call) logDeprecation(h http.Header) {
	var attrs []slog.Attr
	for _, name := range []string{"Deprecation", "Sunset"} {
		value := h.Get(name)
		if value == "" {
			continue
		}
		attr := slog.String(strings.ToLower(name), c.redactor().Clean(value))
		if date, ok := response.Time(value); ok {
			attr = slog.Time(attr.Key, date)
		}
		attrs = append(attrs, attr)
	}
	if len(attrs) == 0 || !c.logger.Enabled(c.ctx, slog.LevelWarn) {
		return
	}
	if _, known := c.deprecated.LoadOrStore(c.endpoint, true); known {
		return
	}
	c.log(slog.LevelWarn, "Atlas is going to remove this version of the operation: update this library", attrs...)
}
