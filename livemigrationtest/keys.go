package livemigrationtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/livemigration/livemigration-go"
)

// Role is what an API key or a service account may do. Each role includes those before it.
type Role int

const (
	// NoRole may do nothing: every call ends with 403.
	NoRole Role = iota
	// OrgMember is Organization Member. It may read a migration.
	OrgMember
	// OrgOwner is Organization Owner. It may do everything.
	OrgOwner
)

// String returns the role's name in words.
func (r Role) String() string {
	switch r {
	case NoRole:
		return "no role"
	case OrgMember:
		return "Organization Member"
	case OrgOwner:
		return "Organization Owner"
	default:
		return fmt.Sprintf("Role(%d)", int(r))
	}
}

// credential is a name and the secret that proves it: an API key, or a service account.
type credential struct {
	name   string
	secret livemigration.Secret
	role   Role
}

// keyring holds the credentials of one kind that the server knows.
type keyring struct {
	mu    sync.RWMutex
	known map[string]credential // by name
}

// create makes a credential whose parts have the form that Atlas gives them.
func (k *keyring) create(role Role, newName func() string, newSecret func() livemigration.Secret) credential {
	k.mu.Lock()
	defer k.mu.Unlock()
	made := credential{name: newName(), secret: newSecret(), role: role}
	for _, taken := k.known[made.name]; taken; _, taken = k.known[made.name] {
		made.name = newName()
	}
	if k.known == nil {
		k.known = make(map[string]credential)
	}
	k.known[made.name] = made
	return made
}

func (k *keyring) find(name string) (credential, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	found, ok := k.known[name]
	return found, ok
}

func newPublicKey() string { return strings.ToLower(rand.Text()[:8]) }

func newPrivateKey() livemigration.Secret {
	digits := randomHex(16)
	return livemigration.Secret(strings.Join(
		[]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-"))
}

func newClientID() string { return "mdb_sa_id_" + randomHex(12) }

func newClientSecret() livemigration.Secret {
	return livemigration.Secret("mdb_sa_sk_" + randomText(30))
}

// randomText has four letters, digits, "-" or "_" for every three bytes.
func randomText(size int) string {
	raw := make([]byte, size)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

func randomHex(size int) string {
	raw := make([]byte, size)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}
