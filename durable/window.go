package durable

import (
	"fmt"
	"strings"
	"time"
)

// Window is a part of a day, by the clock of a time zone, in which cutovers may be sent. [ParseWindow] makes one; the zero
// Window is never open.
//
// It opens at the first instant of the day at which the clock shows its beginning or later, and closes at the first instant
// that shows its end or later. So a window does not open twice when clocks are set back. One whose beginning and end are
// both skipped when clocks are set forward opens at the instant that the clock shows next, and is as long as on other days.
type Window struct {
	text     string
	days     [7]bool // on which it opens
	from, to int     // in minutes of the day
	location *time.Location
}

const minutesOfDay = 24 * 60

// ParseWindow reads "22:00-04:00", or "Fri-Sun 22:00-04:00" with the days on which the window opens; "Mon,Wed-Fri" are days
// too. It may span midnight, and "24:00" is the end of a day. The location must not be nil: [time.LoadLocation] returns nil
// for a time zone that it does not know.
func ParseWindow(text string, location *time.Location) (Window, error) {
	if location == nil {
		return Window{}, fmt.Errorf("durable: the window %q needs a time zone: time.UTC, time.Local, or one of time.LoadLocation", clean(text))
	}
	w := Window{location: location}
	fields := strings.Fields(strings.ReplaceAll(text, " - ", "-"))
	ok := len(fields) == 1 || len(fields) == 2
	if ok {
		ok = w.parseTimes(fields[len(fields)-1]) && w.parseDays(fields[:len(fields)-1])
	}
	if !ok {
		return Window{}, fmt.Errorf(`durable: the window %q must be times such as "22:00-04:00", or days and times such as "Fri-Sun 22:00-04:00"`,
			clean(text))
	}
	w.text = strings.Join(fields, " ")
	return w, nil
}

func (w *Window) parseTimes(text string) bool {
	from, to, _ := strings.Cut(text, "-")
	var fromOK, toOK bool
	w.from, fromOK = minuteOfDay(from)
	w.to, toOK = minuteOfDay(to)
	return fromOK && toOK && w.from != w.to && w.from < minutesOfDay
}

// minuteOfDay reads "22:00".
func minuteOfDay(text string) (int, bool) {
	if text == "24:00" {
		return minutesOfDay, true
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

func (w *Window) parseDays(fields []string) bool {
	if len(fields) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
		return true
	}
	for part := range strings.SplitSeq(fields[0], ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, fromOK := weekday(first)
		to, toOK := weekday(last)
		if !fromOK || !toOK {
			return false
		}
		for day := from; ; day = (day + 1) % 7 {
			w.days[day] = true
			if day == to {
				break
			}
		}
	}
	return true
}

// weekday reads "Fri".
func weekday(text string) (time.Weekday, bool) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(text, day.String()[:3]) {
			return day, true
		}
	}
	return 0, false
}

// Open reports whether the window is open at t.
func (w Window) Open(t time.Time) bool {
	if w.location == nil {
		return false
	}
	local := t.In(w.location)
	for _, ago := range []int{0, 1} {
		day := time.Date(local.Year(), local.Month(), local.Day()-ago, 0, 0, 0, 0, time.UTC)
		if !w.days[day.Weekday()] {
			continue
		}
		if opens, closes := w.on(day); !t.Before(opens) && t.Before(closes) {
			return true
		}
	}
	return false
}

// on returns when the window of a day opens and closes.
func (w *Window) on(day time.Time) (opens, closes time.Time) {
	length := w.to - w.from
	if length < 0 {
		length += minutesOfDay
	}
	duration := time.Duration(length) * time.Minute
	begin := day.Add(time.Duration(w.from) * time.Minute)
	opens = firstShowing(begin, w.location)
	closes = firstShowing(begin.Add(duration), w.location)
	if !closes.After(opens) {
		closes = opens.Add(duration)
	}
	return opens, closes
}

// firstShowing returns the first instant at which the clock of the location shows a date and time, given in UTC, or a later
// one.
func firstShowing(clock time.Time, location *time.Location) time.Time {
	const furthest = 26 * time.Hour // more than any offset from UTC
	for from := clock.Add(-furthest).In(location); ; {
		_, offset := from.Zone()
		_, end := from.ZoneBounds()
		shows := clock.Add(-time.Duration(offset) * time.Second)
		if shows.Before(from) { // it was skipped at the beginning of this part
			shows = from
		}
		if end.IsZero() || shows.Before(end) {
			return shows
		}
		from = end
	}
}

// String returns the window as ParseWindow reads it.
func (w Window) String() string { return w.text }

// allow reports whether one of the windows is open at a time, and stays open or is followed by another one for as long as a
// request may take. No windows are always open.
func allow(windows []Window, now time.Time) bool {
	return len(windows) == 0 || anyOpen(windows, now) && anyOpen(windows, now.Add(approvalMargin))
}

func anyOpen(windows []Window, t time.Time) bool {
	for _, w := range windows {
		if w.Open(t) {
			return true
		}
	}
	return false
}

// windowTexts names windows for a person.
func windowTexts(windows []Window) string {
	texts := make([]string, len(windows))
	for i, w := range windows {
		texts[i] = fmt.Sprintf("%s (%s)", w.text, w.location)
	}
	return strings.Join(texts, " or ")
}
