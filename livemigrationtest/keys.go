package livemigrationtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/livemigration/livemigration-go"
)

// Role is what an API key or a service account may do. Each role includes those before it.
type Role int

const (
	// NoRole may do nothing: every call ends with 401.
	NoRole Role = iota
	// OrgMember is Organization Member. It may read a migration.
	OrgMember
	// OrgOwner is Organization Owner. It may do everything.
	OrgOwner
)

// String returns the role's name in words.
func (r Role) String() string {
	return map[Role]string{NoRole: "no role", OrgMember: "Organization Member", OrgOwner: "Organization Owner"}[r]
}

// credential is a name and the secret that proves it: an API key, or a service account.
type credential struct {
	name   string
	secret livemigration.Secret
	role   Role
}

// keyring contains the credentials of one kind that a site knows.
type keyring struct{ known sync.Map } // by name

func (k *keyring) create(role Role, name string, secret livemigration.Secret) credential {
	created := credential{name: name, secret: secret, role: role}
	k.known.Store(name, created)
	return created
}

func (k *keyring) find(name string) (credential, bool) {
	found, _ := k.known.Load(name)
	known, ok := found.(credential)
	return known, ok
}

func newPublicKey() string { return strings.ToLower(rand.Text()[:8]) }

func newPrivateKey() livemigration.Secret {
	return livemigration.Secret(strings.Join([]string{randomHex(4), randomHex(2), randomHex(2), randomHex(2), randomHex(6)}, "-"))
}

func newClientID() string { return "mdb_sa_id_" + randomHex(12) }

func newClientSecret() livemigration.Secret {
	return livemigration.Secret("mdb_sa_sk_" + randomText(30))
}

// randomText has four letters, digits, "-" or "_" for every three bytes.
func randomText(size int) string { return base64.RawURLEncoding.EncodeToString(randomBytes(size)) }

func randomHex(size int) string { return hex.EncodeToString(randomBytes(size)) }

func randomBytes(size int) []byte {
	raw := make([]byte, size)
	_, _ = rand.Read(raw) // never fails
	return raw
}

// The first digits of an ID say what it identifies.
const (
	idAtlas  = "5f1a2b3c" // the organization and its projects
	idSource = "5c7e8f90" // the source organizations with their projects and clusters
	idJob    = "6560f2a4"
)

// ids creates IDs of 24 hexadecimal digits: 8 that say what for, 10 that are random in each server, and a number.
type ids struct {
	random string
	last   atomic.Uint32
}

func newIDs() *ids { return &ids{random: randomHex(5)} }

// next returns the ID of the next job.
func (i *ids) next() string { return i.of(idJob, int(i.last.Add(1))) }

func (i *ids) of(kind string, number int) string {
	return fmt.Sprintf("%s%s%06x", kind, i.random, number)
}

// isID reports whether s is an ID of Atlas: 24 lowercase hexadecimal digits.
func isID(s string) bool {
	return len(s) == 24 && strings.Trim(s, "0123456789abcdef") == ""
}
