package livemigration

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MigrationRequest describes a migration. Its JSON is the body of [APIv2], but marshaling redacts the password.
type MigrationRequest struct {
	Source      Source      `json:"source"`
	Destination Destination `json:"destination"`
	// MigrationHosts is exactly one host name. A host serves one migration at a time.
	MigrationHosts []string `json:"migrationHosts"`
	// DropDestinationData deletes all data in the destination cluster first.
	DropDestinationData bool `json:"dropDestinationData"`
	// Sharding is for migrating a replica set to a sharded cluster, on MongoDB 6.0 and later.
	Sharding *Sharding `json:"sharding,omitempty"`
}

// Source is the cluster to migrate.
type Source struct {
	ProjectID   ProjectID `json:"groupId"`
	ClusterName string    `json:"clusterName"`
	// Username and Password belong to a user with the role backup on admin, SCRAM-SHA-1 and SCRAM-SHA-256. Leave them
	// empty with ManagedAuthentication, and without authentication.
	Username              string `json:"username,omitempty"`
	Password              Secret `json:"password,omitempty"`
	ManagedAuthentication bool   `json:"managedAuthentication"`       // Cloud Manager or Ops Manager manages the users
	SSL                   bool   `json:"ssl"`                         // the cluster accepts TLS
	CACertificatePath     string `json:"caCertificatePath,omitempty"` // on the migration host; only with SSL
}

// Destination is the Atlas cluster to migrate to.
type Destination struct {
	ProjectID          ProjectID          `json:"groupId"` // empty, or the project that the method is called with
	ClusterName        string             `json:"clusterName"`
	HostnameSchemaType HostnameSchemaType `json:"hostnameSchemaType,omitempty"` // default: [HostnamePublic]
	PrivateLinkID      string             `json:"privateLinkId,omitempty"`      // with [HostnamePrivateLink] only
}

// HostnameSchemaType is how the migration host connects to the destination cluster.
type HostnameSchemaType string

const (
	HostnamePublic      HostnameSchemaType = "PUBLIC"
	HostnamePrivateLink HostnameSchemaType = "PRIVATE_LINK"
	HostnameVPCPeering  HostnameSchemaType = "VPC_PEERING"
)

type Sharding struct {
	CreateSupportingIndexes bool         `json:"createSupportingIndexes"` // that the shard keys need
	Entries                 []ShardEntry `json:"shardingEntries"`         // may be empty
}

type ShardEntry struct {
	Database        string    `json:"database"`
	Collection      string    `json:"collection"`
	ShardCollection ShardKeys `json:"shardCollection"`
}

// ShardKeys is a shard key, in the order of its fields.
type ShardKeys struct {
	Key []ShardKeyField `json:"key"`
}

// ShardKeyField is in JSON such as {"location": 1}.
type ShardKeyField struct {
	Field string
	Order ShardKeyOrder
}

type ShardKeyOrder int

const (
	Ascending ShardKeyOrder = iota + 1 // 1 in JSON
	Hashed                             // "hashed" in JSON
)

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

// Validate checks r without Atlas. The error is an [*InvalidRequestError] that names every wrong field.
func (r MigrationRequest) Validate(version APIVersion) error {
	return invalidRequest(r.violations(version))
}

func (r *MigrationRequest) violations(v APIVersion) []FieldViolation {
	if v != APIv2 && v != APIv1 {
		return []FieldViolation{{"apiVersion", "must be APIv2 or APIv1"}}
	}
	var c checker
	r.Source.check(&c)
	r.Destination.check(&c)
	c.reject(len(r.MigrationHosts) != 1, "migrationHosts", "must contain exactly one host")
	for i, host := range r.MigrationHosts { // a host is not shown: a connection string with a password may stand there
		c.reject(!utf8.ValidString(host) || !hostName.MatchString(host), fmt.Sprintf("migrationHosts[%d]", i),
			"must be one host name such as vm001.example.com, without scheme, user or list")
	}
	if r.Sharding != nil {
		r.Sharding.check(&c)
	}
	return c.found
}

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

// name takes the name of a database, a collection or a field as MongoDB does.
func (c *checker) name(field, value, missing string) {
	c.reject(value == "", field, missing)
	c.reject(!utf8.ValidString(value) || strings.ContainsRune(value, 0), field, "must be valid UTF-8 without NUL")
}

func (s *Source) check(c *checker) {
	c.found = append(c.found, checkID("source.groupId", string(s.ProjectID))...)
	c.require("source.clusterName", s.ClusterName)
	const managed = "must be empty with managedAuthentication"
	c.reject(s.ManagedAuthentication && s.Username != "", "source.username", managed)
	c.reject(s.ManagedAuthentication && s.Password != "", "source.password", managed)
	c.reject(!s.ManagedAuthentication && s.Username == "" && s.Password != "", "source.username", "is required with source.password")
	c.reject(!s.ManagedAuthentication && s.Username != "" && s.Password == "", "source.password", "is required with source.username")
	c.text("source.username", s.Username)
	password := string(s.Password)
	c.reject(!utf8.ValidString(password), "source.password", "must be valid UTF-8")
	c.reject(strings.HasSuffix(password, "\n") || strings.HasSuffix(password, "\r"), "source.password",
		"must not end in a line break, as passwords read from files often do")
	c.reject(s.Password == redacted, "source.password", "is the mark of a redacted password, not a password")
	c.reject(!s.SSL && s.CACertificatePath != "", "source.caCertificatePath", "must be empty without ssl")
	c.text("source.caCertificatePath", s.CACertificatePath)
}

func (d *Destination) check(c *checker) {
	if d.ProjectID != "" {
		c.found = append(c.found, checkID("destination.groupId", string(d.ProjectID))...)
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

var hostName = regexp.MustCompile(`^[^\s\pZ\pC/\\@,;?#%"']+$`)

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
		c.name(path+".database", entry.Database, "is required")
		c.name(path+".collection", entry.Collection, "is required")
		entry.ShardCollection.check(c, path+".shardCollection.key")
	}
}

func (k *ShardKeys) check(c *checker, path string) {
	c.reject(len(k.Key) == 0, path, "must contain at least one field")
	for i, field := range k.Key {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.name(at, field.Field, "must name a field")
		c.reject(field.Order != Ascending && field.Order != Hashed, at, `must be 1 (Ascending) or "hashed" (Hashed)`)
		if first := slices.Index(k.Key, field); field.Field != "" && first < i {
			c.reject(true, at, fmt.Sprintf("is equal to %s[%d]", path, first))
		}
	}
}
