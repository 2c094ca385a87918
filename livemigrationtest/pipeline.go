package livemigrationtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// call is one request on its way through the server.
type call struct {
	request *http.Request
	arrived time.Time
	site    *site
	match
	verdict verdict
	record  *Request
	query   url.Values
	body    []byte
	bodyErr error
	form    url.Values // of OAuth: the body

	date             string      // of v2: the version of the resource
	header           http.Header // of the response
	pretty, envelope bool
}

// ServeHTTP responds to a request.
func (of *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := of.owner
	if s.closed() {
		lose(w, r, lostByReset)
		return
	}
	c := s.receive(of, r)
	res := s.respond(c, s.pickFault(c))
	switch {
	case res.loss != notLost:
		lose(w, r, res.loss)
	case res.delay > 0 && !s.wait(r.Context(), res.delay):
		lose(w, r, lostByReset)
	default:
		s.recorder.setStatus(c.record, res.status) // first: a client that has the response may ask at once
		res.write(w, func() bool { return s.wait(r.Context(), res.stall) })
	}
}

// receive reads and records the request and judges its credentials.
func (s *Server) receive(of *site, r *http.Request) *call {
	c := &call{request: r, arrived: time.Now(), site: of, match: of.match(r), header: make(http.Header, 20)}
	c.verdict = s.authenticate(c)
	if r.URL.RawQuery != "" {
		c.query = r.URL.Query()
		c.pretty, c.envelope = c.query.Get("pretty") == "true", c.query.Get("envelope") == "true"
	}
	c.body, c.bodyErr = readBody(r.Body)
	c.record = s.recorder.add(c)
	return c
}

// respond processes the request, unless the fault prevents that.
func (s *Server) respond(c *call, f Fault) *response {
	c.envelope = c.envelope && !f.plain
	r := &response{}
	if f.replaces == nil || f.processed {
		r = s.process(c)
	}
	if f.replaces != nil {
		r = f.replaces(f, s, c)
	}
	if f.changes != nil {
		f.changes(r)
	}
	for key, values := range f.header {
		r.header[key] = slices.Clone(values)
	}
	return r
}

func (s *Server) authenticate(c *call) verdict {
	if c.oauth {
		return c.site.checkClient(c.request)
	}
	header := strings.Join(c.request.Header["Authorization"], ", ") // several are credentials that cannot be accepted
	scheme, token, _ := strings.Cut(header, " ")
	switch {
	case s.config.open:
		return verdict{accepted: true, role: OrgOwner}
	case header == "":
		return verdict{missing: true}
	case strings.EqualFold(scheme, "Bearer"):
		return c.site.tokens.check(strings.TrimLeft(token, " "))
	default:
		return c.site.digest.check(header, c.request)
	}
}

// operation is the operation of the request, for its record and for faults.
func (c *call) operation() Operation {
	switch {
	case c.verdict.missing:
		return Handshake
	case c.route == nil:
		return ""
	default:
		return c.route.operation
	}
}

// steps are the checks that a request has to pass, in the order in which Atlas makes them.
var steps = []func(*Server, *call) *apiError{
	(*Server).checkCredentials,
	(*Server).checkRoute,
	(*Server).checkScope,
	(*Server).checkRole,
	(*Server).checkRateLimit,
	(*Server).checkUpgrade,
	(*Server).checkMediaTypes,
	(*Server).checkBody,
}

// oauthSteps are the checks of the endpoints of OAuth.
var oauthSteps = []func(*Server, *call) *apiError{
	(*Server).checkRoute,
	(*Server).checkCredentials,
	(*Server).checkForm,
}

// process returns the response that Atlas would send.
func (s *Server) process(c *call) *response {
	steps := steps
	if c.oauth {
		steps = oauthSteps
	}
	for _, step := range steps {
		if err := step(s, c); err != nil {
			return s.reject(c, err)
		}
	}
	result, err := c.route.serve(s, c)
	if err != nil {
		return s.reject(c, err)
	}
	status := c.route.v1
	if c.version == v2 {
		status = c.route.v2
	}
	if c.route.operation == CreateLinkToken && c.version == v2 && s.config.documentedResponses {
		status = http.StatusOK
	}
	return s.reply(c, status, result)
}

func (s *Server) checkCredentials(c *call) *apiError {
	if c.verdict.accepted {
		return nil
	}
	return newError(http.StatusUnauthorized, "", "You are not authorized for this resource.")
}

func (s *Server) checkRoute(c *call) *apiError {
	switch {
	case c.route != nil:
		return nil
	case c.allow.Get("Allow") != "":
		c.header.Set("Allow", c.allow.Get("Allow"))
		return newError(http.StatusMethodNotAllowed, "", "This resource does not have the method "+c.request.Method+".")
	default:
		return newError(http.StatusNotFound, "", "There is no such resource.")
	}
}

// checkScope checks that there is such an organization or project. Jobs are looked up where they are needed.
func (s *Server) checkScope(c *call) *apiError {
	what, kind := "group", "GROUP"
	if c.route.scope() == scopeOrg {
		what, kind = "organization", "ORG"
	}
	switch {
	case !isID(c.scope):
		return newError(http.StatusNotFound, "INVALID_"+kind+"_ID", "The "+what+" ID "+wantID+".")
	case !slices.Contains(c.site.scopes[c.route.scope()], c.scope):
		return notFound(kind+"_NOT_FOUND", what, c.scope)
	case c.job != "" && !isID(c.job):
		return badParameter("the ID of the job", wantID)
	}
	return nil
}

// checkRole rejects with 401, as Atlas does, and not with 403.
func (s *Server) checkRole(c *call) *apiError {
	if c.verdict.role >= c.route.role {
		return nil
	}
	codes := map[string][2]string{ // without any role, and without the right one
		scopeOrg:     {"USER_CANNOT_ACCESS_ORG", "NOT_ORG_OWNER"},
		scopeProject: {"USER_CANNOT_ACCESS_GROUP", "USER_UNAUTHORIZED"},
	}[c.route.scope()]
	err := newError(http.StatusUnauthorized, codes[min(c.verdict.role, 1)], "This resource needs the role "+c.route.role.String()+".")
	err.bare = s.config.bareRoleErrors
	return err
}

func (s *Server) checkUpgrade(c *call) *apiError {
	if c.route.method != http.MethodGet && s.clock.callers().Before(s.clock.start.Add(s.config.upgrade)) {
		return upgrading()
	}
	return nil
}
