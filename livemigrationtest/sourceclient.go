package livemigrationtest

import "github.com/livemigration/livemigration-go"

// NewSourceClient returns a client of the source side, with the key of [Server.SourceCredentials]. The options come
// after its own, and can replace them.
func (s *Server) NewSourceClient(opts ...livemigration.Option) (*livemigration.SourceClient, error) {
	all := []livemigration.Option{
		livemigration.WithBaseURL(s.SourceURL()), livemigration.WithHTTPClient(s.HTTPClient()),
	}
	return livemigration.NewSourceClient(s.SourceCredentials(), append(all, opts...)...)
}
