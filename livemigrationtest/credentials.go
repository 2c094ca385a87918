package livemigrationtest

import "github.com/livemigration/livemigration-go"

// Credentials returns the credentials of an Organization Owner, with the key of [Server.APIKey].
func (s *Server) Credentials() livemigration.Credentials { return s.atlas.owner.apiKey() }

// CredentialsFor makes a new API key with the role.
func (s *Server) CredentialsFor(role Role) livemigration.Credentials {
	return s.atlas.digest.keys.create(role, newPublicKey, newPrivateKey).apiKey()
}

// APIKey returns the API key of an Organization Owner, for curl and other clients. The public key is the user name of
// HTTP Digest, the private key the password.
func (s *Server) APIKey() (publicKey string, privateKey livemigration.Secret) {
	return s.atlas.owner.name, s.atlas.owner.secret
}

// ServiceAccountCredentials returns the credentials of the service account of [Server.ServiceAccount], an Organization
// Owner.
func (s *Server) ServiceAccountCredentials() livemigration.Credentials {
	return s.account.serviceAccount()
}

// ServiceAccountCredentialsFor makes a new service account with the role.
func (s *Server) ServiceAccountCredentialsFor(role Role) livemigration.Credentials {
	return s.accounts.create(role, newClientID, newClientSecret).serviceAccount()
}

// ServiceAccount returns the service account of an Organization Owner, for curl and other clients.
func (s *Server) ServiceAccount() (clientID string, clientSecret livemigration.Secret) {
	return s.account.name, s.account.secret
}

// NewServiceAccount makes a new service account with the role.
func (s *Server) NewServiceAccount(role Role) (clientID string, clientSecret livemigration.Secret) {
	account := s.accounts.create(role, newClientID, newClientSecret)
	return account.name, account.secret
}

// SourceCredentials returns the credentials of an Organization Owner on the source side, with the key of
// [Server.SourceAPIKey]. Atlas does not know them.
func (s *Server) SourceCredentials() livemigration.Credentials { return s.source.owner.apiKey() }

// SourceCredentialsFor makes a new API key of the source side with the role.
func (s *Server) SourceCredentialsFor(role Role) livemigration.Credentials {
	return s.source.digest.keys.create(role, newPublicKey, newPrivateKey).apiKey()
}

// SourceAPIKey returns the API key of an Organization Owner on the source side, for curl and other clients.
func (s *Server) SourceAPIKey() (publicKey string, privateKey livemigration.Secret) {
	return s.source.owner.name, s.source.owner.secret
}

func (c credential) apiKey() livemigration.Credentials {
	return livemigration.APIKey(c.name, c.secret)
}

func (c credential) serviceAccount() livemigration.Credentials {
	return livemigration.ServiceAccount(c.name, c.secret)
}
