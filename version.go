package livemigration

import "github.com/livemigration/livemigration-go/internal/endpoint"

// APIVersion is a version of the Atlas Administration API.
type APIVersion int

const (
	// APIv2 is the current, versioned API below /api/atlas/v2. It is the default.
	APIv2 = APIVersion(endpoint.V2)
	// APIv1 is the legacy API below /api/atlas/v1.0.
	APIv1 = APIVersion(endpoint.V1)
)

// String returns the version as it stands in a path: "v2" or "v1.0".
func (v APIVersion) String() string { return endpoint.Version(v).String() }

func (v APIVersion) known() bool { return v == APIv2 || v == APIv1 }
