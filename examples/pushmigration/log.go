package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// openLog returns the client's logger. All that the client logs goes to the file; repeats and outages, without which a
// wait would seem to hang, also go to notify.
func openLog(path string, notify func(string)) (logger *slog.Logger, closeLog func(), err error) {
	handler := slog.DiscardHandler
	closeLog = func() {}
	if path != "" {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, nil, usagef("-debug-log %s: %s", path, withoutPath(err))
		}
		closeLog = func() { closeQuietly(file) }
		if err := file.Chmod(0o600); err != nil { // the file may be older than this run
			closeLog()
			return nil, nil, usagef("-debug-log %s: %s", path, withoutPath(err))
		}
		handler = slog.NewTextHandler(file, &slog.HandlerOptions{Level: slog.LevelDebug})
	}
	return slog.New(noticeHandler{handler, notify}), closeLog, nil
}

func closeQuietly(c io.Closer) { _ = c.Close() }

// noticeHandler passes records on, and tells notify of those that somebody who waits wants to know.
type noticeHandler struct {
	slog.Handler
	notify func(string)
}

func (h noticeHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.Handler.Enabled(ctx, level)
}

func (h noticeHandler) Handle(ctx context.Context, record slog.Record) error {
	const state = "state" // which the display shows by itself
	if record.Level >= slog.LevelInfo && record.Message != state {
		h.notify(notice(record))
	}
	if !h.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, record)
}

func (h noticeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return noticeHandler{h.Handler.WithAttrs(attrs), h.notify}
}

func (h noticeHandler) WithGroup(name string) slog.Handler {
	return noticeHandler{h.Handler.WithGroup(name), h.notify}
}

// notice is a record in a few words: its message, and the error in it.
func notice(record slog.Record) string {
	words := record.Message
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			words = fmt.Sprintf("%s: %s", words, a.Value)
		}
		return true
	})
	return words
}
