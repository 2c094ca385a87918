package livemigrationtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// response is a complete response, and what keeps it from arriving as it is.
type response struct {
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
func (r *response) length() int64 {
	if r.filler > 0 {
		return r.filler
	}
	return int64(len(r.body) + r.missing)
}

// bodyless reports whether a response with this status cannot have a body.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified || status < 200
}

// envelope is the body for a client that cannot see the status.
type envelope struct {
	Status  int `json:"status"`
	Content any `json:"content"`
}

// reply makes the response to a request that was carried out. A nil content is an empty body.
func (s *Server) reply(c *call, status int, content any) *response {
	s.identify(c, "")
	if content != nil || c.envelope || c.version == v2 { // v2 names its media type even for an empty body
		c.header.Set("Content-Type", c.responseType())
	}
	return c.wrap(status, content)
}

// reject makes the response for an error. Each 401 comes with a challenge.
func (s *Server) reject(c *call, err *apiError) *response {
	if c.oauth && err.fromOAuth() {
		return s.rejectOAuth(c, err)
	}
	c.header.Set("Content-Type", jsonMediaType)
	if err.status == http.StatusUnauthorized {
		return s.rejectCredentials(c, err)
	}
	body := err.body()
	s.identify(c, body.ErrorCode)
	return c.wrap(err.status, body)
}

// rejectCredentials makes a 401. It comes from what stands before the API: it has fewer headers, no envelope, and a
// body of its own form.
func (s *Server) rejectCredentials(c *call, err *apiError) *response {
	challenge := c.verdict.challenge
	if challenge == "" { // the credentials were fine, the 401 is a fault
		challenge = c.site.digest.challenge(c.verdict.node, false)
	}
	if s.config.documented {
		c.header.Set("Content-Type", jsonMediaType+";charset=ISO-8859-1")
	}
	setHeaders(c.header,
		"Server", serverName, "Vary", "Accept-Encoding", "Www-Authenticate", challenge, "X-Xgen-Up-Proto", "HTTP/2")
	s.nameRequest(c)
	return &response{status: err.status, header: c.header, body: err.unauthorizedBody()}
}

// wrap writes the body, in an envelope if the client asks for one.
func (c *call) wrap(status int, content any) *response {
	r := &response{status: status, header: c.header}
	if c.envelope {
		content = envelope{status, content}
		if bodyless(status) {
			r.status = http.StatusOK
		}
	}
	if content != nil {
		r.body = encode(content, c.pretty)
	}
	return r
}

func (s *Server) nameRequest(c *call) {
	if s.config.withRequestIDs {
		c.header.Set("X-Request-Id", s.requestIDs.next())
	}
}

const serverName = "mdbws"

// identify sets the headers that every response of Atlas has, and those of an operation that is on its way out. code is
// that of an error; empty: there is none.
func (s *Server) identify(c *call, code string) {
	javaMethod := "ApiErrorResource::handle"
	if c.route != nil {
		javaMethod = c.route.javaMethod
	}
	setHeaders(c.header,
		"Referrer-Policy", "strict-origin-when-cross-origin",
		"Server", serverName,
		"Strict-Transport-Security", "max-age=31536000; includeSubdomains;",
		"X-Content-Type-Options", "nosniff",
		"X-Envoy-Upstream-Service-Time", strconv.FormatInt(time.Since(c.arrived).Milliseconds(), 10),
		"X-Frame-Options", "DENY",
		"X-Java-Method", javaMethod,
		"X-Java-Version", "17.0.19+10-LTS",
		"X-Mongodb-Service-Version", "gitHash=0000000000000000000000000000000000000000; versionString=livemigrationtest",
		"X-Permitted-Cross-Domain-Policies", "none")
	s.nameRequest(c)
	delete(c.header, "X-Error-Code") // of a response that this one replaces
	if code != "" {
		c.header.Set("X-Error-Code", code)
	}
	if c.deprecated() {
		setHeaders(c.header, "Deprecation", deprecation2023, "Sunset", sunset2023)
	}
	s.deprecations.announce(c.operation(), c.header)
}

// setHeaders sets headers that come as name and value in turn. Names are in the canonical form.
func setHeaders(h http.Header, pairs ...string) {
	values := make([]string, len(pairs)/2) // one allocation for all of them
	for i := range values {
		values[i] = pairs[2*i+1]
		h[pairs[2*i]] = values[i : i+1 : i+1]
	}
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
