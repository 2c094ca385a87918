package durable

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "A-1_b.c", "0", "com", "com10", "console", "lpt", "nul-1", "x.nul", strings.Repeat("n", 100)} {
		assert.Empty(t, checkName(name), name)
	}
	for _, name := range []string{
		"", ".", "..", ".a", "-a", "_a", "a/b", `a\b`, "a b", "a:b", "ä", "a\x00", "../a", "a*", strings.Repeat("n", 101),
		"con", "NUL", "aux.txt", "prn.", "Com1", "lpt9.json", "com0",
	} {
		assert.NotEmpty(t, checkName(name), name)
	}
}

func TestPlanValidate(t *testing.T) {
	require.NoError(t, planFor("a").Validate())
	scram := planFor("a")
	scram.Request.Source.ManagedAuthentication, scram.Request.Source.Username = false, "user"
	require.NoError(t, scram.Validate(), "the password comes later")

	for field, change := range map[string]func(*Plan){
		"name":                            func(p *Plan) { p.Name = "a/b" },
		"projectId":                       func(p *Plan) { p.ProjectID = "x" },
		"request.source.groupId":          func(p *Plan) { p.Request.Source.ProjectID = "" },
		"request.source.clusterName":      func(p *Plan) { p.Request.Source.ClusterName = "" },
		"request.destination.clusterName": func(p *Plan) { p.Request.Destination.ClusterName = "" },
		"request.destination.groupId":     func(p *Plan) { p.Request.Destination.ProjectID = sourceID },
		"request.migrationHosts":          func(p *Plan) { p.Request.MigrationHosts = nil },
		"exclusive[1]":                    func(p *Plan) { p.Exclusive = []string{"a", " "} },
		"request.source.password":         func(p *Plan) { p.Request.Source.Password = "hunter2" },
	} {
		plan := planFor("a")
		change(&plan)
		err := plan.Validate()
		var invalid *livemigration.InvalidRequestError
		require.True(t, errors.As(err, &invalid), field)
		assert.Equal(t, field, invalid.Violations[0].Field)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

func TestResources(t *testing.T) {
	plan := planFor("a")
	plan.Exclusive = []string{"org-a", "License ", "ORG-A"}
	want := []string{
		"destination cluster to-a of project " + string(projectID), "source cluster from-a of project " + string(sourceID),
		"migration host vm-a.example.com", "source project " + string(sourceID), "exclusive name license", "exclusive name org-a",
	}
	assert.Equal(t, want, plan.Resources())
	assert.Equal(t, want[:3], plan.needs(ActionValidate), "a validation needs clusters and host")
	assert.Empty(t, plan.needs(ActionCutover))

	other := plan.clone()
	other.Request.MigrationHosts = []string{"VM-A.Example.com."}
	other.Exclusive = []string{"org-A", "license"}
	other.Request.Destination.ClusterName, other.Request.Source.ClusterName = "TO-A", "From-A"
	assert.Equal(t, want, other.Resources(), "case and order do not matter")
	other.Parallel = true
	assert.NotContains(t, other.Resources(), want[3])
}

func TestHeldInEachState(t *testing.T) {
	all, some := planFor("a").Resources(), planFor("a").needs(ActionValidate)
	began := func(state State, a Action) Record {
		return recordIn(state).with(func(r *Record) { r.Begun = &Intent{Action: a} })
	}
	for name, test := range map[string]struct {
		record Record
		want   []string
	}{
		"PLANNED":              {recordIn(StatePlanned), nil},
		"the validation began": {began(StatePlanned, ActionValidate), some},
		"VALIDATING":           {recordIn(StateValidating), some},
		"VALIDATED":            {recordIn(StateValidated), nil},
		"the creation began":   {began(StateValidated, ActionCreate), all},
		"REPLICATING":          {recordIn(StateReplicating), all},
		"READY":                {recordIn(StateReady), all},
		"the cutover began":    {began(StateReady, ActionCutover), all},
		"FINISHING":            {recordIn(StateFinishing), all},
		"UNCLEAR":              {recordIn(StateUnclear), all},
		"COMPLETE":             {recordIn(StateComplete), all[:1]},
		"FAILED":               {recordIn(StateFailed), nil},
		"EXPIRED":              {recordIn(StateExpired), nil},
		"ABANDONED":            {recordIn(StateAbandoned), nil},
		"ABANDONED meanwhile":  {began(StateAbandoned, ActionCreate), nil},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, test.record.held()) })
	}
}

func TestPlanEqual(t *testing.T) {
	a := planFor("a")
	a.Exclusive = []string{"org", "license"}
	b := a.clone()
	b.Request.Destination.ProjectID, b.Request.Destination.HostnameSchemaType = b.ProjectID, livemigration.HostnamePublic
	b.Exclusive = []string{"License", "ORG", "org"}
	assert.True(t, a.equal(b), "defaults count as given, and Exclusive is a set")
	for want, change := range map[string]func(*Plan){
		"":                            func(p *Plan) { p.Name = "A" },
		"request.dropDestinationData": func(p *Plan) { p.Request.DropDestinationData = true },
		"exclusive":                   func(p *Plan) { p.Exclusive = nil },
		"request.source":              func(p *Plan) { p.Request.Source.SSL = false },
		"holdStart, parallel":         func(p *Plan) { p.HoldStart, p.Parallel = true, true },
	} {
		other := a.clone()
		change(&other)
		assert.False(t, a.equal(other))
		assert.Equal(t, want, a.differences(other))
	}
}
