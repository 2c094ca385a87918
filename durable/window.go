package durable

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window is a part of a day in a time zone, in which cutovers may be sent. [ParseWindow] returns one; the zero Window is never
// open.
//
// It opens at the first instant of the day at which the clock shows its start or later, and closes at the first instant at
// which the clock shows its end or later. So it does not open twice when clocks are set back. If clocks are set forward over
// both its start and its end, it opens at the next instant, and is as long as on other days.
type Window struct {
	text     string
	days     [7]bool // on which it opens
	from, to int     // minutes of the day
	location *time.Location
}

const minutesOfDay = 24 * 60

// ParseWindow reads "22:00-04:00", or "Fri-Sun 22:00-04:00" with the days on which the window opens, such as "Mon,Wed-Fri". A
// window may span midnight, and "24:00" is the end of a day. The location must not be nil, which is what [time.LoadLocation]
// returns for an unknown time zone.
func ParseWindow(text string, location *time.Location) (Window, error) {
	if location == nil {
		return Window{}, fmt.Errorf("durable: the window %q needs a time zone: time.UTC, time.Local, or one of time.LoadLocation", clean(text))
	}
	w := Window{location: location}
	fields := strings.Fields(strings.ReplaceAll(text, " - ", "-"))
	n := len(fields)
	if n < 1 || n > 2 || !w.parseTimes(fields[n-1]) || !w.parseDays(fields[:n-1]) {
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

// firstShowing returns the first instant at which the clock of the location shows a date and time, given in UTC, or later.
func firstShowing(clock time.Time, location *time.Location) time.Time {
	const furthest = 26 * time.Hour // more than any offset from UTC
	for from := clock.Add(-furthest).In(location); ; {
		_, offset := from.Zone()
		_, end := from.ZoneBounds()
		shows := clock.Add(-time.Duration(offset) * time.Second)
		if shows.Before(from) { // it was skipped
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

// allow reports whether a window is open now, and one is open when a request that is sent now arrives. No windows are always
// open.
func allow(windows []Window, now time.Time) bool {
	return len(windows) == 0 || anyOpen(windows, now) && anyOpen(windows, now.Add(approvalMargin))
}

func anyOpen(windows []Window, t time.Time) bool {
	return slices.ContainsFunc(windows, func(w Window) bool { return w.Open(t) })
}

func windowTexts(windows []Window) string {
	texts := make([]string, len(windows))
	for i, w := range windows {
		texts[i] = fmt.Sprintf("%s (%s)", w.text, w.location)
	}
	return strings.Join(texts, " or ")
}
