package livemigrationtest

import (
	"slices"

	"github.com/livemigration/livemigration-go"
)

// firstProject is the number of the first Atlas project.
const firstProject = 0x11

// sourceOrgs returns the projects of each source organization.
func (c config) sourceOrgs(drawn *ids) [][]livemigration.AvailableProject {
	first := c.projects
	if !c.ownProjects {
		first = defaultProjects(drawn)
	}
	return append([][]livemigration.AvailableProject{first}, c.moreOrgs...)
}

// defaultProjects is what the source side has unless WithSourceProjects says otherwise.
func defaultProjects(drawn *ids) []livemigration.AvailableProject {
	project := func(number int) livemigration.ProjectID {
		return livemigration.ProjectID(drawn.of(idSource, 0xa00+number))
	}
	cluster := func(number int) string { return drawn.of(idSource, 0xb00+number) }
	const agent = "13.23.0.9072-1"
	return []livemigration.AvailableProject{
		{
			Name: "Production", ProjectID: project(1),
			MigrationHosts: []string{"migration-host-1.prod.example.com"},
			Deployments: []livemigration.Deployment{
				{
					ClusterID: cluster(1), Name: "orders",
					MongoDBVersion: "7.0.14", FeatureCompatibilityVersion: "7.0", AgentVersion: agent,
					Managed: true, TLSEnabled: true, DBSizeBytes: 412_316_860_416, OplogSizeMB: 51_200,
				},
				{
					ClusterID: cluster(2), Name: "events",
					MongoDBVersion: "6.0.18", FeatureCompatibilityVersion: "6.0", AgentVersion: agent,
					Managed: true, Sharded: true, ShardsSize: 3, TLSEnabled: true,
					DBSizeBytes: 3_848_290_697_216, OplogSizeMB: 102_400,
				},
			},
		},
		{
			Name: "Staging", ProjectID: project(2),
			MigrationHosts: []string{"migration-host-1.staging.example.com"},
			Deployments: []livemigration.Deployment{
				{
					ClusterID: cluster(3), Name: "orders-staging",
					MongoDBVersion: "7.0.14", FeatureCompatibilityVersion: "7.0", AgentVersion: agent,
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

func (st *state) firstMigratable() livemigration.AvailableProject {
	for _, p := range st.seeded {
		if len(p.Deployments) > 0 && len(p.MigrationHosts) > 0 {
			return p
		}
	}
	return defaultProjects(st.ids)[0]
}
