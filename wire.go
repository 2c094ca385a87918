package livemigration

import (
	"encoding/json"
	"slices"
	"strconv"
)

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
	// plain is what the check has found out about the names in the sharding: that they stand in JSON as they are.
	plain bool
}

func (p *migrationPayload) violations(v APIVersion) []FieldViolation {
	found, plain := p.request.check(v)
	p.plain = plain
	if id := p.request.Destination.ProjectID; id != "" && id != p.projectID {
		found = append(found, FieldViolation{"destination.groupId",
			"must be empty or the project that the method is called with"})
	}
	return found
}

func (p *migrationPayload) secrets() []Secret {
	if p.request.Source.Password == "" {
		return nil
	}
	return []Secret{p.request.Source.Password}
}

func (p *migrationPayload) encode(v APIVersion) ([]byte, error) {
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
	body, err := json.Marshal(wireMigrationV2{source, destination, r.MigrationHosts, r.DropDestinationData})
	if err != nil || r.Sharding == nil {
		return body, err
	}
	body = slices.Grow(body, r.Sharding.sizeHint())
	body = append(body[:len(body)-1], `,"sharding":`...)
	return append(r.Sharding.append(body, quoterFor(p.plain)), '}'), nil
}

// quoter appends a string as JSON writes it.
type quoter func([]byte, string) []byte

func quoterFor(plain bool) quoter {
	if plain {
		return appendPlain
	}
	return appendString
}

// append writes the sharding as encoding/json would. A request may shard hundreds of collections, for each of which
// encoding/json calls three marshalers and checks what they wrote.
func (s *Sharding) append(b []byte, quote quoter) []byte {
	b = append(b, `{"createSupportingIndexes":`...)
	b = strconv.AppendBool(b, s.CreateSupportingIndexes)
	b = append(b, `,"shardingEntries":[`...)
	for i := range s.Entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.Entries[i].append(b, quote)
	}
	return append(b, "]}"...)
}

func (e *ShardEntry) append(b []byte, quote quoter) []byte {
	b = quote(append(b, `{"database":`...), e.Database)
	b = quote(append(b, `,"collection":`...), e.Collection)
	b = append(b, `,"shardCollection":{"key":[`...)
	for i, field := range e.ShardCollection.Key {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(append(b, '{'), field.Field)
		b = append(append(b, ':'), field.Order.String()...)
		b = append(b, '}')
	}
	return append(b, "]}}"...)
}

func appendPlain(b []byte, s string) []byte { return append(append(append(b, '"'), s...), '"') }

func appendString(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // of a string this cannot fail
	return append(b, quoted...)
}

// sizeHint is as much as append writes, or a little more.
func (s *Sharding) sizeHint() int {
	const (
		whole = len(`{"createSupportingIndexes":false,"shardingEntries":[]}`) + len(`,"sharding":}`)
		entry = len(`{"database":"","collection":"","shardCollection":{"key":[]}},`)
		field = len(`{"":"hashed"},`)
	)
	size := whole
	for i := range s.Entries {
		e := &s.Entries[i]
		size += entry + len(e.Database) + len(e.Collection)
		for _, key := range e.ShardCollection.Key {
			size += field + len(key.Field)
		}
	}
	return size
}

type wireMigrationV2 struct {
	Source              wireSource      `json:"source"`
	Destination         wireDestination `json:"destination"`
	MigrationHosts      []string        `json:"migrationHosts"`
	DropDestinationData bool            `json:"dropDestinationData"` // the sharding follows, see encode
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
