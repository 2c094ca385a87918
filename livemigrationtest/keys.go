package livemigrationtest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/livemigration/livemigration-go"
)

// Role is what an API key is allowed to do. Each role includes those before it.
type Role int

const (
	// NoRole is allowed nothing: every call is answered with 403.
	NoRole Role = iota
	// OrgMember, Organization Member, is allowed to read a migration.
	OrgMember
	// OrgOwner, Organization Owner, is allowed everything.
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

// apiKey is a programmatic API key: a user name and a password.
type apiKey struct {
	public  string
	private livemigration.Secret
	role    Role
}

// keyring holds the keys that the server knows.
type keyring struct {
	mu   sync.RWMutex
	keys map[string]apiKey // by public key
}

// create makes a key in the form of those of Atlas.
func (k *keyring) create(role Role) apiKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := apiKey{public: newPublicKey(), private: newPrivateKey(), role: role}
	for _, taken := k.keys[key.public]; taken; _, taken = k.keys[key.public] {
		key.public = newPublicKey()
	}
	if k.keys == nil {
		k.keys = make(map[string]apiKey)
	}
	k.keys[key.public] = key
	return key
}

func (k *keyring) find(public string) (apiKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, ok := k.keys[public]
	return key, ok
}

func newPublicKey() string { return strings.ToLower(rand.Text()[:8]) }

func newPrivateKey() livemigration.Secret {
	digits := randomHex(16)
	return livemigration.Secret(strings.Join(
		[]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-"))
}

func randomHex(size int) string {
	raw := make([]byte, size)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}
