package livemigrationtest

import (
	"net/http"
	"strings"
)

// apiVersion is a version of the API as its path spells it.
type apiVersion string

const v1, v2 apiVersion = "v1.0", "v2"

// The parameters of paths that say what a request is about.
const scopeOrg, scopeProject = "orgId", "groupId"

// route is a line of a table of endpoints. The first placeholder of its path is the scope, an organization or a project,
// the second one a job.
type route struct {
	operation  Operation
	method     string
	path       string   // below the prefix
	dates      []string // of the resource's versions in v2, the oldest first
	v2, v1     int      // the statuses of success
	role       Role
	shape      func(*call) shape // of the body; nil: there is none
	serve      func(*Server, *call) (any, *apiError)
	javaMethod string
}

// scope is the name of the path's parameter that says which organization or project it is about.
func (r *route) scope() string {
	if strings.HasPrefix(r.path, "orgs/") {
		return scopeOrg
	}
	return scopeProject
}

const date2023, date2024 = "2023-01-01", "2024-05-30"

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
	return []*route{
		{CreateLinkToken, "POST", orgs + "/linkTokens", first, 201, 201, OrgOwner, linkTokenShape,
			(*Server).createLinkToken, linkTokens + "createLinkToken"},
		{DeleteLinkToken, "DELETE", orgs + "/linkTokens", first, 204, 204, OrgOwner, nil,
			(*Server).deleteLinkToken, linkTokens + "deleteOrgLink"},
		{ListAvailableProjects, "GET", orgs + "/availableProjects", first, 200, 200, OrgOwner, nil,
			(*Server).listAvailableProjects, projects + "getAvailableProjects"},
		{CreateValidation, "POST", validate, both, 200, 201, OrgOwner, migrationShape,
			(*Server).createValidation, validations + "validateLiveMigration"},
		{GetValidation, "GET", validate + "/{validationId}", first, 200, 200, OrgOwner, nil,
			(*Server).getValidation, validations + "getValidationStatus"},
		{CreateMigration, "POST", groups, both, 201, 201, OrgOwner, migrationShape,
			(*Server).createMigration, migrations + "createLiveMigration"},
		{GetMigration, "GET", migration, first, 200, 200, OrgMember, nil,
			(*Server).getMigration, migrations + "getLiveMigration"},
		{Cutover, "PUT", migration + "/cutover", first, 202, 200, OrgOwner, nil,
			(*Server).cutover, migrations + "cutoverLiveMigration"},
	}
}

// newSourceRoutes is the table of the endpoints of the source side.
func newSourceRoutes() []*route {
	const (
		link = "orgs/{orgId}/liveExport/migrationLink"
		java = "ApiLiveExportMigrationLinkResource::"
	)
	return []*route{
		{CreateMigrationLink, "POST", link, nil, 0, 201, OrgOwner, migrationLinkShape,
			(*Server).createMigrationLink, java + "createMigrationLink"},
		{GetMigrationLinkStatus, "GET", link + "/status", nil, 0, 200, OrgOwner, nil,
			(*Server).migrationLinkStatus, java + "getMigrationLinkStatus"},
		{DeleteMigrationLink, "DELETE", link, nil, 0, 204, OrgOwner, nil,
			(*Server).deleteMigrationLink, java + "deleteMigrationLink"},
	}
}

// newOAuthRoutes is the table of the endpoints of OAuth, which are outside of the API.
func newOAuthRoutes() []*route {
	return []*route{
		{IssueToken, "POST", oauthPath + "token", nil, 0, 200, NoRole, nil, (*Server).issueToken, "ApiOAuthResource::token"},
		{RevokeToken, "POST", oauthPath + "revoke", nil, 0, 200, NoRole, nil, (*Server).revokeToken, "ApiOAuthResource::revoke"},
	}
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

// match is what a request's path says.
type match struct {
	version    apiVersion // empty for a path outside of the API
	oauth      bool
	route      *route // nil if there is none
	scope, job string // IDs; empty if the path has none
	allow      http.Header
}

// newMux returns the paths of a site. It serves to a match.
func (of *site) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	add := func(prefix string, version apiVersion, routes []*route) {
		for _, r := range routes {
			mux.HandleFunc(r.method+" "+prefix+r.path, func(w http.ResponseWriter, req *http.Request) {
				if m, ok := w.(*match); ok {
					m.version, m.route, m.scope = version, r, req.PathValue(r.scope())
					m.job = req.PathValue("validationId") + req.PathValue("liveMigrationId")
				}
			})
		}
	}
	for prefix, version := range of.prefixes {
		add(prefix, version, of.routes)
	}
	add("", "", newOAuthRoutes())
	return mux
}

// match finds the endpoint of a request, or the methods that its path has.
func (of *site) match(r *http.Request) match {
	m := match{oauth: strings.HasPrefix(r.URL.Path, oauthPath), allow: make(http.Header)}
	of.mux.ServeHTTP(&m, r)
	return m
}

func (m *match) Header() http.Header { return m.allow }

func (m *match) Write(data []byte) (int, error) { return len(data), nil }

func (m *match) WriteHeader(int) {}
