package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Skipf("this machine has no time zone database: %v", err)
	}
	return location
}

func window(t *testing.T, text string, location *time.Location) Window {
	t.Helper()
	w, err := ParseWindow(text, location)
	require.NoError(t, err)
	return w
}

// TestWindowOpens gives, for each window, the instants at which it opens and closes within some days, in local time with the
// offset. Both are checked to the second.
func TestWindowOpens(t *testing.T) {
	berlin, utc := zone(t, "Europe/Berlin"), time.UTC
	for name, test := range map[string]struct {
		text     string
		location *time.Location
		from, to string // the days that are looked at
		want     []string
	}{
		"in the day":     {"09:00-17:00", utc, "2026-03-02", "2026-03-03", []string{"02T09:00Z", "02T17:00Z", "03T09:00Z", "03T17:00Z"}},
		"over midnight":  {"22:00-04:00", utc, "2026-03-02", "2026-03-03", []string{"02T04:00Z", "02T22:00Z", "03T04:00Z", "03T22:00Z"}},
		"until midnight": {"20:00-24:00", utc, "2026-03-02", "2026-03-02", []string{"02T00:00Z", "02T20:00Z", "03T00:00Z"}},
		"after 23:00":    {"23:30-23:45", utc, "2026-03-02", "2026-03-02", []string{"02T23:30Z", "02T23:45Z"}},
		"elsewhere":      {"09:00-17:00", berlin, "2026-03-02", "2026-03-02", []string{"02T09:00+01:00", "02T17:00+01:00"}},
		"on days it opens": {
			"Fri-Sun 22:00-04:00", utc, "2026-03-05", "2026-03-10",
			[]string{"06T22:00Z", "07T04:00Z", "07T22:00Z", "08T04:00Z", "08T22:00Z", "09T04:00Z"},
		},
		"on a list of days": {
			"mon,Wed-Thu 10:00-11:00", utc, "2026-03-02", "2026-03-08",
			[]string{"02T10:00Z", "02T11:00Z", "04T10:00Z", "04T11:00Z", "05T10:00Z", "05T11:00Z"},
		},
		"days over a weekend": {
			"Sat-Mon 10:00-11:00", utc, "2026-03-04", "2026-03-10",
			[]string{"07T10:00Z", "07T11:00Z", "08T10:00Z", "08T11:00Z", "09T10:00Z", "09T11:00Z"},
		},

		// In Berlin clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
		"in the skipped hour":     {"02:00-03:00", berlin, "2026-03-29", "2026-03-29", []string{"29T03:00+02:00", "29T04:00+02:00"}},
		"within the skipped hour": {"02:15-02:30", berlin, "2026-03-29", "2026-03-29", []string{"29T03:00+02:00", "29T03:15+02:00"}},
		"into the skipped hour":   {"01:00-02:30", berlin, "2026-03-29", "2026-03-29", []string{"29T01:00+01:00", "29T03:00+02:00"}},
		"out of the skipped hour": {"02:30-05:00", berlin, "2026-03-29", "2026-03-29", []string{"29T03:00+02:00", "29T05:00+02:00"}},
		"not in the repeated hour": {
			"22:00-02:30", berlin, "2026-10-24", "2026-10-25", []string{"24T02:30+02:00", "24T22:00+02:00", "25T02:30+02:00", "25T22:00+01:00"},
		},
		"across the repeated hour":  {"01:00-04:00", berlin, "2026-10-25", "2026-10-25", []string{"25T01:00+02:00", "25T04:00+01:00"}},
		"once in the repeated hour": {"02:15-02:45", berlin, "2026-10-25", "2026-10-25", []string{"25T02:15+02:00", "25T02:45+02:00"}},
		"from the repeated hour":    {"02:30-03:30", berlin, "2026-10-25", "2026-10-25", []string{"25T02:30+02:00", "25T03:30+01:00"}},
		"where midnight is skipped": {
			"00:00-00:30", zone(t, "America/Asuncion"), "2023-10-01", "2023-10-01", []string{"01T01:00-03:00", "01T01:30-03:00"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := window(t, test.text, test.location)
			from, err := time.ParseInLocation(time.DateOnly, test.from, test.location)
			require.NoError(t, err)
			to, err := time.ParseInLocation(time.DateOnly, test.to, test.location)
			require.NoError(t, err)
			var changes []string
			for at := from; !at.After(to.AddDate(0, 0, 1)); at = at.Add(time.Minute) {
				if before := at.Add(-time.Second); w.Open(at) != w.Open(before) {
					changes = append(changes, at.Format("02T15:04Z07:00"))
				}
			}
			assert.Equal(t, test.want, changes)
		})
	}
}

func TestWindowsMustStayOpenFor30Seconds(t *testing.T) {
	at := func(clock string) time.Time {
		now, err := time.Parse(time.DateTime, "2026-03-02 "+clock)
		require.NoError(t, err)
		return now
	}
	one := []Window{window(t, "22:00-23:00", time.UTC)}
	two := append(one, window(t, "23:00-23:30", time.UTC))
	for name, test := range map[string]struct {
		windows []Window
		at      string
		want    bool
	}{
		"no windows":               {nil, "12:00:00", true},
		"before":                   {one, "21:59:59", false},
		"at the beginning":         {one, "22:00:00", true},
		"just before the end":      {one, "22:59:29", true},
		"less than 30 seconds":     {one, "22:59:30", false},
		"another one follows":      {two, "22:59:50", true},
		"the other one ends":       {two, "23:29:50", false},
		"the zero window is shut":  {[]Window{{}}, "12:00:00", false},
		"between, on another time": {two, "12:00:00", false},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, allow(test.windows, at(test.at))) })
	}
}

func TestParseWindow(t *testing.T) {
	w := window(t, " Fri-Sun  22:00 - 04:00 ", time.UTC)
	assert.Equal(t, "Fri-Sun 22:00-04:00", w.String())
	assert.Equal(t, w, window(t, w.String(), time.UTC))
	for _, text := range []string{
		"", "22:00", "22:00-", "-04:00", "22-04", "9:00-10:00", "22:00-22:00", "22:60-23:00", "25:00-26:00", "a-b", "22:00-04:00-05:00",
		"24:00-01:00",
		"Fry 22:00-04:00", "Fri- 22:00-04:00", ",Fri 22:00-04:00", "Fri Sat 22:00-04:00", "22:00-04:00 Fri", "Fri",
	} {
		_, err := ParseWindow(text, time.UTC)
		assert.ErrorContains(t, err, `such as "22:00-04:00"`, text)
	}
	nowhere, _ := time.LoadLocation("Europe/Nowhere")
	_, err := ParseWindow("22:00-04:00", nowhere)
	assert.ErrorContains(t, err, "needs a time zone")
}
