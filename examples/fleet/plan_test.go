package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

const (
	project = livemigration.ProjectID("e01c9427f054fe80745f3f6c")
	source  = livemigration.ProjectID("9b43a5b329223c3a1591a678")
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestReadPlans(t *testing.T) {
	t.Parallel()
	small := durable.Plan{Name: "orders", ProjectID: project, Request: livemigration.MigrationRequest{
		Source:         livemigration.Source{ProjectID: source, ClusterName: "orders-old"},
		Destination:    livemigration.Destination{ClusterName: "orders"},
		MigrationHosts: []string{"host-1.example.com"},
	}}
	large := durable.Plan{Name: "events", ProjectID: project, Exclusive: []string{"org-a", "org-b"}, Request: livemigration.MigrationRequest{
		Source: livemigration.Source{
			ProjectID: source, ClusterName: "events, old", Username: "sync", SSL: true, CACertificatePath: "/etc/ca.pem",
		},
		Destination: livemigration.Destination{
			ClusterName: "events", HostnameSchemaType: livemigration.HostnamePrivateLink, PrivateLinkID: "vpce-0123",
		},
		MigrationHosts:      []string{"host-2.example.com"},
		DropDestinationData: true,
	}}
	managed := small
	managed.Request.Source.ManagedAuthentication = true
	tests := map[string]struct {
		name, content string
		want          []durable.Plan
	}{
		"few columns": {"a.csv", "name,project,source_project,source_cluster,destination_cluster,host\n" +
			"orders,e01c9427f054fe80745f3f6c,9b43a5b329223c3a1591a678,orders-old,orders,host-1.example.com\n", []durable.Plan{small}},
		"all columns, in another order": {"a.csv", "drop,host,name,project,source_project,source_cluster,destination_cluster," +
			"username,managed,ssl,ca_path,hostname_schema,private_link,exclusive\r\n" +
			`yes,host-2.example.com,events,e01c9427f054fe80745f3f6c,9b43a5b329223c3a1591a678,"events, old",events,` +
			`sync,no,yes,/etc/ca.pem,PRIVATE_LINK,vpce-0123,org-a;org-b` + "\r\n", []durable.Plan{large}},
		"of a spreadsheet": {"a.txt", "\ufeffName, Project ,source_project,source_cluster,destination_cluster,host,managed,drop\n" +
			"orders, e01c9427f054fe80745f3f6c,9b43a5b329223c3a1591a678,orders-old,orders,host-1.example.com,YES,\n", []durable.Plan{managed}},
		"no rows": {"a.csv", "name,project,source_project,source_cluster,destination_cluster,host\n", nil},
		"JSON": {"a.JSON", `[{"name": "orders", "projectId": "e01c9427f054fe80745f3f6c", "request": {
			"source": {"groupId": "9b43a5b329223c3a1591a678", "clusterName": "orders-old", "ssl": false, "managedAuthentication": false},
			"destination": {"clusterName": "orders"}, "migrationHosts": ["host-1.example.com"]}}]`, []durable.Plan{small}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plans, err := readPlans([]string{write(t, tt.name, tt.content)})
			require.NoError(t, err)
			assert.Equal(t, tt.want, plans)
			for _, plan := range plans {
				assert.NoError(t, plan.Validate())
			}
		})
	}
}

func TestReadPlansRejects(t *testing.T) {
	t.Parallel()
	const head = "name,project,source_project,source_cluster,destination_cluster,host,drop\n"
	tests := map[string]struct{ name, content, want string }{
		"empty":            {"a.csv", "", "must begin with a line of column names"},
		"unknown column":   {"a.csv", "name,colour\n", `unknown column "colour", must be one of name, project, source_project`},
		"missing column":   {"a.csv", "name,project,source_project,source_cluster,destination_cluster\n", `the column "host" is missing`},
		"column twice":     {"a.csv", "name,project,name\n", `two columns "name"`},
		"malformed id":     {"a.csv", head + "orders,7,,,,,\n", "line 2, column project: "},
		"malformed bool":   {"a.csv", head + "orders,,,,,,maybe\n", `line 2, column drop: "maybe" must be yes or no`},
		"missing field":    {"a.csv", head + "orders\n", "line 2"},
		"password in JSON": {"a.json", `[{"name": "orders", "pass": "x"}]`, `unknown field "pass"`},
		"one plan":         {"a.json", `{"name": "orders"}`, "must be an array of plans"},
		"two arrays":       {"a.json", `[][]`, "there is something after it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, tt.name, tt.content)
			_, err := readPlans([]string{path})
			require.ErrorContains(t, err, tt.want)
			assert.ErrorContains(t, err, path)
		})
	}
}
