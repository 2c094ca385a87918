package livemigrationtest

import (
	"encoding/json"
	"maps"
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
	loss    loss          // the connection or the stream ends in its place
	missing int           // bytes that Content-Length promises beyond those that follow
}

// write sends the response. pause waits in the middle of a body that stalls; it returns false if that ended early.
func (r *response) write(w http.ResponseWriter, pause func() bool) {
	maps.Copy(w.Header(), r.header)
	if !bodyless(r.status) {
		w.Header().Set("Content-Length", strconv.Itoa(len(r.body)+r.missing))
	}
	w.WriteHeader(r.status)
	body := r.body
	if r.stall > 0 && len(body) > 0 {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		if !pause() {
			return
		}
		body = body[len(body)/2:]
	}
	// Less than Content-Length makes net/http end the connection or the stream: that is a truncated response.
	_, _ = w.Write(body)
}

// bodyless reports whether a response with this status cannot have a body.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified || status < 200
}

// reply returns the response to a request that was processed. A nil content is an empty body.
func (s *Server) reply(c *call, status int, content any) *response {
	c.identify("")
	if content != nil || c.envelope || c.version == v2 { // v2 names its media type even for an empty body
		c.header.Set("Content-Type", c.responseType())
	}
	return c.wrap(status, content)
}

// reject returns the response for an error.
func (s *Server) reject(c *call, err *apiError) *response {
	if c.oauth && err.Status < 500 && err.Status != http.StatusTooManyRequests { // else it comes from a gateway
		return s.rejectOAuth(c, err)
	}
	c.header.Set("Content-Type", jsonMediaType)
	if err.Status == http.StatusUnauthorized {
		return s.rejectCredentials(c, err)
	}
	c.identify(err.Code)
	return c.wrap(err.Status, err)
}

// rejectCredentials returns a 401. It comes from what stands before the API: it has fewer headers, no envelope, and its
// own form of body.
func (s *Server) rejectCredentials(c *call, err *apiError) *response {
	if s.config.documentedChallenge {
		c.header.Set("Content-Type", jsonMediaType+";charset=ISO-8859-1")
	}
	c.header["Server"] = usualHeaders["Server"]
	c.header.Set("Vary", "Accept-Encoding")
	c.header.Set("X-Xgen-Up-Proto", "HTTP/2")
	switch {
	case s.config.open, err.bare:
	case c.verdict.token:
		c.header.Set("Www-Authenticate", `Bearer realm="`+realm+`", error="invalid_token"`)
	default:
		c.header.Set("Www-Authenticate", c.site.digest.challenge(c.verdict.stale))
	}
	return &response{status: err.Status, header: c.header, body: err.unauthorizedBody()}
}

// wrap writes the body, in an envelope if the client asks for one.
func (c *call) wrap(status int, content any) *response {
	r := &response{status: status, header: c.header}
	if c.envelope {
		content = struct {
			Status  int `json:"status"`
			Content any `json:"content"`
		}{status, content}
		if bodyless(status) {
			r.status = http.StatusOK
		}
	}
	if content != nil {
		r.body = encode(content, c.pretty)
	}
	return r
}

// usualHeaders are the headers that every response of Atlas has, except a 401.
var usualHeaders = http.Header{
	"Referrer-Policy":                   {"strict-origin-when-cross-origin"},
	"Server":                            {"mdbws"},
	"Strict-Transport-Security":         {"max-age=31536000; includeSubdomains;"},
	"X-Content-Type-Options":            {"nosniff"},
	"X-Frame-Options":                   {"DENY"},
	"X-Java-Version":                    {"17.0.19+10-LTS"},
	"X-Mongodb-Service-Version":         {"gitHash=0000000000000000000000000000000000000000; versionString=livemigrationtest"},
	"X-Permitted-Cross-Domain-Policies": {"none"},
}

// identify sets the headers that every response of Atlas has, and those of a version that is deprecated. code is the
// code of an error; empty: there is none.
func (c *call) identify(code string) {
	javaMethod := "ApiErrorResource::handle"
	if c.route != nil {
		javaMethod = c.route.javaMethod
	}
	maps.Copy(c.header, usualHeaders)
	c.header.Set("X-Java-Method", javaMethod)
	c.header.Set("X-Envoy-Upstream-Service-Time", strconv.FormatInt(time.Since(c.arrived).Milliseconds(), 10))
	delete(c.header, "X-Error-Code") // of a response that this one replaces
	if code != "" {
		c.header.Set("X-Error-Code", code)
	}
	if c.date != "" && c.date != c.route.newest() { // not in the form of RFC 9745, and with one digit for the day
		c.header.Set("Deprecation", "Mon, 5 Aug 2024 00:00:00 GMT")
		c.header.Set("Sunset", "Thu, 1 Jul 2027 00:00:00 GMT")
	}
}

func encode(content any, pretty bool) []byte {
	if !pretty {
		body, _ := json.Marshal(content) // the server's own types cannot fail
		return body
	}
	body, _ := json.MarshalIndent(content, "", "  ")
	return append(body, '\n')
}
