package livemigrationtest

import (
	"net/http"
	"strings"
)

// apiVersion is a version of the API as its path spells it.
type apiVersion string

const (
	v1 apiVersion = "v1.0"
	v2 apiVersion = "v2"
)

const (
	scopeOrg     = "orgId"
	scopeProject = "groupId"
)

// route is an endpoint. The first placeholder of its path is the scope, an organization or a project, the second one a
// job.
type route struct {
	operation  Operation
	method     string
	path       string   // below the prefix
	dates      []string // of the resource's versions in v2, the oldest first
	success    statuses
	role       Role
	rules      func(*call) rule // of the body; nil: there is none
	form       []string         // of OAuth: the parameters that the body may have
	javaMethod string
	serve      func(*Server, *call) (any, *apiError)

	segments     []string
	mediaType    string // of a request for the newest version in v2
	responseType string // of a response to it
}

// statuses are the success statuses of an endpoint.
type statuses struct{ v2, v1 int }

func (s statuses) of(v apiVersion) int {
	if v == v2 {
		return s.v2
	}
	return s.v1
}

const (
	date2023 = "2023-01-01"
	date2024 = "2024-05-30"
)

// newAtlasRoutes is the table of the endpoints of Atlas.
func newAtlasRoutes() []*route {
	const (
		orgs      = "orgs/{orgId}/liveMigrations"
		groups    = "groups/{groupId}/liveMigrations"
		validate  = groups + "/validate"
		migration = groups + "/{liveMigrationId}"

		linkTokens  = "ApiLiveMigrationsLinkTokensResource::"
		projects    = "ApiLiveMigrationsAvailableProjectsResource::"
		validations = "ApiLiveMigrationsValidateResource::"
		migrations  = "ApiLiveMigrationsResource::"
	)
	first, both := []string{date2023}, []string{date2023, date2024}
	return complete([]*route{
		{
			operation: CreateLinkToken, method: http.MethodPost, path: orgs + "/linkTokens", dates: first,
			success: statuses{v2: 201, v1: 201}, role: OrgOwner, rules: linkTokenRules, serve: (*Server).createLinkToken,
			javaMethod: linkTokens + "createLinkToken",
		},
		{
			operation: DeleteLinkToken, method: http.MethodDelete, path: orgs + "/linkTokens", dates: first,
			success: statuses{v2: 204, v1: 204}, role: OrgOwner, serve: (*Server).deleteLinkToken,
			javaMethod: linkTokens + "deleteOrgLink",
		},
		{
			operation: ListAvailableProjects, method: http.MethodGet, path: orgs + "/availableProjects", dates: first,
			success: statuses{v2: 200, v1: 200}, role: OrgOwner, serve: (*Server).listAvailableProjects,
			javaMethod: projects + "getAvailableProjects",
		},
		{
			operation: CreateValidation, method: http.MethodPost, path: validate, dates: both,
			success: statuses{v2: 200, v1: 201}, role: OrgOwner, rules: migrationRules, serve: (*Server).createValidation,
			javaMethod: validations + "validateLiveMigration",
		},
		{
			operation: GetValidation, method: http.MethodGet, path: validate + "/{validationId}", dates: first,
			success: statuses{v2: 200, v1: 200}, role: OrgOwner, serve: (*Server).getValidation,
			javaMethod: validations + "getValidationStatus",
		},
		{
			operation: CreateMigration, method: http.MethodPost, path: groups, dates: both,
			success: statuses{v2: 201, v1: 201}, role: OrgOwner, rules: migrationRules, serve: (*Server).createMigration,
			javaMethod: migrations + "createLiveMigration",
		},
		{
			operation: GetMigration, method: http.MethodGet, path: migration, dates: first,
			success: statuses{v2: 200, v1: 200}, role: OrgMember, serve: (*Server).getMigration,
			javaMethod: migrations + "getLiveMigration",
		},
		{
			operation: Cutover, method: http.MethodPut, path: migration + "/cutover", dates: first,
			success: statuses{v2: 202, v1: 200}, role: OrgOwner, serve: (*Server).cutover,
			javaMethod: migrations + "cutoverLiveMigration",
		},
	})
}

// newSourceRoutes is the table of the endpoints of the source side.
func newSourceRoutes() []*route {
	const (
		link = "orgs/{orgId}/liveExport/migrationLink"
		java = "ApiLiveExportMigrationLinkResource::"
	)
	return complete([]*route{
		{
			operation: CreateMigrationLink, method: http.MethodPost, path: link, success: statuses{v1: 201}, role: OrgOwner,
			rules: migrationLinkRules, serve: (*Server).createMigrationLink, javaMethod: java + "createMigrationLink",
		},
		{
			operation: GetMigrationLinkStatus, method: http.MethodGet, path: link + "/status", success: statuses{v1: 200},
			role: OrgOwner, serve: (*Server).migrationLinkStatus, javaMethod: java + "getMigrationLinkStatus",
		},
		{
			operation: DeleteMigrationLink, method: http.MethodDelete, path: link, success: statuses{v1: 204}, role: OrgOwner,
			serve: (*Server).deleteMigrationLink, javaMethod: java + "deleteMigrationLink",
		},
	})
}

// complete fills in what follows from the rest of a table.
func complete(routes []*route) []*route {
	for _, r := range routes {
		r.segments = strings.Split(r.path, "/")
		if len(r.dates) > 0 {
			r.mediaType = atlasMediaType(r.newest())
			r.responseType = r.mediaType + utf8Parameter
		}
	}
	return routes
}

// newest is the date of the resource's newest version in v2.
func (r *route) newest() string { return r.dates[len(r.dates)-1] }

// versionOn returns the version that a date stands for: the newest one that is not later.
func (r *route) versionOn(date string) (version string, ok bool) {
	for _, d := range r.dates {
		if d <= date {
			version, ok = d, true
		}
	}
	return version, ok
}

// scopeName is the name of the path's first parameter.
func (r *route) scopeName() string { return placeholderName(r.segments[1]) }

// jobName is the name of the path's second parameter, or empty.
func (r *route) jobName() string {
	for _, segment := range r.segments[2:] {
		if isPlaceholder(segment) {
			return placeholderName(segment)
		}
	}
	return ""
}

func isPlaceholder(segment string) bool { return strings.HasPrefix(segment, "{") }

func placeholderName(segment string) string { return strings.Trim(segment, "{}") }
