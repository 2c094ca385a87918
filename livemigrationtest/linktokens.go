package livemigrationtest

import (
	"crypto/rand"
	"net/http"

	"github.com/livemigration/livemigration-go"
)

// LinkTokens returns how many link-tokens there are.
func (s *Server) LinkTokens() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return len(s.state.linkTokens)
}

func (s *Server) createLinkToken(c *call) (any, *apiError) {
	token := rand.Text() + rand.Text()
	s.state.mu.Lock()
	s.state.linkTokens = append(s.state.linkTokens, token)
	s.state.mu.Unlock()
	if c.version == v1 && s.config.quirks {
		return map[string][]string{"linkToken": {token}}, nil
	}
	return map[string]string{"linkToken": token}, nil
}

func (s *Server) deleteLinkToken(*call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if len(s.state.linkTokens) == 0 {
		return nil, refusal(http.StatusNotFound, "The organization has no link-token.")
	}
	s.state.linkTokens = nil
	return nil, nil
}

func (s *Server) listAvailableProjects(*call) (any, *apiError) {
	if s.LinkTokens() == 0 {
		return []wireProject{}, nil
	}
	return s.state.projects, nil
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
