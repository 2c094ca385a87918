package livemigration

import "encoding/json"

// payload is the body of a request as the pipeline sees it: checked first, then encoded for a version of the API.
type payload interface {
	violations(APIVersion) []FieldViolation
	encode(APIVersion) ([]byte, error)
	// secrets are the values in the body that no message may repeat.
	secrets() []Secret
}

// migrationPayload is a migration request on its way to a destination project.
type migrationPayload struct {
	projectID ProjectID
	request   MigrationRequest
}

func (p migrationPayload) violations(v APIVersion) []FieldViolation {
	found := p.request.violations(v)
	if id := p.request.Destination.ProjectID; id != "" && id != p.projectID {
		found = append(found, FieldViolation{"destination.groupId",
			"must be empty or the project that the method is called with"})
	}
	return found
}

func (p migrationPayload) secrets() []Secret {
	if p.request.Source.Password == "" {
		return nil
	}
	return []Secret{p.request.Source.Password}
}

func (p migrationPayload) encode(v APIVersion) ([]byte, error) {
	r := &p.request
	source := wireSource{
		GroupID: r.Source.ProjectID, ClusterName: r.Source.ClusterName,
		Username: r.Source.Username, Password: r.Source.Password.Reveal(),
		SSL: r.Source.SSL, CACertificatePath: r.Source.CACertificatePath,
		ManagedAuthentication: r.Source.ManagedAuthentication,
	}
	destination := wireDestination{GroupID: p.projectID, ClusterName: r.Destination.ClusterName}
	if v == APIv1 {
		return json.Marshal(wireMigrationV1{source, destination, r.MigrationHosts, r.DropDestinationData})
	}
	destination.HostnameSchemaType, destination.PrivateLinkID = r.Destination.HostnameSchemaType, r.Destination.PrivateLinkID
	if destination.HostnameSchemaType == "" {
		destination.HostnameSchemaType = HostnamePublic
	}
	return json.Marshal(wireMigrationV2{source, destination, r.MigrationHosts, r.DropDestinationData, r.Sharding.wire()})
}

func (s *Sharding) wire() *Sharding {
	if s == nil || s.Entries != nil {
		return s
	}
	return &Sharding{CreateSupportingIndexes: s.CreateSupportingIndexes, Entries: []ShardEntry{}}
}

type wireMigrationV2 struct {
	Source              wireSource      `json:"source"`
	Destination         wireDestination `json:"destination"`
	MigrationHosts      []string        `json:"migrationHosts"`
	DropDestinationData bool            `json:"dropDestinationData"`
	Sharding            *Sharding       `json:"sharding,omitempty"`
}

type wireMigrationV1 struct {
	Source         wireSource      `json:"source"`
	Destination    wireDestination `json:"destination"`
	MigrationHosts []string        `json:"migrationHosts"`
	DropEnabled    bool            `json:"dropEnabled"`
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
