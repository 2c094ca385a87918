package livemigrationtest

import (
	"net/http"
	"slices"
	"strings"
)

// Operation names an endpoint by the client's method for it, or a kind of requests for [Server.Inject].
type Operation string

// The endpoints.
const (
	CreateLinkToken       Operation = "LinkTokens.Create"
	DeleteLinkToken       Operation = "LinkTokens.Delete"
	ListAvailableProjects Operation = "AvailableProjects.List"
	CreateValidation      Operation = "Validations.Create"
	GetValidation         Operation = "Validations.Get"
	CreateMigration       Operation = "Migrations.Create"
	GetMigration          Operation = "Migrations.Get"
	Cutover               Operation = "Migrations.Cutover"
)

// The endpoints of OAuth 2.0, at which service accounts get their access tokens.
const (
	IssueToken  Operation = "ServiceAccounts.IssueToken"
	RevokeToken Operation = "ServiceAccounts.RevokeToken"
)

const (
	// AnyOperation stands for every authenticated request but for those to the endpoints of OAuth, also for one that
	// names no endpoint.
	AnyOperation Operation = "any operation"
	// Handshake stands for the requests that come without credentials while the server asks for them: those that a
	// client sends to get a challenge.
	Handshake Operation = "handshake"
)

// set is the operations that share a rate limit: those of one resource.
func (o Operation) set() string {
	resource, _, _ := strings.Cut(string(o), ".")
	return resource
}

// apiVersion is a version of the API as its path spells it.
type apiVersion string

const (
	v1 apiVersion = "v1.0"
	v2 apiVersion = "v2"
)

const pathPrefix = "/api/atlas/"

// route is an endpoint. The first placeholder of its path is the scope, an organization or a project, the second one a
// job.
type route struct {
	operation Operation
	method    string
	path      string // below the version's prefix, if there is one
	date      string // of the resource version in v2
	gone      string // the date of a removed one
	success   statuses
	role      Role
	rules     func(*call) rule // of the body; nil: there is none
	form      []string         // of OAuth: the parameters that the body may have
	serve     func(*Server, *call) (any, *apiError)

	segments   []string
	mediaType  string // of v2 and of OAuth
	javaMethod string
}

// statuses are the success statuses of an endpoint.
type statuses struct{ v2, v1 int }

func (s statuses) of(v apiVersion) int {
	if v == v1 {
		return s.v1
	}
	return s.v2
}

const (
	date2023 = "2023-01-01"
	date2024 = "2024-05-30"
)

// newRoutes is the table of endpoints.
func newRoutes() []*route {
	const (
		orgs      = "/orgs/{orgId}/liveMigrations"
		groups    = "/groups/{groupId}/liveMigrations"
		validate  = groups + "/validate"
		migration = groups + "/{liveMigrationId}"
	)
	routes := []*route{
		{
			operation: CreateLinkToken, method: http.MethodPost, path: orgs + "/linkTokens", date: date2023,
			success: statuses{v2: 200, v1: 201}, role: OrgOwner, rules: linkTokenRules, serve: (*Server).createLinkToken,
		},
		{
			operation: DeleteLinkToken, method: http.MethodDelete, path: orgs + "/linkTokens", date: date2023,
			success: statuses{v2: 204, v1: 204}, role: OrgOwner, serve: (*Server).deleteLinkToken,
		},
		{
			operation: ListAvailableProjects, method: http.MethodGet, path: orgs + "/availableProjects", date: date2023,
			success: statuses{v2: 200, v1: 200}, role: OrgOwner, serve: (*Server).listAvailableProjects,
		},
		{
			operation: CreateValidation, method: http.MethodPost, path: validate, date: date2024, gone: date2023,
			success: statuses{v2: 200, v1: 201}, role: OrgOwner, rules: migrationRules, serve: (*Server).createValidation,
		},
		{
			operation: GetValidation, method: http.MethodGet, path: validate + "/{validationId}", date: date2023,
			success: statuses{v2: 200, v1: 200}, role: OrgOwner, serve: (*Server).getValidation,
		},
		{
			operation: CreateMigration, method: http.MethodPost, path: groups, date: date2024, gone: date2023,
			success: statuses{v2: 201, v1: 201}, role: OrgOwner, rules: migrationRules, serve: (*Server).createMigration,
		},
		{
			operation: GetMigration, method: http.MethodGet, path: migration, date: date2023,
			success: statuses{v2: 200, v1: 200}, role: OrgMember, serve: (*Server).getMigration,
		},
		{
			operation: Cutover, method: http.MethodPut, path: migration + "/cutover", date: date2023,
			success: statuses{v2: 202, v1: 200}, role: OrgOwner, serve: (*Server).cutover,
		},
	}
	for _, r := range routes {
		r.segments = strings.Split(r.path[1:], "/")
		r.mediaType = atlasMediaType(r.date)
		r.javaMethod = "ApiAtlasLiveMigrationsResource::" + string(r.operation)
	}
	return routes
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

// match finds the endpoint of a path and the ids in it. Paths that are spelled out go before those with a placeholder
// in the same place, as the table's order has it; when only the method is wrong, allow lists those that are right.
func (s *Server) match(method, path string) (m match) {
	rest, ok := strings.CutPrefix(path, pathPrefix)
	if !ok {
		return s.matchOAuth(method, path)
	}
	version, rest, _ := strings.Cut(rest, "/")
	m.version = apiVersion(version)
	if m.version != v1 && m.version != v2 {
		return match{}
	}
	found := ""
	for _, r := range s.routes {
		scope, job, ok := r.matchPath(rest)
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

// match is what a request's path says.
type match struct {
	version    apiVersion // empty for a path outside of the API
	oauth      bool
	route      *route // nil if there is none
	scope, job string
	allow      []string
}

// matchPath compares segment by segment; ids are taken as they stand and checked later.
func (r *route) matchPath(path string) (scope, job string, ok bool) {
	var segment string
	more := true
	for i, want := range r.segments {
		if !more {
			return "", "", false
		}
		segment, path, more = strings.Cut(path, "/")
		switch {
		case !isPlaceholder(want):
			if segment != want {
				return "", "", false
			}
		case i == 1:
			scope = segment
		default:
			job = segment
		}
	}
	return scope, job, !more
}
