package livemigrationtest

import (
	"slices"
	"strings"
)

// apiVersion is a version of the API as its path spells it.
type apiVersion string

const (
	v1 apiVersion = "v1.0"
	v2 apiVersion = "v2"
)

// The parameters of paths that say what a request is about.
const (
	scopeOrg     = "orgId"
	scopeProject = "groupId"
)

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

// endpoint is a route, and what follows from it.
type endpoint struct {
	route
	segments []string
	scope    string // the name of the first placeholder
	job      string // and of the second one
}

const (
	date2023 = "2023-01-01"
	date2024 = "2024-05-30"
)

// newAtlasRoutes is the table of the endpoints of Atlas.
func newAtlasRoutes() []*endpoint {
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
	return complete(
		route{CreateLinkToken, "POST", orgs + "/linkTokens", first, 201, 201, OrgOwner, linkTokenShape,
			(*Server).createLinkToken, linkTokens + "createLinkToken"},
		route{DeleteLinkToken, "DELETE", orgs + "/linkTokens", first, 204, 204, OrgOwner, nil,
			(*Server).deleteLinkToken, linkTokens + "deleteOrgLink"},
		route{ListAvailableProjects, "GET", orgs + "/availableProjects", first, 200, 200, OrgOwner, nil,
			(*Server).listAvailableProjects, projects + "getAvailableProjects"},
		route{CreateValidation, "POST", validate, both, 200, 201, OrgOwner, migrationShape,
			(*Server).createValidation, validations + "validateLiveMigration"},
		route{GetValidation, "GET", validate + "/{validationId}", first, 200, 200, OrgOwner, nil,
			(*Server).getValidation, validations + "getValidationStatus"},
		route{CreateMigration, "POST", groups, both, 201, 201, OrgOwner, migrationShape,
			(*Server).createMigration, migrations + "createLiveMigration"},
		route{GetMigration, "GET", migration, first, 200, 200, OrgMember, nil,
			(*Server).getMigration, migrations + "getLiveMigration"},
		route{Cutover, "PUT", migration + "/cutover", first, 202, 200, OrgOwner, nil,
			(*Server).cutover, migrations + "cutoverLiveMigration"},
	)
}

// newSourceRoutes is the table of the endpoints of the source side.
func newSourceRoutes() []*endpoint {
	const (
		link = "orgs/{orgId}/liveExport/migrationLink"
		java = "ApiLiveExportMigrationLinkResource::"
	)
	return complete(
		route{CreateMigrationLink, "POST", link, nil, 0, 201, OrgOwner, migrationLinkShape,
			(*Server).createMigrationLink, java + "createMigrationLink"},
		route{GetMigrationLinkStatus, "GET", link + "/status", nil, 0, 200, OrgOwner, nil,
			(*Server).migrationLinkStatus, java + "getMigrationLinkStatus"},
		route{DeleteMigrationLink, "DELETE", link, nil, 0, 204, OrgOwner, nil,
			(*Server).deleteMigrationLink, java + "deleteMigrationLink"},
	)
}

// newOAuthRoutes is the table of the endpoints of OAuth, which are outside of the API.
func newOAuthRoutes() []*endpoint {
	return complete(
		route{IssueToken, "POST", oauthPath + "token", nil, 0, 200, NoRole, nil, (*Server).issueToken, "ApiOAuthResource::token"},
		route{RevokeToken, "POST", oauthPath + "revoke", nil, 0, 200, NoRole, nil, (*Server).revokeToken, "ApiOAuthResource::revoke"},
	)
}

func complete(routes ...route) []*endpoint {
	var endpoints []*endpoint
	for _, r := range routes {
		e := &endpoint{route: r, segments: strings.Split(r.path, "/")}
		for _, segment := range e.segments {
			name := strings.Trim(segment, "{}")
			switch {
			case name == segment:
			case e.scope == "":
				e.scope = name
			default:
				e.job = name
			}
		}
		endpoints = append(endpoints, e)
	}
	return endpoints
}

// newest is the date of the resource's newest version in v2.
func (r *endpoint) newest() string { return r.dates[len(r.dates)-1] }

// versionOn returns the version that a date stands for: the newest one that is not later.
func (r *endpoint) versionOn(date string) (version string, ok bool) {
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
	route      *endpoint // nil if there is none
	scope, job string    // IDs
	allow      []string
}

// match finds the endpoint of a path and the IDs in it. If the path has other methods only, it returns these.
func (of *site) match(method, path string) match {
	m := match{oauth: strings.HasPrefix(path, oauthPath)}
	for prefix, version := range of.prefixes {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			m.version, path = version, rest
			break
		}
	}
	if m.version == "" && !m.oauth {
		return m
	}
	segments := strings.Split(path, "/")
	found := ""
	for _, r := range of.routes {
		// A path that is spelled out comes before one with a placeholder in the same place.
		scope, job, ok := r.matches(segments)
		if !ok || found != "" && found != r.path {
			continue
		}
		found, m.scope, m.job = r.path, scope, job
		if r.method == method {
			m.route, m.allow = r, nil
			return m
		}
		m.allow = append(m.allow, r.method)
	}
	slices.Sort(m.allow)
	return m
}

// matches compares segment by segment; IDs are taken as they stand and checked later.
func (r *endpoint) matches(segments []string) (scope, job string, ok bool) {
	if len(segments) != len(r.segments) {
		return "", "", false
	}
	for i, want := range r.segments {
		switch {
		case !strings.HasPrefix(want, "{"):
			if segments[i] != want {
				return "", "", false
			}
		case scope == "" && i == 1:
			scope = segments[i]
		default:
			job = segments[i]
		}
	}
	return scope, job, true
}
