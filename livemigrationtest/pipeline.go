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
	verdict   verdict
	fault     Fault
	undecided bool // which fault strikes depends on the body
	entry     *entry

	received bool // the body has been read, or bodyErr says why not
	body     []byte
	bodyErr  error
	form     url.Values // of OAuth: the body

	date             string      // of v2: the version of the resource
	header           http.Header // of the response
	query            url.Values
	pretty, envelope bool
}

// begin takes in what can be known before the body is read: it records the request, judges its credentials and picks
// the fault that strikes it.
func (s *Server) begin(site *site, r *http.Request) *call {
	c := &call{
		request: r, arrived: time.Now(), site: site,
		match: site.match(method(r), r.URL.EscapedPath()), header: make(http.Header, 20),
	}
	c.verdict = s.authenticate(c)
	if r.URL.RawQuery != "" && !c.oauth {
		c.query = r.URL.Query()
		c.pretty, c.envelope = c.query.Get("pretty") == "true", c.query.Get("envelope") == "true"
	}
	c.entry = s.recorder.add(r, c)
	s.pickFault(c)
	return c
}

// finish takes the body and carries the request out, unless a fault keeps it from that.
func (s *Server) finish(c *call, body []byte, err error) *response {
	c.received, c.body, c.bodyErr = true, body, err
	s.recorder.setBody(c.entry, body)
	if c.undecided {
		s.pickFault(c)
	}
	if r := c.fault.instead(s, c); r != nil {
		return r
	}
	r := s.process(c)
	c.fault.alter(s, c, r)
	return r
}

func (s *Server) authenticate(c *call) verdict {
	if c.oauth {
		return s.checkClient(c.request)
	}
	header, _ := authorization(c.request.Header)
	token, bearer := bearerToken(header)
	bearer = bearer && c.site == s.atlas // the source side has no service accounts
	switch {
	case s.config.open && bearer:
		return verdict{accepted: true, role: OrgOwner, challenge: bearerChallenge}
	case s.config.open:
		return verdict{accepted: true, role: OrgOwner}
	case bearer:
		return s.tokens.check(token)
	default:
		return c.site.digest.check(c.request)
	}
}

// operation is what the request is to the records and to faults.
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
var steps = [...]func(*Server, *call) *apiError{
	(*Server).checkCredentials,
	(*Server).checkRoute,
	(*Server).checkRole,
	(*Server).checkIDs,
	(*Server).checkQuery,
	(*Server).checkMediaTypes,
	(*Server).checkRateLimit,
	(*Server).checkBody,
}

// oauthSteps are those of the endpoints of OAuth.
var oauthSteps = [...]func(*Server, *call) *apiError{
	(*Server).checkRoute,
	(*Server).checkCredentials,
	(*Server).checkForm,
}

// process makes the response that Atlas would make.
func (s *Server) process(c *call) *response {
	steps := steps[:]
	if c.oauth {
		steps = oauthSteps[:]
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
	return s.reply(c, s.successStatus(c), result)
}

func (s *Server) successStatus(c *call) int {
	if c.route.operation == CreateLinkToken && c.version == v2 && s.config.quirks {
		return http.StatusOK
	}
	return c.route.success.of(c.version)
}

func (s *Server) checkCredentials(c *call) *apiError {
	if c.verdict.accepted {
		return nil
	}
	return failure(http.StatusUnauthorized, "You are not authorized for this resource.")
}

func (s *Server) checkRoute(c *call) *apiError {
	switch {
	case c.route != nil:
		return nil
	case len(c.allow) > 0:
		c.header.Set("Allow", strings.Join(c.allow, ", "))
		return failure(http.StatusMethodNotAllowed, "This resource does not have the method "+method(c.request)+".")
	default:
		return failure(http.StatusNotFound, "There is no such resource.")
	}
}

func (s *Server) checkRole(c *call) *apiError {
	if c.verdict.role >= c.route.role {
		return nil
	}
	return failure(http.StatusForbidden, "This resource needs the role "+c.route.role.String()+".")
}

// checkIDs checks the form of the ids and that there is such an organization or project; jobs are looked up by those
// who need them.
func (s *Server) checkIDs(c *call) *apiError {
	const want = "must be 24 lower-case hexadecimal digits"
	name := c.route.scopeName()
	if !isID(c.scope) {
		return badParameter(name, want)
	}
	if job := c.route.jobName(); job != "" && !isID(c.job) {
		return badParameter(job, want)
	}
	switch {
	case slices.Contains(c.site.scopes[name], c.scope):
		return nil
	case name == scopeProject:
		return notFound(codeGroupNotFound, "group", c.scope)
	default:
		return notFound(codeResourceNotFound, "organization", c.scope)
	}
}

func (s *Server) checkQuery(c *call) *apiError {
	for _, name := range []string{"envelope", "pretty"} {
		for _, value := range c.query[name] {
			if value != "true" && value != "false" {
				return badParameter(name, "must be true or false")
			}
		}
	}
	return nil
}
