package durable

import (
	"errors"
	"time"
)

// Window is a part of a day, by the clock of a time zone, in which cutovers may be sent. [ParseWindow] makes one.
type Window struct {
	text     string
	days     [7]bool
	from, to int // minutes of the day
	location *time.Location
}

// ParseWindow reads "22:00-04:00" or "Fri-Sun 22:00-04:00".
func ParseWindow(text string, location *time.Location) (Window, error) {
	return Window{text: text, location: location}, errors.New("durable: not written yet")
}

// Open reports whether the window is open at t.
func (w Window) Open(t time.Time) bool { return false }

// String returns the window as ParseWindow reads it.
func (w Window) String() string { return w.text }
