package livemigrationtest_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	media2023 = "application/vnd.atlas.2023-01-01+json"
	media2024 = "application/vnd.atlas.2024-05-30+json"
	mediaV1   = "application/json"

	v2Prefix = "/api/atlas/v2"
	v1Prefix = "/api/atlas/v1.0"
)

// newServer returns a server that is closed with the test.
func newServer(t *testing.T, opts ...livemigrationtest.Option) *livemigrationtest.Server {
	t.Helper()
	srv := livemigrationtest.NewServer(opts...)
	t.Cleanup(srv.Close)
	return srv
}

// newOpenServer returns a server in process that asks for no credentials.
func newOpenServer(t *testing.T, opts ...livemigrationtest.Option) *livemigrationtest.Server {
	t.Helper()
	return newServer(t, append(opts, livemigrationtest.WithInProcess(), livemigrationtest.WithoutAuthentication())...)
}

// result is a response, read whole.
type result struct {
	status int
	header http.Header
	body   string
}

func (r result) object(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &out), "body: %s", r.body)
	return out
}

// fields lists the fields of badRequestDetail.
func (r result) fields(t *testing.T) []string {
	t.Helper()
	var body struct {
		BadRequestDetail struct {
			Fields []struct{ Field, Description string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.body), &body), "body: %s", r.body)
	var out []string
	for _, f := range body.BadRequestDetail.Fields {
		assert.NotEmpty(t, f.Description, f.Field)
		out = append(out, f.Field)
	}
	return out
}

// request is a request of which a test spells out what matters.
type request struct {
	method, path, body string
	header             map[string]string // "" leaves a header out
}

func (r request) build(t testing.TB, base string) *http.Request {
	t.Helper()
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, body)
	require.NoError(t, err)
	for key, value := range r.header {
		if value != "" {
			req.Header.Set(key, value)
		}
	}
	return req
}

// send sends a request as it is and reads the response.
func send(t *testing.T, srv *livemigrationtest.Server, r request) result {
	t.Helper()
	return read(t, srv.HTTPClient(), r.build(t, srv.URL()))
}

