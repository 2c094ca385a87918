package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWindowOpen(t *testing.T) {
	berlin := time.FixedZone("Berlin", 3600)
	for name, test := range map[string]struct {
		window Window
		at     string // UTC
		open   bool
	}{
		"before":            {Window{"09:00", "17:00", time.UTC}, "08:59", false},
		"at the beginning":  {Window{"09:00", "17:00", time.UTC}, "09:00", true},
		"in the middle":     {Window{"09:00", "17:00", time.UTC}, "12:00", true},
		"at the end":        {Window{"09:00", "17:00", time.UTC}, "17:00", false},
		"over midnight":     {Window{"22:00", "04:00", time.UTC}, "23:30", true},
		"after midnight":    {Window{"22:00", "04:00", time.UTC}, "03:59", true},
		"not at noon":       {Window{"22:00", "04:00", time.UTC}, "12:00", false},
		"elsewhere":         {Window{"22:00", "04:00", berlin}, "21:00", true},
		"elsewhere, closed": {Window{"22:00", "04:00", berlin}, "03:00", false},
		"until midnight":    {Window{"20:00", "24:00", time.UTC}, "23:59", true},
		"from midnight":     {Window{"00:00", "24:00", time.UTC}, "00:00", true},
		"empty":             {Window{"09:00", "09:00", time.UTC}, "09:00", false},
		"malformed":         {Window{"9", "17:00", time.UTC}, "12:00", false},
		"one digit":         {Window{"9:00", "17:00", time.UTC}, "12:00", false},
		"no such time":      {Window{"09:00", "25:00", time.UTC}, "12:00", false},
		"from the end":      {Window{"24:00", "04:00", time.UTC}, "01:00", false},
		"zero":              {Window{}, "12:00", false},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse("2006-01-02 15:04", "2026-03-01 "+test.at)
			require.NoError(t, err)
			assert.Equal(t, test.open, test.window.Open(at))
		})
	}
}

func TestWindowIsLocalByDefault(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	assert.True(t, Window{From: "11:59", To: "12:01"}.Open(noon.UTC()))
}

func TestParseWindow(t *testing.T) {
	w, err := ParseWindow("22:00 - 04:00", time.UTC)
	require.NoError(t, err)
	assert.Equal(t, Window{"22:00", "04:00", time.UTC}, w)
	assert.Equal(t, "22:00-04:00", w.String())
	for _, text := range []string{"", "22:00", "22:00-", "-04:00", "22-04", "22:00-22:00", "22:60-23:00", "a-b", "22:00-04:00-05:00", "24:00-01:00"} {
		_, err := ParseWindow(text, nil)
		assert.ErrorContains(t, err, `such as "22:00-04:00"`, text)
	}
}
