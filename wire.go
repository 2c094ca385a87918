package livemigration

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// migrationPayload is a migration request on its way to a destination project.
type migrationPayload struct {
	projectID ProjectID
	request   MigrationRequest
}

func (p *migrationPayload) violations(v APIVersion) []FieldViolation {
	found := p.request.violations(v)
	if id := p.request.Destination.ProjectID; id != "" && id != p.projectID {
		found = append(found, FieldViolation{"destination.groupId",
			"must be empty or the project that the method is called with"})
	}
	return found
}

func (p *migrationPayload) secrets() []string {
	if p.request.Source.Password == "" {
		return nil
	}
	return []string{p.request.Source.Password.Reveal()}
}

func (p *migrationPayload) lookFor([]identifier) string {
	source, destination := &p.request.Source, &p.request.Destination
	return fmt.Sprintf("a migration of cluster %q of source project %s to cluster %q of Atlas project %s may have been started, "+
		"look for it in Atlas before you start it again", source.ClusterName, source.ProjectID, destination.ClusterName, p.projectID)
}

// encode writes the body. It is the only place that writes the password.
func (p *migrationPayload) encode(v APIVersion) ([]byte, error) {
	r := &p.request
	body := wireMigration{
		Source: wireSource{
			GroupID: r.Source.ProjectID, ClusterName: r.Source.ClusterName,
			Username: r.Source.Username, Password: r.Source.Password.Reveal(),
			SSL: r.Source.SSL, CACertificatePath: r.Source.CACertificatePath,
			ManagedAuthentication: r.Source.ManagedAuthentication,
		},
		Destination: wireDestination{
			GroupID: p.projectID, ClusterName: r.Destination.ClusterName,
			HostnameSchemaType: cmp.Or(r.Destination.HostnameSchemaType, HostnamePublic), PrivateLinkID: r.Destination.PrivateLinkID,
		},
		MigrationHosts: r.MigrationHosts,
	}
	if r.Sharding != nil {
		body.Sharding = newWireSharding(r.Sharding)
	}
	if v == APIv1 {
		body.DropEnabled = &r.DropDestinationData
	} else {
		body.DropDestinationData = &r.DropDestinationData
	}
	return json.Marshal(body)
}

// wireMigration is the body in both versions, each of which has its own name for one member.
type wireMigration struct {
	Source              wireSource      `json:"source"`
	Destination         wireDestination `json:"destination"`
	MigrationHosts      []string        `json:"migrationHosts"`
	DropDestinationData *bool           `json:"dropDestinationData,omitempty"`
	DropEnabled         *bool           `json:"dropEnabled,omitempty"`
	Sharding            *wireSharding   `json:"sharding,omitempty"`
}

type wireSource struct {
	GroupID               ProjectID `json:"groupId"`
	ClusterName           string    `json:"clusterName"`
	Username              string    `json:"username,omitempty"`
	Password              string    `json:"password,omitempty"`
	SSL                   bool      `json:"ssl"`
	CACertificatePath     string    `json:"caCertificatePath,omitempty"`
	ManagedAuthentication bool      `json:"managedAuthentication"`
}

type wireDestination struct {
	GroupID            ProjectID          `json:"groupId"`
	ClusterName        string             `json:"clusterName"`
	HostnameSchemaType HostnameSchemaType `json:"hostnameSchemaType,omitempty"`
	PrivateLinkID      string             `json:"privateLinkId,omitempty"`
}

// wireSharding always has both of its members.
type wireSharding struct {
	CreateSupportingIndexes bool         `json:"createSupportingIndexes"`
	Entries                 []ShardEntry `json:"shardingEntries"`
}

func newWireSharding(s *Sharding) *wireSharding {
	w := wireSharding(*s)
	if w.Entries == nil {
		w.Entries = []ShardEntry{}
	}
	return &w
}
