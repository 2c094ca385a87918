package livemigrationtest

import (
	"net/http"

	"github.com/livemigration/livemigration-go"
)

// site is one of the two services that the server plays: Atlas, or the source side. Each has its own address,
// credentials, organizations and endpoints.
type site struct {
	owner        *Server
	inProcessURL string
	prefixes     map[string]apiVersion // of paths
	routes       []*route
	mux          *http.ServeMux
	scopes       map[string][]string // the IDs that exist, by the name of the path's parameter
	digest       digestAuth
	accounts     keyring
	tokens       tokens
	key, account credential // of an Organization Owner

	server *http.Server
	url    string // once it has a listener
}

func (s *Server) newAtlas(ids *ids) *site {
	projects := make([]string, 0, s.config.projectCount)
	for i := range s.config.projectCount {
		projects = append(projects, ids.of(idAtlas, 0x11+i))
	}
	return s.newSite(&site{
		inProcessURL: inProcessURL, routes: newAtlasRoutes(),
		prefixes: map[string]apiVersion{"/api/atlas/v2/": v2, "/api/atlas/v1.0/": v1},
		scopes:   map[string][]string{scopeOrg: {ids.of(idAtlas, 0)}, scopeProject: projects},
	})
}

// newSource returns the source side, whose only version has the media types of v1.0.
func (s *Server) newSource() *site {
	var orgs []string
	for _, org := range s.state.sourceOrgs {
		orgs = append(orgs, org.id)
	}
	return s.newSite(&site{
		inProcessURL: "https://" + sourceHost, routes: newSourceRoutes(),
		prefixes: map[string]apiVersion{"/api/public/v1.0/": v1}, scopes: map[string][]string{scopeOrg: orgs},
	})
}

func (s *Server) newSite(of *site) *site {
	of.owner = s
	of.mux = of.newMux()
	of.digest.documented = s.config.documentedChallenge
	of.tokens = tokens{
		clock: s.clock, lifetime: s.config.tokenLife, skew: s.config.tokenSkew, live: make(map[string]accessToken),
	}
	of.key = of.digest.keys.create(OrgOwner, newPublicKey(), newPrivateKey())
	of.account = of.accounts.create(OrgOwner, newClientID(), newClientSecret())
	of.server = newHTTPServer(of, s.config.http2)
	return of
}

// Credentials returns the credentials of an Organization Owner, with the key of [Server.APIKey].
func (s *Server) Credentials() livemigration.Credentials { return s.atlas.key.apiKey() }

// CredentialsFor creates an API key with the role.
func (s *Server) CredentialsFor(role Role) livemigration.Credentials {
	return s.atlas.digest.keys.create(role, newPublicKey(), newPrivateKey()).apiKey()
}

// APIKey returns the API key of an Organization Owner, for curl and other clients. The public key is the user name of
// HTTP Digest, the private key the password.
func (s *Server) APIKey() (publicKey string, privateKey livemigration.Secret) {
	return s.atlas.key.name, s.atlas.key.secret
}

// ServiceAccountCredentials returns the credentials of the service account of [Server.ServiceAccount].
func (s *Server) ServiceAccountCredentials() livemigration.Credentials {
	return s.atlas.account.serviceAccount()
}

// ServiceAccountCredentialsFor creates a service account with the role.
func (s *Server) ServiceAccountCredentialsFor(role Role) livemigration.Credentials {
	return s.atlas.accounts.create(role, newClientID(), newClientSecret()).serviceAccount()
}

// ServiceAccount returns the service account of an Organization Owner, for curl and other clients.
func (s *Server) ServiceAccount() (clientID string, clientSecret livemigration.Secret) {
	return s.atlas.account.name, s.atlas.account.secret
}

// SourceCredentials returns the credentials of the key of [Server.SourceAPIKey]. Atlas does not know them.
func (s *Server) SourceCredentials() livemigration.Credentials { return s.source.key.apiKey() }

// SourceAPIKey returns the API key of an Organization Owner on the source side, for curl and other clients.
func (s *Server) SourceAPIKey() (publicKey string, privateKey livemigration.Secret) {
	return s.source.key.name, s.source.key.secret
}

// SourceServiceAccountCredentials returns the credentials of the service account of [Server.SourceServiceAccount].
func (s *Server) SourceServiceAccountCredentials() livemigration.Credentials {
	return s.source.account.serviceAccount()
}

// SourceServiceAccount returns the service account of an Organization Owner on the source side.
func (s *Server) SourceServiceAccount() (clientID string, clientSecret livemigration.Secret) {
	return s.source.account.name, s.source.account.secret
}

func (c credential) apiKey() livemigration.Credentials {
	return livemigration.APIKey(c.name, c.secret)
}

func (c credential) serviceAccount() livemigration.Credentials {
	return livemigration.ServiceAccount(c.name, c.secret)
}
