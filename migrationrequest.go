package livemigration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MigrationRequest describes a migration, for [ValidationsService.Create] and [MigrationsService.Create].
//
// It reads from JSON in the form of the body of [APIv2], so that a request can be kept in a file. It marshals to the
// same form with its password redacted.
type MigrationRequest struct {
	Source      Source      `json:"source"`
	Destination Destination `json:"destination"`
	// MigrationHosts is the host that runs the migration: exactly one host name. One dedicated host serves one migration
	// at a time. [AvailableProject.MigrationHosts] lists them.
	MigrationHosts []string `json:"migrationHosts"`
	// DropDestinationData destroys the data of the destination cluster before the migration starts. [APIv1] calls it
	// dropEnabled.
	DropDestinationData bool `json:"dropDestinationData"`
	// Sharding is for a migration from a replica set to a sharded cluster, on MongoDB 6.0 and later.
	Sharding *Sharding `json:"sharding,omitempty"`
}

// Source is the cluster to be copied, in Cloud Manager or Ops Manager.
type Source struct {
	// ProjectID is the source project, groupId on the wire.
	ProjectID   ProjectID `json:"groupId"`
	ClusterName string    `json:"clusterName"`
	// Username and Password are those of a SCRAM-SHA user of the source cluster. Give both, or neither: with
	// ManagedAuthentication, and for a source that runs without authentication.
	Username string `json:"username,omitempty"`
	Password Secret `json:"password,omitempty"`
	// ManagedAuthentication says that Cloud Manager or Ops Manager manages the users of the source.
	ManagedAuthentication bool `json:"managedAuthentication"`
	// SSL says that the source takes TLS connections.
	SSL bool `json:"ssl"`
	// CACertificatePath is a path on the migration host. Only with SSL.
	CACertificatePath string `json:"caCertificatePath,omitempty"`
}

// Destination is the Atlas cluster to be filled.
type Destination struct {
	// ProjectID is the destination project, groupId on the wire. Empty, it becomes the project that the method is
	// called with; a different one is rejected.
	ProjectID   ProjectID `json:"groupId"`
	ClusterName string    `json:"clusterName"`
	// HostnameSchemaType is how the migration host reaches the destination. Default: [HostnamePublic].
	HostnameSchemaType HostnameSchemaType `json:"hostnameSchemaType,omitempty"`
	// PrivateLinkID is the endpoint, with [HostnamePrivateLink] only.
	PrivateLinkID string `json:"privateLinkId,omitempty"`
}

// HostnameSchemaType is how a migration host reaches the destination cluster.
type HostnameSchemaType string

const (
	// HostnamePublic uses the public host names of the destination.
	HostnamePublic HostnameSchemaType = "PUBLIC"
	// HostnamePrivateLink uses a private endpoint, [Destination.PrivateLinkID].
	HostnamePrivateLink HostnameSchemaType = "PRIVATE_LINK"
	// HostnameVPCPeering uses a network peering connection.
	HostnameVPCPeering HostnameSchemaType = "VPC_PEERING"
)

// Sharding says how collections of a replica set are sharded in the destination.
type Sharding struct {
	// CreateSupportingIndexes makes the migration create the indexes that the shard keys need.
	CreateSupportingIndexes bool `json:"createSupportingIndexes"`
	// Entries are the collections to be sharded; nil is sent as an empty list.
	Entries []ShardEntry `json:"shardingEntries"`
}

// ShardEntry is one collection to be sharded.
type ShardEntry struct {
	Database        string    `json:"database"`
	Collection      string    `json:"collection"`
	ShardCollection ShardKeys `json:"shardCollection"`
}

// ShardKeys is a shard key. The order of its fields counts and is kept.
type ShardKeys struct {
	Key []ShardKeyField `json:"key"`
}

// ShardKeyField is one field of a shard key, in JSON an object of one member such as {"location": 1}.
type ShardKeyField struct {
	Field string
	Order ShardKeyOrder
}

// ShardKeyOrder is how a field stands in a shard key.
type ShardKeyOrder int

const (
	// Ascending is 1 on the wire.
	Ascending ShardKeyOrder = iota + 1
	// Hashed is "hashed" on the wire.
	Hashed
)

// String returns the order as it stands in JSON: 1 or "hashed".
func (o ShardKeyOrder) String() string {
	switch o {
	case Ascending:
		return "1"
	case Hashed:
		return `"hashed"`
	default:
		return fmt.Sprintf("ShardKeyOrder(%d)", int(o))
	}
}

// MarshalJSON writes an object of one member.
func (f ShardKeyField) MarshalJSON() ([]byte, error) {
	if f.Order != Ascending && f.Order != Hashed {
		return nil, fmt.Errorf("livemigration: shard key field %q: order must be Ascending or Hashed", f.Field)
	}
	name, err := json.Marshal(f.Field)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "{%s:%s}", name, f.Order), nil
}

// UnmarshalJSON reads an object of one member.
func (f *ShardKeyField) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	if len(members) != 1 {
		return errors.New(`livemigration: a shard key field must be an object of one member such as {"location": 1}`)
	}
	for name, value := range members {
		switch string(value) {
		case Ascending.String():
			*f = ShardKeyField{name, Ascending}
		case Hashed.String():
			*f = ShardKeyField{name, Hashed}
		default:
			return fmt.Errorf(`livemigration: shard key field %q: must be 1 or "hashed"`, name)
		}
	}
	return nil
}

