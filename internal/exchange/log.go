package exchange

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/response"
)

// logAttempt records the end of an attempt.
func (c *call) logAttempt(f *Failure) {
	if !c.x.Logger.Enabled(c.ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.Int("status", c.status), slog.Duration("duration", time.Since(c.started)), slog.Duration("wait", c.turnWait),
	}
	c.log(slog.LevelDebug, "attempt", append(attrs, failureAttrs(f)...)...)
}

// logRetry records that there will be another attempt. A poll is retried for as long as an outage lasts, of which the
// wait tells by itself.
func (c *call) logRetry() {
	level := slog.LevelInfo
	if c.Class == pacing.Poll {
		level = slog.LevelDebug
	}
	if c.x.Logger.Enabled(c.ctx, level) {
		attrs := []slog.Attr{slog.Int("status", c.status), slog.Duration("wait", c.wait)}
		c.log(level, "retry", append(attrs, failureAttrs(&c.failure)...)...)
	}
}

// logCreated records the id of a job the moment it is known: nothing else finds it again.
func (c *call) logCreated(id string) {
	c.Job = id
	if c.x.Logger.Enabled(c.ctx, slog.LevelInfo) {
		c.log(slog.LevelInfo, "created")
	}
}

// failureAttrs are empty for a success.
func failureAttrs(f *Failure) (attrs []slog.Attr) {
	if f.None() {
		return nil
	}
	if f.Response != nil {
		attrs = append(attrs, slog.String("code", f.Response.Code), slog.String("request_id", f.Response.RequestID))
	}
	return append(attrs, slog.String("error", f.Text))
}

func (c *call) log(level slog.Level, message string, attrs ...slog.Attr) {
	all := append([]slog.Attr{slog.String("operation", c.Endpoint.Name)}, c.Endpoint.LogAttrs(c.Scope, c.Job)...)
	all = append(all, slog.String("method", c.Endpoint.Method), slog.String("path", c.Path), slog.Int("attempt", c.attempts))
	c.x.Logger.LogAttrs(c.ctx, level, message, append(all, attrs...)...)
}

// logDeprecation warns once for each endpoint that Atlas will remove it (RFC 9745, RFC 8594).
func (c *call) logDeprecation(h http.Header) {
	var attrs []slog.Attr
	for _, name := range []string{"Deprecation", "Sunset"} {
		if value := h.Get(name); value != "" {
			attr := slog.String(strings.ToLower(name), c.redactor().Clean(value))
			if date, ok := response.Time(value); ok {
				attr = slog.Time(attr.Key, date)
			}
			attrs = append(attrs, attr)
		}
	}
	if len(attrs) == 0 || !c.x.Logger.Enabled(c.ctx, slog.LevelWarn) {
		return
	}
	if _, known := c.x.deprecated.LoadOrStore(c.Endpoint, true); known {
		return
	}
	c.log(slog.LevelWarn, "Atlas is going to remove this version of the operation: update this library", attrs...)
}
