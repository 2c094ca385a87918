package benchmarks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// The sizes of the two large cases.
const (
	shardingEntries       = 500
	sourceProjects        = 200
	deploymentsPerProject = 50
)

var hosts = []string{"vm001.example.com"}

// migration, project and deployment are what a program would write that decodes with encoding/json alone. They have the
// fields of the library's types.
type migration struct {
	ID              string   `json:"_id"`
	Status          string   `json:"status"`
	ReadyForCutover bool     `json:"readyForCutover"`
	MigrationHosts  []string `json:"migrationHosts"`
	LagTimeSeconds  *int64   `json:"lagTimeSeconds,omitempty"`
}

type project struct {
	Name           string       `json:"name"`
	ProjectID      string       `json:"projectId"`
	MigrationHosts []string     `json:"migrationHosts"`
	Deployments    []deployment `json:"deployments"`
}

type deployment struct {
	ClusterID                   string `json:"clusterId"`
	Name                        string `json:"name"`
	MongoDBVersion              string `json:"mongoDBVersion"`
	FeatureCompatibilityVersion string `json:"featureCompatibilityVersion"`
	AgentVersion                string `json:"agentVersion"`
	Managed                     bool   `json:"managed"`
	Sharded                     bool   `json:"sharded"`
	ShardsSize                  int    `json:"shardsSize"`
	TLSEnabled                  bool   `json:"tlsEnabled"`
	DBSizeBytes                 int64  `json:"dbSizeBytes"`
	OplogSizeMB                 int    `json:"oplogSizeMB"`
}

// migrationRequest leaves the destination's project to the method that it is given to.
func migrationRequest(entries int) livemigration.MigrationRequest {
	r := livemigration.MigrationRequest{
		Source: livemigration.Source{
			ProjectID: "9b43a5b329223c3a1591a678", ClusterName: "orders", Username: "migration", Password: "a password",
			SSL: true, CACertificatePath: "/etc/mongodb/ca.pem",
		},
		Destination:    livemigration.Destination{ClusterName: "Cluster0"},
		MigrationHosts: hosts,
	}
	if entries == 0 {
		return r
	}
	r.Sharding = &livemigration.Sharding{CreateSupportingIndexes: true}
	for i := range entries {
		r.Sharding.Entries = append(r.Sharding.Entries, livemigration.ShardEntry{
			Database: "orders", Collection: fmt.Sprintf("collection%03d", i),
			ShardCollection: livemigration.ShardKeys{Key: []livemigration.ShardKeyField{
				{Field: "location", Order: livemigration.Ascending}, {Field: "customerId", Order: livemigration.Hashed},
			}},
		})
	}
	return r
}

// The requests that the library is asked to create. Clients only read them.
var (
	usualRequest   = sync.OnceValue(func() livemigration.MigrationRequest { return migrationRequest(0) })
	shardedRequest = sync.OnceValue(func() livemigration.MigrationRequest { return migrationRequest(shardingEntries) })
)

// sentBodies are what the library sends for the requests to a project: the bytes that the floor has ready.
type sentBodies struct {
	usual, sharded []byte
	project        livemigration.ProjectID
}

// to returns bodies for another project.
func (b sentBodies) to(project string) sentBodies {
	replaced := func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(b.project), []byte(project)) }
	return sentBodies{replaced(b.usual), replaced(b.sharded), livemigration.ProjectID(project)}
}

// recordedBodies are computed once.
var recordedBodies = sync.OnceValues(func() (b sentBodies, err error) {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	client, err := srv.NewClient()
	if err != nil {
		return b, err
	}
	b.project = srv.ProjectID()
	record := func(request livemigration.MigrationRequest) []byte {
		if err != nil {
			return nil
		}
		if _, err = client.Migrations.Create(context.Background(), b.project, request); err != nil {
			return nil
		}
		arrived := srv.Recorded()
		return []byte(arrived[len(arrived)-1].Body.Reveal())
	}
	b.usual, b.sharded = record(usualRequest()), record(shardedRequest())
	return b, err
})

// availableProjects makes the large list anew each time. A list that is kept would give the garbage collector so much to
// look through that every benchmark would be about memory.
func availableProjects() []livemigration.AvailableProject {
	projects := make([]livemigration.AvailableProject, sourceProjects)
	for i := range projects {
		p := &projects[i]
		p.Name, p.ProjectID = fmt.Sprintf("project %03d", i), livemigration.ProjectID(fmt.Sprintf("%024x", i+1))
		p.MigrationHosts = hosts
		for j := range deploymentsPerProject {
			p.Deployments = append(p.Deployments, livemigration.Deployment{
				ClusterID: fmt.Sprintf("%024x", 1000*i+j), Name: fmt.Sprintf("cluster %02d", j),
				MongoDBVersion: "7.0.12", FeatureCompatibilityVersion: "7.0", AgentVersion: "13.19.0.8937",
				Managed: true, Sharded: j%2 == 0, ShardsSize: 1 + j%4, TLSEnabled: true,
				DBSizeBytes: int64(j+1) << 34, OplogSizeMB: 51200,
			})
		}
	}
	return projects
}

// mustJSON is for values that always marshal.
func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
