package livemigrationtest

import (
	"fmt"
	"slices"

	"github.com/livemigration/livemigration-go"
)

// The ids of the Atlas side. They are the same for every server, so that examples have an output to compare.
const (
	orgID           = "5f1a2b3c4d5e6f7081920a00"
	projectIDPrefix = "5f1a2b3c4d5e6f70"
	firstProject    = int64(0x81920a11)
)

// newProjectIDs makes the ids of the Atlas projects.
func newProjectIDs(count int) []livemigration.ProjectID {
	out := make([]livemigration.ProjectID, 0, count)
	for i := range count {
		out = append(out, livemigration.ProjectID(fmt.Sprintf("%s%08x", projectIDPrefix, firstProject+int64(i))))
	}
	return out
}

// defaultProjects is what the source side offers unless WithSourceProjects says otherwise.
func defaultProjects() []livemigration.AvailableProject {
	return []livemigration.AvailableProject{
		{
			Name: "Production", ProjectID: "5c7e8f901a2b3c4d5e6f7a01",
			MigrationHosts: []string{"migration-host-1.prod.example.com"},
			Deployments: []livemigration.Deployment{
				{
					ClusterID: "5c7e8f901a2b3c4d5e6f7b01", Name: "orders",
					MongoDBVersion: "7.0.14", FeatureCompatibilityVersion: "7.0", AgentVersion: "13.23.0.9072-1",
					Managed: true, TLSEnabled: true, DBSizeBytes: 412_316_860_416, OplogSizeMB: 51_200,
				},
				{
					ClusterID: "5c7e8f901a2b3c4d5e6f7b02", Name: "events",
					MongoDBVersion: "6.0.18", FeatureCompatibilityVersion: "6.0", AgentVersion: "13.23.0.9072-1",
					Managed: true, Sharded: true, ShardsSize: 3, TLSEnabled: true,
					DBSizeBytes: 3_848_290_697_216, OplogSizeMB: 102_400,
				},
			},
		},
		{
			Name: "Staging", ProjectID: "5c7e8f901a2b3c4d5e6f7a02",
			MigrationHosts: []string{"migration-host-1.staging.example.com"},
			Deployments: []livemigration.Deployment{
				{
					ClusterID: "5c7e8f901a2b3c4d5e6f7b03", Name: "orders-staging",
					MongoDBVersion: "7.0.14", FeatureCompatibilityVersion: "7.0", AgentVersion: "13.23.0.9072-1",
					Managed: false, DBSizeBytes: 2_147_483_648, OplogSizeMB: 2048,
				},
			},
		},
	}
}

func cloneProjects(projects []livemigration.AvailableProject) []livemigration.AvailableProject {
	out := slices.Clone(projects)
	for i := range out {
		out[i].MigrationHosts = slices.Clone(out[i].MigrationHosts)
		out[i].Deployments = slices.Clone(out[i].Deployments)
	}
	return out
}

// Request returns a valid request that migrates the first cluster of the first source project that has both a cluster
// and a migration host to [Server.ProjectID], with a made-up password. It is valid in both versions of the API.
// When no source project will do, it takes the cluster of the default ones.
func (s *Server) Request() livemigration.MigrationRequest {
	project := firstMigratable(s.config.projects)
	cluster := project.Deployments[0]
	source := livemigration.Source{
		ProjectID: project.ProjectID, ClusterName: cluster.Name,
		Username: "migration", Password: s.sourcePassword, SSL: cluster.TLSEnabled,
	}
	if source.SSL {
		source.CACertificatePath = "/etc/mongodb/ca.pem"
	}
	return livemigration.MigrationRequest{
		Source: source,
		Destination: livemigration.Destination{
			ProjectID: s.ProjectID(), ClusterName: "Cluster0", HostnameSchemaType: livemigration.HostnamePublic,
		},
		MigrationHosts: []string{project.MigrationHosts[0]},
	}
}

func firstMigratable(projects []livemigration.AvailableProject) livemigration.AvailableProject {
	for _, p := range projects {
		if len(p.Deployments) > 0 && len(p.MigrationHosts) > 0 {
			return p
		}
	}
	return defaultProjects()[0]
}
