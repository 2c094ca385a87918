package livemigration

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

type AvailableProjectsService core

// AvailableProject is a project of a connected source organization.
type AvailableProject struct {
	Name           string       `json:"name"`
	ProjectID      ProjectID    `json:"projectId"`
	MigrationHosts []string     `json:"migrationHosts"` // a [MigrationRequest] takes one of them
	Deployments    []Deployment `json:"deployments"`
}

type Deployment struct {
	ClusterID                   string `json:"clusterId"`
	Name                        string `json:"name"`
	MongoDBVersion              string `json:"mongoDBVersion"`
	FeatureCompatibilityVersion string `json:"featureCompatibilityVersion"`
	AgentVersion                string `json:"agentVersion"`
	Managed                     bool   `json:"managed"` // by Automation
	Sharded                     bool   `json:"sharded"`
	ShardsSize                  int    `json:"shardsSize"` // the number of shards
	TLSEnabled                  bool   `json:"tlsEnabled"`
	DBSizeBytes                 int64  `json:"dbSizeBytes"`
	OplogSizeMB                 int    `json:"oplogSizeMB"`
}

// Source returns the [Source] for a cluster, and the migration hosts. Add Username and Password if the cluster has
// users and is not managed. The error names the clusters.
func (p AvailableProject) Source(clusterName string) (Source, []string, error) {
	var names []string
	for _, d := range p.Deployments {
		if d.Name == clusterName {
			source := Source{ProjectID: p.ProjectID, ClusterName: d.Name, SSL: d.TLSEnabled, ManagedAuthentication: d.Managed}
			return source, slices.Clone(p.MigrationHosts), nil
		}
		names = append(names, d.Name)
	}
	unknown := fmt.Sprintf("is unknown: project %s has no cluster %q; it has %s",
		cmp.Or(p.Name, string(p.ProjectID)), clusterName, cmp.Or(strings.Join(names, ", "), "none"))
	return Source{}, nil, invalidRequest([]FieldViolation{{"cluster name", redact.Line(unknown)}})
}

// List returns what can be migrated to an Atlas organization: nothing while no source organization is connected. Role:
// Organization Owner.
//
// GET /orgs/{orgId}/liveMigrations/availableProjects
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-listorglivemigrationavailableprojects
func (s *AvailableProjectsService) List(ctx context.Context, orgID OrgID, opts ...CallOption) ([]AvailableProject, error) {
	projects, err := send[response.List[AvailableProject]](ctx, (*core)(s), &listAvailableProjects, []string{string(orgID)}, nil, opts)
	if err != nil {
		return nil, err
	}
	return *projects, nil
}
