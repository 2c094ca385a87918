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
	require.NoError(t, droppingPlan("a").Validate())
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

func TestResourcesIgnoreCase(t *testing.T) {
	a, b := planFor("a"), planFor("a")
	b.Request.MigrationHosts = []string{"VM-A.Example.com."}
	b.Exclusive = []string{"ORG-a "}
	b.Request.Destination.ClusterName, b.Request.Source.ClusterName = "TO-A", "From-A"
	assert.Equal(t, a.resources(), b.resources())
}

func TestPlanEqual(t *testing.T) {
	a := planFor("a")
	b := a.clone()
	b.Request.Destination.ProjectID, b.Request.Destination.HostnameSchemaType = b.ProjectID, livemigration.HostnamePublic
	assert.True(t, a.equal(b), "defaults count as given")
	for _, change := range []func(*Plan){
		func(p *Plan) { p.Name = "A" },
		func(p *Plan) { p.Request.DropDestinationData = true },
		func(p *Plan) { p.Exclusive = nil },
		func(p *Plan) { p.Request.Source.SSL = false },
	} {
		other := a.clone()
		change(&other)
		assert.False(t, a.equal(other))
	}
}
