// Package endpoint is the table of the endpoints: names, methods, paths, media types, and what may be retried.
//
// It is data. It does not know how a request is made.
package endpoint

import (
	"log/slog"
	"net/http"
	"strings"
)

// Version is a version of the Atlas Administration API, or the API of the source side.
type Version int

const (
	// V2 is the current API. Each resource has a date.
	V2 Version = iota + 1
	// V1 is the legacy API.
	V1
	// Source is the API of Cloud Manager and Ops Manager.
	Source
)

// String returns the version as it stands in a path.
func (v Version) String() string {
	switch v {
	case V2:
		return "v2"
	case V1:
		return "v1.0"
	default:
		return "unknown"
	}
}

// Prefix is the path before that of an endpoint.
func (v Version) Prefix() string {
	if v == Source {
		return "/api/public/v1.0"
	}
	return "/api/atlas/" + v.String()
}

// Retry says what may be retried once a request may have reached the server.
type Retry int

const (
	// Always: twice has the same effect as once.
	Always Retry = iota + 1
	// Unsent: twice would create two, so only a request that was not carried out is retried.
	Unsent
)

// Rejection says what it means when a retry is rejected after an attempt that may have been carried out.
type Rejection int

const (
	// Stands: the attempt before changed nothing that matters.
	Stands Rejection = iota
	// NotFoundIsDone: what is not found any more has been deleted.
	NotFoundIsDone
	// MayBeDone: it may be rejected because it has been carried out already.
	MayBeDone
)

// Endpoint is one endpoint.
type Endpoint struct {
	Name      string // the method of the public API
	Method    string
	Path      string // below the prefix; each {name} stands for an id
	MediaType string // of V2
	Retry     Retry
	Rejection Rejection // with Always
	// SecretResponse: the response is a credential, of which no error may show anything.
	SecretResponse bool
}

const (
	media20230101 = "application/vnd.atlas.2023-01-01+json"
	media20240530 = "application/vnd.atlas.2024-05-30+json"
	// JSON is the media type of V1, of the source side, and of the token endpoints.
	JSON = "application/json"
)

// The endpoints of Atlas. Each exists in both versions.
var (
	CreateLinkToken = Endpoint{Name: "LinkTokens.Create", Method: http.MethodPost,
		Path: "/orgs/{orgId}/liveMigrations/linkTokens", MediaType: media20230101, Retry: Unsent, SecretResponse: true}
	DeleteLinkToken = Endpoint{Name: "LinkTokens.Delete", Method: http.MethodDelete,
		Path: "/orgs/{orgId}/liveMigrations/linkTokens", MediaType: media20230101, Retry: Always, Rejection: NotFoundIsDone}
	ListAvailableProjects = Endpoint{Name: "AvailableProjects.List", Method: http.MethodGet,
		Path: "/orgs/{orgId}/liveMigrations/availableProjects", MediaType: media20230101, Retry: Always}
	CreateValidation = Endpoint{Name: "Validations.Create", Method: http.MethodPost,
		Path: "/groups/{groupId}/liveMigrations/validate", MediaType: media20240530, Retry: Always}
	GetValidation = Endpoint{Name: "Validations.Get", Method: http.MethodGet,
		Path: "/groups/{groupId}/liveMigrations/validate/{validationId}", MediaType: media20230101, Retry: Always}
	CreateMigration = Endpoint{Name: "Migrations.Create", Method: http.MethodPost,
		Path: "/groups/{groupId}/liveMigrations", MediaType: media20240530, Retry: Unsent}
	GetMigration = Endpoint{Name: "Migrations.Get", Method: http.MethodGet,
		Path: "/groups/{groupId}/liveMigrations/{liveMigrationId}", MediaType: media20230101, Retry: Always}
	Cutover = Endpoint{Name: "Migrations.Cutover", Method: http.MethodPut,
		Path: "/groups/{groupId}/liveMigrations/{liveMigrationId}/cutover", MediaType: media20230101, Retry: Always, Rejection: MayBeDone}
)

// The endpoints of the source side.
var (
	CreateMigrationLink = Endpoint{Name: "MigrationLink.Create", Method: http.MethodPost,
		Path: "/orgs/{orgId}/liveExport/migrationLink", MediaType: JSON, Retry: Unsent}
	GetMigrationLink = Endpoint{Name: "MigrationLink.Status", Method: http.MethodGet,
		Path: "/orgs/{orgId}/liveExport/migrationLink/status", MediaType: JSON, Retry: Always}
	DeleteMigrationLink = Endpoint{Name: "MigrationLink.Delete", Method: http.MethodDelete,
		Path: "/orgs/{orgId}/liveExport/migrationLink", MediaType: JSON, Retry: Always, Rejection: NotFoundIsDone}
)

// LogAttrs name the organization or project of a call, and its job if it has one.
func (e *Endpoint) LogAttrs(scope, job string) []slog.Attr {
	if strings.HasPrefix(e.Path, "/orgs/") {
		return []slog.Attr{slog.String("org_id", scope)}
	}
	attrs := []slog.Attr{slog.String("project_id", scope)}
	switch {
	case job == "":
	case strings.HasPrefix(e.Name, "Validations."):
		attrs = append(attrs, slog.String("validation_id", job))
	default:
		attrs = append(attrs, slog.String("migration_id", job))
	}
	return attrs
}

// Creates reports whether the response is about something that did not exist before.
func (e *Endpoint) Creates() bool { return e.Method == http.MethodPost }

// Expand puts ids in the place of the path's {names}, in order.
func (e *Endpoint) Expand(ids ...string) string {
	var b strings.Builder
	size := len(e.Path)
	for _, id := range ids {
		size += len(id)
	}
	b.Grow(size)
	rest := e.Path
	for _, id := range ids {
		before, after, _ := strings.Cut(rest, "{")
		b.WriteString(before)
		b.WriteString(id)
		_, rest, _ = strings.Cut(after, "}")
	}
	b.WriteString(rest)
	return b.String()
}

// MediaTypeFor is the Accept header of the endpoint, and with a body its Content-Type.
func (e *Endpoint) MediaTypeFor(v Version) string {
	if v == V1 {
		return JSON
	}
	return e.MediaType
}
