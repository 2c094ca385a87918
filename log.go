package livemigration

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// logAttempt records the end of an attempt.
func (c *call) logAttempt(f *failure) {
	if !c.client.logger.Enabled(c.ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.Int("status", c.status), slog.Duration("duration", time.Since(c.started)), slog.Duration("wait", c.turnWait),
	}
	c.log(slog.LevelDebug, "attempt", append(attrs, c.failureAttrs(f)...)...)
}

// logRepeat records that the request will be repeated.
func (c *call) logRepeat() {
	if c.client.logger.Enabled(c.ctx, slog.LevelInfo) {
		attrs := []slog.Attr{slog.Int("status", c.status), slog.Duration("wait", c.wait)}
		c.log(slog.LevelInfo, "repeating request", append(attrs, c.failureAttrs(&c.failure)...)...)
	}
}

// failureAttrs are empty for a success.
func (c *call) failureAttrs(f *failure) (attrs []slog.Attr) {
	if f.err == nil {
		return nil
	}
	if f.api != nil {
		attrs = append(attrs, slog.String("code", f.api.Code), slog.String("request_id", f.api.RequestID))
	}
	return append(attrs, slog.String("error", c.errorText(f.err)))
}

func (c *call) log(level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{
		slog.String("operation", c.op.name), slog.String("scope", c.scope),
		slog.String("method", c.op.method), slog.String("path", c.path), slog.Int("attempt", c.attempts),
	}, attrs...)
	c.client.logger.LogAttrs(c.ctx, level, message, attrs...)
}

// errorText is an error as a message may show it: others may have put into it what a server sent.
func (c *call) errorText(err error) string { return c.redactor().clean(summaryOf(err)) }

// noteDeprecation warns once for each operation that Atlas will take it away (RFC 9745, RFC 8594).
func (c *call) noteDeprecation(h http.Header) {
	deprecation, sunset := h["Deprecation"], h["Sunset"]
	if len(deprecation) == 0 && len(sunset) == 0 || !c.client.logger.Enabled(c.ctx, slog.LevelWarn) {
		return
	}
	if _, known := c.client.deprecated.LoadOrStore(c.op, true); known {
		return
	}
	var attrs []slog.Attr
	if len(deprecation) > 0 {
		attrs = append(attrs, c.dateAttr("deprecation", deprecation[0]))
	}
	if len(sunset) > 0 {
		attrs = append(attrs, c.dateAttr("sunset", sunset[0]))
	}
	c.log(slog.LevelWarn, "Atlas is going to remove this version of the operation: update this library", attrs...)
}

// dateAttr is a time where the header holds one: as the seconds of a structured field, or as a date of HTTP.
func (c *call) dateAttr(key, value string) slog.Attr {
	if seconds, ok := strings.CutPrefix(value, "@"); ok {
		if n, err := strconv.ParseInt(seconds, 10, 64); err == nil {
			return slog.Time(key, time.Unix(n, 0).UTC())
		}
	}
	if date, err := http.ParseTime(value); err == nil {
		return slog.Time(key, date.UTC())
	}
	return slog.String(key, c.redactor().clean(value))
}
