package livemigration

import (
	"net/http"
	"strings"
)

// APIVersion is a version of the Atlas Administration API.
type APIVersion int

const (
	// APIv2 is the current, versioned API below /api/atlas/v2. It is the default.
	APIv2 APIVersion = iota + 1
	// APIv1 is the legacy API below /api/atlas/v1.0.
	APIv1
)

// String returns the version as it stands in a path: "v2" or "v1.0".
func (v APIVersion) String() string {
	switch v {
	case APIv2:
		return "v2"
	case APIv1:
		return "v1.0"
	default:
		return "unknown"
	}
}

func (v APIVersion) known() bool { return v == APIv2 || v == APIv1 }

func (v APIVersion) prefix() string { return "/api/atlas/" + v.String() }

// repeatClass says what may be repeated once a request may have reached Atlas.
type repeatClass int

const (
	// repeatAlways: carrying the operation out twice has the effect of doing it once.
	repeatAlways repeatClass = iota + 1
	// repeatUnsent: twice would create two, so only what Atlas cannot have carried out is repeated.
	repeatUnsent
)

// refusal says what it means when a request is refused after an earlier attempt that may have been carried out.
type refusal int

const (
	// refusalStands: the earlier attempt changed nothing that matters.
	refusalStands refusal = iota
	// notFoundIsDone: what is not found any more has been deleted.
	notFoundIsDone
	// refusalIsUnknown: it may be refused because it has been carried out already.
	refusalIsUnknown
)

// operation is one endpoint.
type operation struct {
	name      string // the method of this package
	method    string
	path      string // below the version's prefix; each {name} stands for an id
	mediaType string // of version 2, which dates every resource
	repeat    repeatClass
	refused   refusal // with repeatAlways

	// answersSecret: the answer is a credential, of which no error may show anything.
	answersSecret bool
}

const (
	media20230101 = "application/vnd.atlas.2023-01-01+json"
	media20240530 = "application/vnd.atlas.2024-05-30+json"
	mediaV1       = "application/json"
)

// operations is the table of all endpoints. Each exists in both versions of the API.
var operations = struct {
	createLinkToken, deleteLinkToken, listAvailableProjects,
	createValidation, getValidation,
	createMigration, getMigration, cutover operation
}{
	createLinkToken: operation{"LinkTokens.Create", http.MethodPost,
		"/orgs/{orgId}/liveMigrations/linkTokens", media20230101, repeatUnsent, refusalStands, true},
	deleteLinkToken: operation{"LinkTokens.Delete", http.MethodDelete,
		"/orgs/{orgId}/liveMigrations/linkTokens", media20230101, repeatAlways, notFoundIsDone, false},
	listAvailableProjects: operation{"AvailableProjects.List", http.MethodGet,
		"/orgs/{orgId}/liveMigrations/availableProjects", media20230101, repeatAlways, refusalStands, false},
	createValidation: operation{"Validations.Create", http.MethodPost,
		"/groups/{groupId}/liveMigrations/validate", media20240530, repeatAlways, refusalStands, false},
	getValidation: operation{"Validations.Get", http.MethodGet,
		"/groups/{groupId}/liveMigrations/validate/{validationId}", media20230101, repeatAlways, refusalStands, false},
	createMigration: operation{"Migrations.Create", http.MethodPost,
		"/groups/{groupId}/liveMigrations", media20240530, repeatUnsent, refusalStands, false},
	getMigration: operation{"Migrations.Get", http.MethodGet,
		"/groups/{groupId}/liveMigrations/{liveMigrationId}", media20230101, repeatAlways, refusalStands, false},
	cutover: operation{"Migrations.Cutover", http.MethodPut,
		"/groups/{groupId}/liveMigrations/{liveMigrationId}/cutover", media20230101, repeatAlways, refusalIsUnknown, false},
}

// creates reports whether the answer is about something that did not exist before.
func (op *operation) creates() bool { return op.method == http.MethodPost }

// expand puts ids in the place of the path's {names}, in order.
func (op *operation) expand(ids []identifier) string {
	var b strings.Builder
	b.Grow(len(op.path) + idLength*len(ids))
	rest := op.path
	for _, id := range ids {
		before, after, _ := strings.Cut(rest, "{")
		b.WriteString(before)
		b.WriteString(id.segment())
		_, rest, _ = strings.Cut(after, "}")
	}
	b.WriteString(rest)
	return b.String()
}

// mediaTypeFor is the Accept, and with a body the Content-Type, of the operation.
func (op *operation) mediaTypeFor(v APIVersion) string {
	if v == APIv1 {
		return mediaV1
	}
	return op.mediaType
}
