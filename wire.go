package livemigration

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// migrationPayload is the body that starts or validates a migration to a destination project.
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

func (p *migrationPayload) unknown(string) string {
	source, destination := &p.request.Source, &p.request.Destination
	return fmt.Sprintf("Atlas may have started a migration of cluster %q of source project %s to cluster %q of Atlas project %s; "+
		"check the Atlas UI before you start it again", source.ClusterName, source.ProjectID, destination.ClusterName, p.projectID)
}

// encode writes the body. It is the only place that writes the password: Secret marshals redacted.
func (p *migrationPayload) encode(v APIVersion) (data []byte, secrets []string, err error) {
	password := string(p.request.Source.Password)
	r := p.request
	r.Destination.ProjectID = p.projectID
	r.Destination.HostnameSchemaType = cmp.Or(r.Destination.HostnameSchemaType, HostnamePublic)
	if r.Sharding != nil && r.Sharding.Entries == nil {
		r.Sharding = &Sharding{CreateSupportingIndexes: r.Sharding.CreateSupportingIndexes, Entries: []ShardEntry{}}
	}
	body := struct {
		MigrationRequest

		Source              wireSource `json:"source"`
		DropDestinationData *bool      `json:"dropDestinationData,omitempty"`
		DropEnabled         *bool      `json:"dropEnabled,omitempty"`
	}{MigrationRequest: r, Source: wireSource{r.Source, password}}
	if v == APIv1 {
		body.DropEnabled = &r.DropDestinationData
	} else {
		body.DropDestinationData = &r.DropDestinationData
	}
	data, err = json.Marshal(body)
	return data, []string{password}, err
}

type wireSource struct {
	Source

	Password string `json:"password,omitempty"`
}
