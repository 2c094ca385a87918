package livemigrationtest

import (
	"slices"
	"strings"
)

const (
	atlasPath  = "/api/atlas/"
	sourcePath = "/api/public/v1.0/"
)

// match is what a request's path says.
type match struct {
	version    apiVersion // empty for a path outside of the API
	oauth      bool
	route      *route // nil if there is none
	scope, job string
	allow      []string // the methods of the path, if it has others only
}

// matchAtlas finds the endpoint of a path of Atlas.
func (s *Server) matchAtlas(method, path string) match {
	rest, ok := strings.CutPrefix(path, atlasPath)
	if !ok {
		return s.matchOAuth(method, path)
	}
	version, rest, _ := strings.Cut(rest, "/")
	switch apiVersion(version) {
	case v1, v2:
		return matchRoutes(s.atlas.routes, apiVersion(version), method, rest)
	default:
		return match{}
	}
}

// matchSource finds the endpoint of a path of the source side, whose only version has the media types of v1.0.
func (s *Server) matchSource(method, path string) match {
	rest, ok := strings.CutPrefix(path, sourcePath)
	if !ok {
		return match{}
	}
	return matchRoutes(s.source.routes, v1, method, rest)
}

// matchRoutes finds the endpoint of a path and the ids in it. Paths that are spelled out go before those with a
// placeholder in the same place, as the table's order has it.
func matchRoutes(routes []*route, version apiVersion, method, path string) match {
	m := match{version: version}
	found := ""
	for _, r := range routes {
		scope, job, ok := r.matchPath(path)
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