// Validate reports everything that Atlas would reject about r in the given version of its API, at once. The error is
// an [*InvalidRequestError] whose fields are paths in the body of [APIv2].
//
// An empty Destination.ProjectID is no violation: the method that sends r fills it in.
func (r MigrationRequest) Validate(version APIVersion) error {
	return invalidRequest(r.violations(version))
}

func (r *MigrationRequest) violations(v APIVersion) []FieldViolation {
	if !v.known() {
		return []FieldViolation{{"apiVersion", "must be APIv2 or APIv1"}}
	}
	var c checker
	r.Source.check(&c)
	r.Destination.check(&c)
	r.checkHosts(&c)
	if r.Sharding != nil {
		r.Sharding.check(&c)
	}
	return c.found
}

// checker gathers violations.
type checker struct{ found []FieldViolation }

func (c *checker) reject(violated bool, field, description string) {
	if violated {
		c.found = append(c.found, FieldViolation{field, description})
	}
}

func (c *checker) require(field, value string) {
	c.reject(strings.TrimSpace(value) == "", field, "is required")
	c.text(field, value)
}

// text rejects what JSON would change on its way, and what copying brings along.
func (c *checker) text(field, value string) {
	c.reject(!utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl), field,
		"must be valid UTF-8 without control characters")
}

// id adds the violations of an id under the JSON path at which it stands.
func (c *checker) id(field string, id identifier) {
	for _, v := range id.violations() {
		c.reject(true, field, v.Description)
	}
}

func (s *Source) check(c *checker) {
	c.id("source.groupId", s.ProjectID)
	c.require("source.clusterName", s.ClusterName)
	const managed = "must be empty with managedAuthentication"
	c.reject(s.ManagedAuthentication && s.Username != "", "source.username", managed)
	c.reject(s.ManagedAuthentication && s.Password != "", "source.password", managed)
	c.reject(!s.ManagedAuthentication && s.Username == "" && s.Password != "", "source.username", "is required with source.password")
	c.reject(!s.ManagedAuthentication && s.Username != "" && s.Password == "", "source.password", "is required with source.username")
	c.text("source.username", s.Username)
	c.reject(!utf8.ValidString(s.Password.Reveal()), "source.password", "must be valid UTF-8")
	c.reject(strings.HasSuffix(s.Password.Reveal(), "\n") || strings.HasSuffix(s.Password.Reveal(), "\r"), "source.password",
		"must not end in a line break, as passwords read from files often do")
	c.reject(s.Password == redacted, "source.password", "is the mark of a redacted password, not a password")
	c.reject(!s.SSL && s.CACertificatePath != "", "source.caCertificatePath", "must be empty without ssl")
	c.text("source.caCertificatePath", s.CACertificatePath)
}

func (d *Destination) check(c *checker) {
	if d.ProjectID != "" {
		c.id("destination.groupId", d.ProjectID)
	}
	c.require("destination.clusterName", d.ClusterName)
	const schema, link = "destination.hostnameSchemaType", "destination.privateLinkId"
	c.text(link, d.PrivateLinkID)
	switch d.HostnameSchemaType {
	case HostnamePrivateLink:
		c.reject(d.PrivateLinkID == "", link, "is required with hostnameSchemaType PRIVATE_LINK")
	case "", HostnamePublic, HostnameVPCPeering:
		c.reject(d.PrivateLinkID != "", link, "must be empty without hostnameSchemaType PRIVATE_LINK")
	default:
		c.reject(true, schema, "must be PUBLIC, PRIVATE_LINK or VPC_PEERING")
	}
}

func (r *MigrationRequest) checkHosts(c *checker) {
	const field = "migrationHosts"
	c.reject(len(r.MigrationHosts) != 1, field, "must hold exactly one host")
	for i, host := range r.MigrationHosts { // a host is not shown: a connection string with a password may stand there
		c.reject(host == "" || !utf8.ValidString(host) || strings.ContainsFunc(host, notInHostName), fmt.Sprintf("%s[%d]", field, i),
			"must be one host name such as vm001.example.com, without scheme, user or list")
	}
}

func notInHostName(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`/\@,;?#%"'`, r)
}

func (s *Sharding) check(c *checker) {
	seen := make(map[string]int, len(s.Entries))
	for i, entry := range s.Entries {
		path := fmt.Sprintf("sharding.shardingEntries[%d]", i)
		whole := fmt.Sprintf("%q", entry)
		first, again := seen[whole]
		c.reject(again, path, fmt.Sprintf("is equal to sharding.shardingEntries[%d]", first))
		if !again {
			seen[whole] = i
		}
		c.require(path+".database", entry.Database)
		c.require(path+".collection", entry.Collection)
		entry.ShardCollection.check(c, path+".shardCollection.key")
	}
}

func (k *ShardKeys) check(c *checker, path string) {
	c.reject(len(k.Key) == 0, path, "must hold at least one field")
	for i, field := range k.Key {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.reject(field.Field == "", at, "must name a field")
		c.text(at, field.Field)
		c.reject(field.Order != Ascending && field.Order != Hashed, at, `must be 1 (Ascending) or "hashed" (Hashed)`)
		for _, earlier := range k.Key[:i] {
			c.reject(field.Field != "" && earlier.Field == field.Field, at, "names a field of the key twice")
		}
	}
}
