package livemigration

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode"

	"github.com/livemigration/livemigration-go/internal/digest"
)

// Credentials authenticate requests. [APIKey] makes the usual ones; implement the interface to bring your own.
type Credentials interface {
	// Transport returns a transport that authenticates requests to origin, whose scheme, host and port are set, and
	// sends them through base. [NewClient] calls it once.
	//
	// The transport must keep to the contract of [http.RoundTripper], must be safe for concurrent use, and must not
	// show its credentials to any other origin. It should send every request through base: the client learns there
	// what was sent, and takes a failed request that it has not seen there for one that may have been carried out.
	Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error)
}

// APIKey returns the credentials of a programmatic API key, which authenticate with HTTP Digest (RFC 7616). The keys
// go to the configured host only, in hashed form, and neither the credentials nor the client prints them.
func APIKey(publicKey, privateKey string) Credentials {
	// Closures, because no printer and no dump looks into them.
	return &apiKey{
		transport: func(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
			if problems := append(checkKey("public", publicKey), checkKey("private", privateKey)...); len(problems) > 0 {
				return nil, errors.New(strings.Join(problems, "; "))
			}
			return digest.NewTransport(origin, publicKey, privateKey, base)
		},
		keys: func() []Secret { return []Secret{Secret(publicKey), Secret(privateKey)} },
	}
}

// checkKey finds what comes of copying. No key of Atlas has white space or a colon in it.
func checkKey(name, key string) []string {
	switch {
	case key == "":
		return []string{"the " + name + " key is empty"}
	case strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == ':' }):
		return []string{"the " + name + " key has white space, a control character or a colon in it"}
	default:
		return nil
	}
}

type apiKey struct {
	transport func(*url.URL, http.RoundTripper) (http.RoundTripper, error)
	keys      func() []Secret
}

func (k *apiKey) Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
	return k.transport(origin, base)
}

func (*apiKey) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "livemigration.APIKey("+redacted+")")
}

func (k *apiKey) secrets() []Secret { return k.keys() }

// explain reads the challenge of a 401.
func (*apiKey) explain(h http.Header) (stale bool, explanation string) {
	challenges, _ := digest.ParseChallenges(h)
	challenge, ok := digest.Select(challenges)
	if !ok {
		return false, "the server offers no Digest challenge that this client can answer"
	}
	return challenge.Stale, ""
}

// The environment variables of Atlas's own tools; the first that is set counts.
var (
	publicKeyVariables  = []string{"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PUBLIC_KEY"}
	privateKeyVariables = []string{"MONGODB_ATLAS_PRIVATE_API_KEY", "MONGODB_ATLAS_PRIVATE_KEY"}
)

// CredentialsFromEnv returns the credentials that the environment holds, under the names that Atlas's own tools use:
// an [APIKey] from MONGODB_ATLAS_PUBLIC_API_KEY (or MONGODB_ATLAS_PUBLIC_KEY) and MONGODB_ATLAS_PRIVATE_API_KEY (or
// MONGODB_ATLAS_PRIVATE_KEY). White space around a value is dropped. The error names what is missing, and never a value.
func CredentialsFromEnv() (Credentials, error) {
	publicKey, privateKey := firstVariable(publicKeyVariables), firstVariable(privateKeyVariables)
	var missing []string
	if publicKey == "" {
		missing = append(missing, strings.Join(publicKeyVariables, " or "))
	}
	if privateKey == "" {
		missing = append(missing, strings.Join(privateKeyVariables, " or "))
	}
	if len(missing) > 0 {
		return nil, errors.New(messagePrefix + "credentials from the environment: not set: " + strings.Join(missing, ", and "))
	}
	return APIKey(publicKey, privateKey), nil
}

func firstVariable(names []string) string {
	for _, name := range names {
		if value := strings.TrimSpace(os.Getenv(name)); value != "" {
			return value
		}
	}
	return ""
}
