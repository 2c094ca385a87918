package livemigration

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/pacing"
)

// endpoint is one endpoint: its names, its media type, and what may be retried.
type endpoint struct {
	operation string // the method of the public API
	method    string
	path      string // below the prefix; each {name} stands for an ID
	mediaType string // of APIv2 and of the source side
	// creates: sending the request twice leaves two of what it creates.
	creates bool
	// gone: a 404 in a retry means that an attempt before deleted it.
	gone bool
	// once: a rejected retry may mean that an attempt before took effect.
	once bool
	// secret: the response is a credential, of which no error may show a part.
	secret bool
	// limit is how many bytes of a success are read; 0 stands for maxBody.
	limit int64
}

const (
	media20230101 = "application/vnd.atlas.2023-01-01+json"
	media20240530 = "application/vnd.atlas.2024-05-30+json"
	mediaJSON     = "application/json"

	maxBody = 4 << 20
	maxList = 64 << 20
)

// The endpoints of Atlas. Each exists in both versions.
var (
	createLinkToken = endpoint{operation: "LinkTokens.Create", method: http.MethodPost,
		path: "/orgs/{orgId}/liveMigrations/linkTokens", mediaType: media20230101, creates: true, secret: true}
	deleteLinkToken = endpoint{operation: "LinkTokens.Delete", method: http.MethodDelete,
		path: "/orgs/{orgId}/liveMigrations/linkTokens", mediaType: media20230101, gone: true}
	listAvailableProjects = endpoint{operation: "AvailableProjects.List", method: http.MethodGet,
		path: "/orgs/{orgId}/liveMigrations/availableProjects", mediaType: media20230101, limit: maxList}
	createValidation = endpoint{operation: "Validations.Create", method: http.MethodPost,
		path: "/groups/{groupId}/liveMigrations/validate", mediaType: media20240530}
	getValidation = endpoint{operation: "Validations.Get", method: http.MethodGet,
		path: "/groups/{groupId}/liveMigrations/validate/{validationId}", mediaType: media20230101}
	createMigration = endpoint{operation: "Migrations.Create", method: http.MethodPost,
		path: "/groups/{groupId}/liveMigrations", mediaType: media20240530, creates: true}
	getMigration = endpoint{operation: "Migrations.Get", method: http.MethodGet,
		path: "/groups/{groupId}/liveMigrations/{liveMigrationId}", mediaType: media20230101}
	cutover = endpoint{operation: "Migrations.Cutover", method: http.MethodPut,
		path: "/groups/{groupId}/liveMigrations/{liveMigrationId}/cutover", mediaType: media20230101, once: true}
)

// The endpoints of the source side.
var (
	createMigrationLink = endpoint{operation: "MigrationLink.Create", method: http.MethodPost,
		path: "/orgs/{orgId}/liveExport/migrationLink", mediaType: mediaJSON, creates: true}
	getMigrationLink = endpoint{operation: "MigrationLink.Status", method: http.MethodGet,
		path: "/orgs/{orgId}/liveExport/migrationLink/status", mediaType: mediaJSON}
	deleteMigrationLink = endpoint{operation: "MigrationLink.Delete", method: http.MethodDelete,
		path: "/orgs/{orgId}/liveExport/migrationLink", mediaType: mediaJSON, gone: true}
)

// sourceAPI is the API of Cloud Manager and Ops Manager.
const sourceAPI APIVersion = -1

// prefix is the path before that of an endpoint.
func (v APIVersion) prefix() string {
	if v == sourceAPI {
		return "/api/public/v1.0"
	}
	return "/api/atlas/" + v.String()
}

// mediaTypeOf is the Accept header of the endpoint, and with a body its Content-Type.
func (e *endpoint) mediaTypeOf(v APIVersion) string {
	if v == APIv1 {
		return mediaJSON
	}
	return e.mediaType
}

func (e *endpoint) change() bool { return e.method != http.MethodGet }

func (e *endpoint) ofOrganization() bool { return strings.HasPrefix(e.path, "/orgs/") }

// The limits that MongoDB publishes for the endpoints of organizations and of projects.
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/topic/topic-rate-limiting
var (
	organizationBucket = pacing.Bucket{Capacity: 500, Refill: 250, Per: time.Minute}
	projectBucket      = pacing.Bucket{Capacity: 1200, Refill: 500, Per: time.Minute}
)

func (e *endpoint) bucket() pacing.Bucket {
	if e.ofOrganization() {
		return organizationBucket
	}
	return projectBucket
}

// expand puts the IDs in the place of the path's {names}, in order.
func (e *endpoint) expand(ids []identifier) string {
	var b strings.Builder
	b.Grow(len(e.path) + len(ids)*idLength)
	rest := e.path
	for _, id := range ids {
		before, after, _ := strings.Cut(rest, "{")
		b.WriteString(before)
		b.WriteString(id.segment())
		_, rest, _ = strings.Cut(after, "}")
	}
	b.WriteString(rest)
	return b.String()
}

// logAttrs name the organization or project of a call, and its job if it has one.
func (e *endpoint) logAttrs(scope, job string) []slog.Attr {
	if e.ofOrganization() {
		return []slog.Attr{slog.String("org_id", scope)}
	}
	attrs := []slog.Attr{slog.String("project_id", scope)}
	switch {
	case job == "":
	case strings.HasPrefix(e.operation, "Validations."):
		attrs = append(attrs, slog.String("validation_id", job))
	default:
		attrs = append(attrs, slog.String("migration_id", job))
	}
	return attrs
}