func read(t *testing.T, client *http.Client, req *http.Request) result {
	t.Helper()
	res, err := client.Do(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return result{res.StatusCode, res.Header, string(body)}
}

// with returns a copy of r with another header.
func (r request) with(key, value string) request {
	r.header = maps.Clone(r.header)
	r.header[key] = value
	return r
}

// endpoint returns a valid request for an endpoint; job is the ID in its path, if it has one.
func endpoint(srv *livemigrationtest.Server, op livemigrationtest.Operation, version, job string) request {
	org := "/orgs/" + string(srv.OrgID()) + "/liveMigrations"
	group := "/groups/" + string(srv.ProjectID()) + "/liveMigrations"
	media, body := media2023, ""
	var r request
	switch op {
	case livemigrationtest.CreateLinkToken:
		r, body = request{method: http.MethodPost, path: org + "/linkTokens"}, `{"accessListIps":["192.0.2.0/24"]}`
	case livemigrationtest.DeleteLinkToken:
		r = request{method: http.MethodDelete, path: org + "/linkTokens"}
	case livemigrationtest.ListAvailableProjects:
		r = request{method: http.MethodGet, path: org + "/availableProjects"}
	case livemigrationtest.CreateValidation:
		r, media = request{method: http.MethodPost, path: group + "/validate"}, media2024
		body = migrationBody(srv, version)
	case livemigrationtest.GetValidation:
		r = request{method: http.MethodGet, path: group + "/validate/" + job}
	case livemigrationtest.CreateMigration:
		r, media = request{method: http.MethodPost, path: group}, media2024
		body = migrationBody(srv, version)
	case livemigrationtest.GetMigration:
		r = request{method: http.MethodGet, path: group + "/" + job}
	case livemigrationtest.Cutover:
		r = request{method: http.MethodPut, path: group + "/" + job + "/cutover"}
	}
	if version == v1Prefix {
		media = mediaV1
	}
	r.path, r.body, r.header = version+r.path, body, map[string]string{"Accept": media}
	if body != "" {
		r.header["Content-Type"] = media
	}
	return r
}

const (
	invalid  = "INVALID_ATTRIBUTE"
	missing  = "MISSING_ATTRIBUTE"
	conflict = "VALIDATION_ERROR"
)

// assertError checks an error as Atlas writes it.
func assertError(t *testing.T, res result, status int, code string) {
	t.Helper()
	require.Equal(t, status, res.status, res.body)
	body := res.object(t)
	assert.EqualValues(t, status, body["error"])
	assert.Equal(t, code, body["errorCode"], res.body)
	assert.Equal(t, http.StatusText(status), body["reason"])
	assert.NotEmpty(t, body["detail"])
	assert.Contains(t, res.header.Get("Content-Type"), "application/json")
	if status != http.StatusUnauthorized {
		assert.IsType(t, []any{}, body["parameters"])
		assert.Equal(t, code, res.header.Get("X-Error-Code"))
	}
}

// statuses are those of the recorded requests, in order.
func statuses(srv *livemigrationtest.Server) []int {
	var out []int
	for _, r := range srv.Recorded() {
		out = append(out, r.StatusCode)
	}
	return out
}

func newClient(t *testing.T, srv *livemigrationtest.Server, opts ...livemigration.Option) *livemigration.Client {
	t.Helper()
	client, err := srv.NewClient(opts...)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

const sourceProject = "5c7e8f901a2b3c4d5e6f7a01"

func migrationBody(srv *livemigrationtest.Server, version string) string {
	const source = `"source":{"groupId":"` + sourceProject + `","clusterName":"orders","username":"u","password":"p4ss",` +
		`"ssl":true,"caCertificatePath":"/ca.pem","managedAuthentication":false}`
	if version == v1Prefix {
		return fmt.Sprintf(`{%s,"destination":{"groupId":"%s","clusterName":"Cluster0"},`+
			`"migrationHosts":["vm001.example.com"],"dropEnabled":true}`, source, srv.ProjectID())
	}
	return fmt.Sprintf(`{%s,"destination":{"groupId":"%s","clusterName":"Cluster0","hostnameSchemaType":"PUBLIC"},`+
		`"migrationHosts":["vm001.example.com"],"dropDestinationData":true}`, source, srv.ProjectID())
}

// create starts a job and returns its ID.
func create(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation) string {
	t.Helper()
	res := send(t, srv, endpoint(srv, op, v2Prefix, ""))
	require.Less(t, res.status, 300, res.body)
	id, _ := res.object(t)["_id"].(string)
	return id
}

// digester creates credentials for challenges, for tests that need to say each part of them.
type digester struct{ public, private string }

func newDigester(srv *livemigrationtest.Server) digester {
	public, private := srv.APIKey()
	return digester{public, private.Reveal()}
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

var nonceOf = regexp.MustCompile(`nonce="([^"]+)"`)

// claim is the parameters of an Authorization header.
type claim map[string]string

func (d digester) claim(method, uri, challenge, count string) claim {
	return claim{
		"username": d.public, "realm": "MMS Public API", "uri": uri, "nonce": nonceOf.FindStringSubmatch(challenge)[1],
		"algorithm": "MD5", "qop": "auth", "nc": count, "cnonce": "abc", "method": method,
	}
}

// sign computes the response from what the claim says, unless it has one.
func (d digester) sign(c claim) string {
	hash := md5Hex
	ha1, ha2 := hash(d.public+":"+c["realm"]+":"+d.private), hash(c["method"]+":"+c["uri"])
	signature := hash(ha1 + ":" + c["nonce"] + ":" + ha2)
	if _, ok := c["qop"]; ok {
		signature = hash(strings.Join([]string{ha1, c["nonce"], c["nc"], c["cnonce"], c["qop"], ha2}, ":"))
	}
	out := `Digest response="` + signature + `"`
	if own, ok := c["response"]; ok {
		out = `Digest response="` + own + `"`
	}
	for name, value := range c {
		if name != "method" && name != "response" {
			out += fmt.Sprintf(`, %s="%s"`, name, value)
		}
	}
	return out
}

// challenge gets one.
func challenge(t *testing.T, srv *livemigrationtest.Server) string {
	t.Helper()
	res := send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, ""))
	require.Equal(t, http.StatusUnauthorized, res.status)
	return res.header.Get("WWW-Authenticate")
}

// authorize adds credentials to a request, from a fresh challenge.
func authorize(t *testing.T, srv *livemigrationtest.Server, r request) request {
	t.Helper()
	d := newDigester(srv)
	return r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge(t, srv), "00000001")))
}
