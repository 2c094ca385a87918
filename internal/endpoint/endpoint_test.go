package endpoint

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// all are the endpoints of the table.
var all = []*Endpoint{
	&CreateLinkToken, &DeleteLinkToken, &ListAvailableProjects, &CreateValidation, &GetValidation, &CreateMigration, &GetMigration, &Cutover,
	&CreateMigrationLink, &GetMigrationLink, &DeleteMigrationLink,
}

// The table as the documentation of the service has it. What may be retried decides whether a migration is created
// twice, so each row is written out.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	const (
		old     = "application/vnd.atlas.2023-01-01+json"
		current = "application/vnd.atlas.2024-05-30+json"
		org     = "/orgs/{orgId}/liveMigrations"
		project = "/groups/{groupId}/liveMigrations"
		source  = "/orgs/{orgId}/liveExport/migrationLink"
	)
	for _, tc := range []struct {
		endpoint *Endpoint
		want     Endpoint
		creates  bool
	}{
		{&CreateLinkToken, Endpoint{Name: "LinkTokens.Create", Method: http.MethodPost, Path: org + "/linkTokens", MediaType: old, Retry: Unsent, SecretResponse: true}, true},
		{&DeleteLinkToken, Endpoint{Name: "LinkTokens.Delete", Method: http.MethodDelete, Path: org + "/linkTokens", MediaType: old, Retry: Always, Rejection: NotFoundIsDone}, false},
		{&ListAvailableProjects, Endpoint{Name: "AvailableProjects.List", Method: http.MethodGet, Path: org + "/availableProjects", MediaType: old, Retry: Always}, false},
		{&CreateValidation, Endpoint{Name: "Validations.Create", Method: http.MethodPost, Path: project + "/validate", MediaType: current, Retry: Always}, true},
		{&GetValidation, Endpoint{Name: "Validations.Get", Method: http.MethodGet, Path: project + "/validate/{validationId}", MediaType: old, Retry: Always}, false},
		{&CreateMigration, Endpoint{Name: "Migrations.Create", Method: http.MethodPost, Path: project, MediaType: current, Retry: Unsent}, true},
		{&GetMigration, Endpoint{Name: "Migrations.Get", Method: http.MethodGet, Path: project + "/{liveMigrationId}", MediaType: old, Retry: Always}, false},
		{&Cutover, Endpoint{Name: "Migrations.Cutover", Method: http.MethodPut, Path: project + "/{liveMigrationId}/cutover", MediaType: old, Retry: Always, Rejection: MayBeDone}, false},
		{&CreateMigrationLink, Endpoint{Name: "MigrationLink.Create", Method: http.MethodPost, Path: source, MediaType: JSON, Retry: Unsent}, true},
		{&GetMigrationLink, Endpoint{Name: "MigrationLink.Status", Method: http.MethodGet, Path: source + "/status", MediaType: JSON, Retry: Always}, false},
		{&DeleteMigrationLink, Endpoint{Name: "MigrationLink.Delete", Method: http.MethodDelete, Path: source, MediaType: JSON, Retry: Always, Rejection: NotFoundIsDone}, false},
	} {
		t.Run(tc.want.Name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, *tc.endpoint)
			assert.Equal(t, tc.creates, tc.endpoint.Creates())
		})
	}
}

// A rejection is only explained by an attempt before it where there can be one that may have been carried out.
func TestRejectionsAreExplainedWhereRequestsAreRetried(t *testing.T) {
	t.Parallel()
	for _, e := range all {
		assert.True(t, e.Retry == Always || e.Rejection == Stands, e.Name)
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		path string
		ids  []string
		want string
	}{
		{"no id", "/status", nil, "/status"},
		{"one at the end", "/groups/{groupId}", []string{"a"}, "/groups/a"},
		{"one inside", "/orgs/{orgId}/linkTokens", []string{"a"}, "/orgs/a/linkTokens"},
		{"several, in order", "/groups/{groupId}/x/{id}/cutover", []string{"a", "b"}, "/groups/a/x/b/cutover"},
		{"an id that looks like a name", "/groups/{groupId}/x/{id}", []string{"{id}", "b"}, "/groups/{id}/x/b"},
		{"too few leave the rest", "/groups/{groupId}/x/{id}", []string{"a"}, "/groups/a/x/{id}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := Endpoint{Path: tc.path}
			assert.Equal(t, tc.want, e.Expand(tc.ids...))
		})
	}
}

func TestExpandAllocatesOnce(t *testing.T) {
	ids := []string{strings.Repeat("a", 24), strings.Repeat("b", 24)}
	allocations := testing.AllocsPerRun(100, func() { Cutover.Expand(ids...) })
	assert.LessOrEqual(t, allocations, 1.0)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		version           Version
		name, prefix      string
		read, createMedia string
	}{
		{V2, "v2", "/api/atlas/v2", "application/vnd.atlas.2023-01-01+json", "application/vnd.atlas.2024-05-30+json"},
		{V1, "v1.0", "/api/atlas/v1.0", "application/json", "application/json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.name, tc.version.String())
			assert.Equal(t, tc.prefix, tc.version.Prefix())
			assert.Equal(t, tc.read, GetMigration.MediaTypeFor(tc.version))
			assert.Equal(t, tc.createMedia, CreateMigration.MediaTypeFor(tc.version))
		})
	}
	assert.Equal(t, "/api/public/v1.0", Source.Prefix())
	assert.Equal(t, "application/json", GetMigrationLink.MediaTypeFor(Source))
	assert.Equal(t, "unknown", Version(0).String())
}

func TestAttributesOfAJob(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		endpoint *Endpoint
		job      string
		want     string
	}{
		{"migration", &GetMigration, "j", "[project_id=s migration_id=j]"},
		{"validation", &GetValidation, "j", "[project_id=s validation_id=j]"},
		{"no job yet", &CreateMigration, "", "[project_id=s]"},
		{"organization", &DeleteLinkToken, "", "[org_id=s]"},
		{"organization of the source side", &GetMigrationLink, "", "[org_id=s]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, fmt.Sprint(tc.endpoint.LogAttrs("s", tc.job)))
		})
	}
}
