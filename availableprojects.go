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

// AvailableProjectsService lists what can be migrated.
type AvailableProjectsService core

// AvailableProject is a project of a connected Cloud Manager or Ops Manager organization.
type AvailableProject struct {
	Name string `json:"name"`
	// ProjectID is for [Source.ProjectID].
	ProjectID ProjectID `json:"projectId"`
	// MigrationHosts are the hosts that run the MongoDB Agent. A [MigrationRequest] takes one of them.
	MigrationHosts []string     `json:"migrationHosts"`
	Deployments    []Deployment `json:"deployments"`
}

// Deployment is a cluster of an [AvailableProject].
type Deployment struct {
	ClusterID string `json:"clusterId"`
	// Name is for [Source.ClusterName].
	Name                        string `json:"name"`
	MongoDBVersion              string `json:"mongoDBVersion"`
	FeatureCompatibilityVersion string `json:"featureCompatibilityVersion"`
	AgentVersion                string `json:"agentVersion"`
	// Managed: the cluster is managed by Automation.
	Managed     bool  `json:"managed"`
	Sharded     bool  `json:"sharded"`
	ShardsSize  int   `json:"shardsSize"` // number of shards
	TLSEnabled  bool  `json:"tlsEnabled"`
	DBSizeBytes int64 `json:"dbSizeBytes"`
	OplogSizeMB int   `json:"oplogSizeMB"`
}

// Source returns the [Source] of a cluster and the migration hosts of the project. Add Username and Password where
// ManagedAuthentication is false and the source has users. The error is an [*InvalidRequestError] that names the
// clusters.
func (p AvailableProject) Source(clusterName string) (Source, []string, error) {
	var names []string
	for _, d := range p.Deployments {
		if d.Name == clusterName {
			source := Source{ProjectID: p.ProjectID, ClusterName: d.Name, SSL: d.TLSEnabled, ManagedAuthentication: d.Managed}
			return source, slices.Clone(p.MigrationHosts), nil
		}
		names = append(names, d.Name)
	}
	return Source{}, nil, invalidRequest([]FieldViolation{{"cluster name", redact.Line(fmt.Sprintf("is unknown: project %s has no cluster %q; it has %s",
		cmp.Or(p.Name, string(p.ProjectID)), clusterName, cmp.Or(strings.Join(names, ", "), "none")))}})
}

// List lists what can be migrated to an Atlas organization. The list is empty while no source organization is
// connected. It needs the role Organization Owner.
//
// GET /orgs/{orgId}/liveMigrations/availableProjects
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-listorglivemigrationavailableprojects
func (s *AvailableProjectsService) List(ctx context.Context, orgID OrgID, opts ...CallOption) ([]AvailableProject, error) {
	projects, err := send[response.List[AvailableProject]](ctx, (*core)(s), &listAvailableProjects, []string{string(orgID)}, nil, opts)
	if err != nil {
		return nil, err
	}
	return *projects, nil
}
