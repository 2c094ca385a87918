package livemigration

import (
	"context"
	"log/slog"
	"time"
)

// logAttempt records the end of an attempt; err is nil for a success.
func (c *call) logAttempt(err error) {
	logger := c.client.logger
	if !logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.Int("attempt", c.attempts),
		slog.Int("status", c.status),
		slog.Duration("duration", time.Since(c.started)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", c.errorText(err)))
	}
	c.log(slog.LevelDebug, "attempt", attrs...)
}

// logRepeat records that the request will be repeated.
func (c *call) logRepeat() {
	if c.client.logger.Enabled(context.Background(), slog.LevelInfo) {
		c.log(slog.LevelInfo, "repeating request", slog.Int("attempt", c.attempts),
			slog.Duration("wait", c.wait), slog.String("error", c.errorText(c.failure.err)))
	}
}

func (c *call) log(level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{
		slog.String("operation", c.op.name), slog.String("method", c.op.method), slog.String("path", c.path),
	}, attrs...)
	c.client.logger.LogAttrs(context.Background(), level, message, attrs...)
}

// errorText is an error as a message may show it: others may have put into it what a server sent.
func (c *call) errorText(err error) string { return c.redactor().clean(summaryOf(err)) }
