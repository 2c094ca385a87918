package durable

import (
	"fmt"
	"strings"
	"time"
)

// Window is a part of each day, by local time, for [WithApproval]. It may span midnight.
type Window struct {
	// From is when it opens, such as "22:00".
	From string
	// To is when it closes, such as "04:00"; "24:00" is the end of the day.
	To string
	// Location is the time zone; nil: time.Local.
	Location *time.Location
}

// ParseWindow reads "22:00-04:00".
func ParseWindow(text string, location *time.Location) (Window, error) {
	from, to, _ := strings.Cut(text, "-")
	w := Window{strings.TrimSpace(from), strings.TrimSpace(to), location}
	if _, _, ok := w.minutes(); !ok {
		return Window{}, fmt.Errorf(`durable: the window %q must be two different times of the day such as "22:00-04:00"`, clean(text))
	}
	return w, nil
}

// Open reports whether the window is open at t. A malformed window, or one whose ends are equal, is closed.
func (w Window) Open(t time.Time) bool {
	from, to, ok := w.minutes()
	if !ok {
		return false
	}
	location := w.Location
	if location == nil {
		location = time.Local
	}
	t = t.In(location)
	now := t.Hour()*60 + t.Minute()
	if from < to {
		return from <= now && now < to
	}
	return from <= now || now < to
}

// String returns the window as ParseWindow reads it.
func (w Window) String() string { return w.From + "-" + w.To }

func (w Window) minutes() (from, to int, ok bool) {
	from, fromOK := minuteOfDay(w.From)
	to, toOK := minuteOfDay(w.To)
	return from, to, fromOK && toOK && from != to && from < 24*60
}

func minuteOfDay(text string) (minute int, ok bool) {
	if text == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err == nil && len(text) == len("15:04")
}
