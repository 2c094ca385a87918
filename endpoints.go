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
	path      string // below the prefix; each {name} stands for an ID, and names it in messages
	mediaType string // of APIv2
	bucket    pacing.Bucket
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

// The limits that MongoDB publishes for the endpoints of organizations and of projects.
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/topic/topic-rate-limiting
var (
	organizationBucket = pacing.Bucket{Capacity: 500, Refill: 250, Per: time.Minute}
	projectBucket      = pacing.Bucket{Capacity: 1200, Refill: 500, Per: time.Minute}
)

// The endpoints of Atlas. Each exists in both versions.
var (
	createLinkToken = endpoint{operation: "LinkTokens.Create", method: http.MethodPost,
		path: "/orgs/{organization ID}/liveMigrations/linkTokens", bucket: organizationBucket, mediaType: media20230101,
		creates: true, secret: true}
	deleteLinkToken = endpoint{operation: "LinkTokens.Delete", method: http.MethodDelete,
		path: "/orgs/{organization ID}/liveMigrations/linkTokens", bucket: organizationBucket, mediaType: media20230101, gone: true}
	listAvailableProjects = endpoint{operation: "AvailableProjects.List", method: http.MethodGet,
		path: "/orgs/{organization ID}/liveMigrations/availableProjects", bucket: organizationBucket, mediaType: media20230101, limit: maxList}
	createValidation = endpoint{operation: "Validations.Create", method: http.MethodPost,
		path: "/groups/{project ID}/liveMigrations/validate", bucket: projectBucket, mediaType: media20240530}
	getValidation = endpoint{operation: "Validations.Get", method: http.MethodGet,
		path: "/groups/{project ID}/liveMigrations/validate/{validation ID}", bucket: projectBucket, mediaType: media20230101}
	createMigration = endpoint{operation: "Migrations.Create", method: http.MethodPost,
		path: "/groups/{project ID}/liveMigrations", bucket: projectBucket, mediaType: media20240530, creates: true}
	getMigration = endpoint{operation: "Migrations.Get", method: http.MethodGet,
		path: "/groups/{project ID}/liveMigrations/{migration ID}", bucket: projectBucket, mediaType: media20230101}
	cutover = endpoint{operation: "Migrations.Cutover", method: http.MethodPut,
		path: "/groups/{project ID}/liveMigrations/{migration ID}/cutover", bucket: projectBucket, mediaType: media20230101, once: true}
)

// The endpoints of the source side, which has one version.
var (
	createMigrationLink = endpoint{operation: "MigrationLink.Create", method: http.MethodPost,
		path: "/orgs/{organization ID}/liveExport/migrationLink", bucket: organizationBucket, creates: true}
	getMigrationLink = endpoint{operation: "MigrationLink.Status", method: http.MethodGet,
		path: "/orgs/{organization ID}/liveExport/migrationLink/status", bucket: organizationBucket}
	deleteMigrationLink = endpoint{operation: "MigrationLink.Delete", method: http.MethodDelete,
		path: "/orgs/{organization ID}/liveExport/migrationLink", bucket: organizationBucket, gone: true}
)

// expand puts the IDs in the place of the path's {names}, in order, and checks them.
func (e *endpoint) expand(ids []string) (path string, found []FieldViolation) {
	rest := e.path
	for _, id := range ids {
		before, after, _ := strings.Cut(rest, "{")
		var name string
		name, rest, _ = strings.Cut(after, "}")
		found = append(found, checkID(name, id)...)
		path += before + id
	}
	return path + rest, found
}

// logAttrs name the organization or project of a call, and its job if it has one.
func (e *endpoint) logAttrs(scope, job string) []slog.Attr {
	if strings.HasPrefix(e.path, "/orgs/") {
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
