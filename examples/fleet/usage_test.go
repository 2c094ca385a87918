package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
)

func TestUsage(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"no command":       {nil, "missing command"},
		"unknown command":  {[]string{"copy"}, `"copy"`},
		"unknown flag":     {[]string{"run", "-copy"}, "-copy"},
		"more arguments":   {[]string{"run", "now"}, `unexpected argument "now"`},
		"no file":          {[]string{"add"}, "must be FILE..."},
		"no such file":     {[]string{"add", "none.csv"}, "none.csv"},
		"no names":         {[]string{"approve"}, "must be NAME..."},
		"no id":            {[]string{"adopt", "orders"}, "must be NAME ID"},
		"malformed id":     {[]string{"adopt", "orders", "7"}, "24 lower-case hexadecimal digits"},
		"unknown gate":     {[]string{"approve", "-gate", "end", "orders"}, "cutover"},
		"unknown output":   {[]string{"status", "-output", "xml"}, "json"},
		"malformed window": {[]string{"run", "-window", "night"}, "22:00-04:00"},
		"no limit":         {[]string{"run", "-limit", "0"}, "at least 1"},
		"negative poll":    {[]string{"run", "-poll", "-1s"}, "WithPollInterval"},
		"demo too fast":    {[]string{"demo", "-speed", "11"}, "at most 10"},
	}
	r := newRig(t)
	r.addPlans(r.plans("orders")...)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, status := r.tool(t.Context(), tt.args...)
			assert.Equal(t, exitUsage, status)
			assert.Contains(t, strings.Join(strings.Fields(stderr), " "), tt.want)
			assert.Empty(t, stdout)
		})
	}
	assert.Empty(t, r.Recorded())
}

// A typing error in -state does not make a directory.
func TestNoState(t *testing.T) {
	r := newRig(t)
	for _, command := range []string{"run", "status", "report"} {
		_, stderr, status := r.tool(t.Context(), command)
		assert.Equal(t, exitUsage, status)
		assert.Contains(t, stderr, "the command add makes it")
	}
	assert.NoDirExists(t, r.state)
}

func TestUnknownName(t *testing.T) {
	r := newRig(t)
	r.addPlans(r.plans("orders")...)
	for _, args := range [][]string{{"status", "events"}, {"approve", "events"}, {"restart", "events"}, {"abandon", "events"}} {
		_, stderr, status := r.tool(t.Context(), args...)
		assert.Equal(t, exitFailed, status, args)
		assert.Contains(t, stderr, "events", args)
	}
	stdout, stderr, status := r.tool(t.Context(), "approve", "events", "orders")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, stderr, "events")
	assert.Equal(t, "orders: approved\n", stdout, "the others are approved")
}

func TestAddAgain(t *testing.T) {
	r := newRig(t)
	r.addPlans(r.plans("orders")...)
	r.addPlans(r.plans("orders", "events")...)
	other := r.plans("orders")
	other[0].Request.MigrationHosts = []string{"other.example.com"}
	data, err := json.Marshal(other)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "other.json")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, stderr, status := r.tool(t.Context(), "add", path)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, stderr, "there is another plan")
}

func TestPasswords(t *testing.T) {
	r := newRig(t)
	plans := r.plans("orders-eu.1", "events")
	for i := range plans {
		plans[i].Request.Source.ManagedAuthentication = false
		plans[i].Request.Source.Username = "sync"
	}
	r.addPlans(plans...)
	_, stderr, status := r.tool(t.Context(), "run")
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, stderr, "neither SOURCE_PASSWORD_EVENTS nor SOURCE_PASSWORD is set")
	assert.Empty(t, r.Recorded())

	t.Setenv("SOURCE_PASSWORD_ORDERS_EU_1", "the first secret")
	t.Setenv("SOURCE_PASSWORD", "the second secret")
	stdout := r.succeed("run", "-window", always, "-poll", poll)
	assert.Len(t, r.Migrations(), 2)
	bodies := ""
	for _, request := range r.Recorded() {
		bodies += string(request.Body)
	}
	for _, secret := range []string{"the first secret", "the second secret"} {
		assert.Contains(t, bodies, secret)
		assert.NotContains(t, stdout, secret)
	}
}

func TestStatusJSON(t *testing.T) {
	r := newRig(t)
	r.addPlans(r.plans("orders", "events")...)
	var records []durable.Record
	require.NoError(t, json.Unmarshal([]byte(r.succeed("status", "-output", "json")), &records))
	require.Len(t, records, 2)
	assert.Equal(t, "events", records[0].Plan.Name)
	assert.Equal(t, durable.StatePlanned, records[0].State)
	require.NoError(t, json.Unmarshal([]byte(r.succeed("status", "-output", "json", "orders")), &records))
	require.Len(t, records, 1)
}

// A damaged file is named, and costs nothing but its record.
func TestDamagedRecord(t *testing.T) {
	r := newRig(t)
	r.addPlans(r.plans("orders", "events")...)
	require.NoError(t, os.WriteFile(filepath.Join(r.state, "orders.json"), []byte("{"), 0o600))
	for _, command := range []string{"status", "report"} {
		stdout, stderr, status := r.tool(t.Context(), command)
		assert.Equal(t, exitFailed, status)
		assert.Contains(t, stdout, "events")
		assert.Contains(t, stderr, "orders.json")
	}
	_, stderr, status := r.tool(t.Context(), "run")
	assert.NotEqual(t, exitDone, status)
	assert.Contains(t, stderr, "orders.json")
}

func TestHelp(t *testing.T) {
	r := newRig(t)
	help := r.succeed("-h")
	for _, command := range []string{"add", "run", "status", "approve", "adopt", "restart", "replace", "abandon", "report", "demo"} {
		assert.Contains(t, help, "\n   "+command+" ")
		r.succeed(command, "-h")
	}
	for column := range columns {
		assert.Contains(t, r.succeed("add", "-h"), "\n     "+column+" ")
	}
	stdout, stderr, status := r.tool(t.Context())
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, stderr, "\n   demo ")
	assert.Empty(t, stdout)
}
