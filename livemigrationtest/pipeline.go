package livemigrationtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// call is one request on its way through the server.
type call struct {
	request *http.Request
	match
	verdict verdict
	fault   Fault
	entry   *entry
	body    []byte
	bodyErr error

	form url.Values // of OAuth: the body

	header           http.Header // of the answer
	query            url.Values
	pretty, envelope bool
}

// begin takes in what can be known before the body is read: it records the request, judges its credentials and picks
// the fault that strikes it.
func (s *Server) begin(r *http.Request) *call {
	c := &call{request: r, match: s.match(method(r), r.URL.EscapedPath()), header: make(http.Header, 8)}
	c.verdict = s.authenticate(c)
	if r.URL.RawQuery != "" && !c.oauth {
		c.query = r.URL.Query()
		c.pretty, c.envelope = c.query.Get("pretty") == "true", c.query.Get("envelope") == "true"
	}
	c.entry = s.recorder.add(r, c)
	c.fault = s.faults.next(c)
	return c
}

func (s *Server) authenticate(c *call) verdict {
	if c.oauth {
		return s.checkClient(c.request)
	}
	header, _ := authorization(c.request.Header)
	token, bearer := bearerToken(header)
	switch {
	case s.config.open && bearer:
		return verdict{accepted: true, role: OrgOwner, challenge: bearerChallenge}
	case s.config.open:
		return verdict{accepted: true, role: OrgOwner}
	case bearer:
		return s.tokens.check(token)
	default:
		return s.digest.check(c.request)
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

// finish takes the body and carries the request out, unless a fault keeps it from that.
func (s *Server) finish(c *call, body []byte, err error) *answer {
	c.body, c.bodyErr = body, err
	s.recorder.setBody(c.entry, body)
	if a := c.fault.instead(s, c); a != nil {
		return a
	}
	a := s.process(c)
	c.fault.alter(s, c, a)
	return a
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

// process answers as Atlas does.
func (s *Server) process(c *call) *answer {
	steps := steps[:]
	if c.oauth {
		steps = oauthSteps[:]
	}
	for _, step := range steps {
		if err := step(s, c); err != nil {
			return s.refuse(c, err)
		}
	}
	result, err := c.route.serve(s, c)
	if err != nil {
		return s.refuse(c, err)
	}
	return s.reply(c, c.route.success.of(c.version), c.mediaType(), result)
}

func (s *Server) checkCredentials(c *call) *apiError {
	if c.verdict.accepted {
		return nil
	}
	return refusal(http.StatusUnauthorized, "You are not authorized for this resource.")
}

func (s *Server) checkRoute(c *call) *apiError {
	switch {
	case c.route != nil:
		return nil
	case len(c.allow) > 0:
		c.header.Set("Allow", strings.Join(c.allow, ", "))
		return refusal(http.StatusMethodNotAllowed, "This resource does not have the method "+method(c.request)+".")
	default:
		return refusal(http.StatusNotFound, "There is no such resource.")
	}
}

func (s *Server) checkRole(c *call) *apiError {
	if c.verdict.role >= c.route.role {
		return nil
	}
	return refusal(http.StatusForbidden, "This resource needs the role "+c.route.role.String()+".")
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
	case name == "orgId" && c.scope != orgID:
		return notFound(codeResourceNotFound, "organization", c.scope)
	case name == "groupId" && !slices.Contains(s.projects, livemigration.ProjectID(c.scope)):
		return notFound(codeGroupNotFound, "project", c.scope)
	}
	return nil
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

// answer is a complete response, and what keeps it from arriving as it is.
type answer struct {
	status int
	header http.Header
	body   []byte

	delay   time.Duration // before it is sent
	stall   time.Duration // in the middle of the body
	lost    bool          // the connection is reset in its place
	missing int           // bytes that Content-Length promises beyond those that follow
	filler  int64         // bytes that are sent in the place of body, if not 0
}

// length is what the Content-Length header says.
func (a *answer) length() int64 {
	if a.filler > 0 {
		return a.filler
	}
	return int64(len(a.body) + a.missing)
}

// bodyless reports whether an answer with this status cannot have a body.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified || status < 200
}

// envelope is an answer to a client that cannot see the status.
type envelope struct {
	Status  int `json:"status"`
	Content any `json:"content"`
}

// reply makes the answer. A nil content is an empty body.
func (s *Server) reply(c *call, status int, mediaType string, content any) *answer {
	a := &answer{status: status, header: c.header}
	s.identify(c)
	if c.envelope && status != http.StatusUnauthorized { // a challenge has to be seen as one
		content = envelope{status, content}
		if bodyless(status) {
			a.status = http.StatusOK
		}
	}
	if content != nil {
		a.header.Set("Content-Type", mediaType)
		a.body = encode(content, c.pretty)
	}
	return a
}

// refuse makes the answer for an error. Each 401 comes with a challenge.
func (s *Server) refuse(c *call, err *apiError) *answer {
	if c.oauth && err.fromOAuth() {
		return s.refuseOAuth(c, err)
	}
	mediaType := jsonMediaType
	if err.status == http.StatusUnauthorized {
		mediaType = challengeMediaType
		challenge := c.verdict.challenge
		if challenge == "" { // the credentials were fine, the refusal is a fault
			challenge = s.digest.challenge(false)
		}
		c.header.Set("Www-Authenticate", challenge)
	}
	return s.reply(c, err.status, mediaType, err.body())
}

// identify sets the headers that every answer of Atlas has, and those of an operation that is on its way out.
func (s *Server) identify(c *call) {
	javaMethod := "ApiErrorResource::handle"
	if c.route != nil {
		javaMethod = c.route.javaMethod
	}
	c.header.Set("X-Mongodb-Service-Version", "gitHash=0000000000000000000000000000000000000000; versionString=livemigrationtest")
	c.header.Set("X-Java-Method", javaMethod)
	c.header.Set("X-Request-Id", s.requestIDs.next())
	s.deprecations.announce(c.operation(), c.header)
}

func encode(content any, pretty bool) []byte {
	body, err := json.Marshal(content)
	if err != nil { // the server's own types cannot fail
		return nil
	}
	if !pretty {
		return body
	}
	var b bytes.Buffer
	_ = json.Indent(&b, body, "", "  ") // of what Marshal wrote
	b.WriteByte('\n')
	return b.Bytes()
}
