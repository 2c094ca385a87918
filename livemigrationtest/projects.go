package livemigrationtest

import (
	"github.com/livemigration/livemigration-go"
)

// listAvailableProjects lists the projects of the source organizations that are connected.
func (s *Server) listAvailableProjects(*call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	projects := []wireProject{}
	for _, org := range s.state.sourceOrgs {
		if org.token != "" {
			projects = append(projects, org.projects...)
		}
	}
	return projects, nil
}

// wireProject and wireDeployment are an available project as Atlas writes it. They are spelled out here, and not taken
// from the client's types, so that a mistake in those shows.
type wireProject struct {
	Name           string           `json:"name"`
	ProjectID      string           `json:"projectId"`
	MigrationHosts []string         `json:"migrationHosts"`
	Deployments    []wireDeployment `json:"deployments"`
}

type wireDeployment struct {
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

func newWireProjects(projects []livemigration.AvailableProject) []wireProject {
	out := make([]wireProject, 0, len(projects))
	for _, p := range projects {
		project := wireProject{
			Name: p.Name, ProjectID: string(p.ProjectID),
			MigrationHosts: append([]string{}, p.MigrationHosts...), Deployments: []wireDeployment{},
		}
		for _, d := range p.Deployments {
			project.Deployments = append(project.Deployments, wireDeployment(d))
		}
		out = append(out, project)
	}
	return out
}

// defaultProjects is the projects of the source side, unless WithSourceProjects says otherwise.
func defaultProjects(ids *ids) []livemigration.AvailableProject {
	cluster := func(number int, name, version string, gigabytes int64) livemigration.Deployment {
		return livemigration.Deployment{
			ClusterID: ids.of(idSource, 0xb00+number), Name: name, MongoDBVersion: version, FeatureCompatibilityVersion: version[:3],
			AgentVersion: "13.23.0.9072-1", DBSizeBytes: gigabytes << 30, OplogSizeMB: 51_200,
		}
	}
	orders, events := cluster(1, "orders", "7.0.14", 384), cluster(2, "events", "6.0.18", 3584)
	orders.Managed, orders.TLSEnabled = true, true
	events.Managed, events.TLSEnabled, events.Sharded, events.ShardsSize = true, true, true, 3
	return []livemigration.AvailableProject{
		{
			Name: "Production", ProjectID: livemigration.ProjectID(ids.of(idSource, 0xa01)),
			MigrationHosts: []string{"migration-host-1.prod.example.com"},
			Deployments:    []livemigration.Deployment{orders, events},
		},
		{
			Name: "Staging", ProjectID: livemigration.ProjectID(ids.of(idSource, 0xa02)),
			MigrationHosts: []string{"migration-host-1.staging.example.com"},
			Deployments:    []livemigration.Deployment{cluster(3, "orders-staging", "7.0.14", 2)},
		},
	}
}
