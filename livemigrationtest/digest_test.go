package livemigrationtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestChallenge(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opt       livemigrationtest.Option
		want      string
		mediaType string
	}{
		"default": {nil, `algorithm=MD5, qop="auth", stale=false`, "application/json"},
		"SHA-256": {
			livemigrationtest.WithAlgorithm(livemigrationtest.SHA256), `algorithm=SHA-256, qop="auth", stale=false`,
			"application/json",
		},
		"documented": {
			livemigrationtest.WithDocumentedChallenge(), `algorithm=MD5, op="auth", stale=false`,
			"application/json;charset=ISO-8859-1",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, tt.opt, livemigrationtest.WithInProcess())
			res := send(t, srv, endpoint(srv, livemigrationtest.GetMigration, v2Prefix, "bad id").with("Accept", ""))
			assert.Equal(t, http.StatusUnauthorized, res.status, "before anything else is looked at")
			assert.Regexp(t, `^Digest realm="MMS Public API", domain="", nonce="[0-9A-Za-z+/]{32}", `+tt.want+`$`,
				res.header.Get("WWW-Authenticate"))
			assert.Equal(t, tt.mediaType, res.header.Get("Content-Type"))
			assert.EqualValues(t, 401, res.object(t)["error"])
		})
	}
}

func TestChallengeIsNotEnveloped(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	r.path += "?envelope=true"
	res := send(t, srv, r)
	assert.Equal(t, http.StatusUnauthorized, res.status)
	assert.EqualValues(t, 401, res.object(t)["error"])
}

func TestDigest(t *testing.T) {
	t.Parallel()
	const accepted, rejected, stale = "accepted", "rejected", "stale"
	tests := map[string]struct {
		change func(claim)
		want   string
	}{
		"right":                    {func(claim) {}, accepted},
		"algorithm left out":       {func(c claim) { delete(c, "algorithm") }, accepted},
		"parameter unknown":        {func(c claim) { c["extra"] = "x, y" }, accepted},
		"userhash false":           {func(c claim) { c["userhash"] = "false" }, accepted},
		"count high":               {func(c claim) { c["nc"] = "ffffffff" }, accepted},
		"user unknown":             {func(c claim) { c["username"] = "nobody" }, rejected},
		"user missing":             {func(c claim) { delete(c, "username") }, rejected},
		"response wrong":           {func(c claim) { c["response"] = "00000000000000000000000000000000" }, rejected},
		"response empty":           {func(c claim) { c["response"] = "" }, rejected},
		"realm wrong":              {func(c claim) { c["realm"] = "elsewhere" }, rejected},
		"uri of another path":      {func(c claim) { c["uri"] = "/api/atlas/v2/orgs" }, rejected},
		"uri with a query":         {func(c claim) { c["uri"] += "?pretty=true" }, rejected},
		"method wrong":             {func(c claim) { c["method"] = http.MethodPost }, rejected},
		"algorithm wrong":          {func(c claim) { c["algorithm"] = "SHA-256" }, rejected},
		"qop unknown":              {func(c claim) { c["qop"] = "auth-int" }, rejected},
		"qop left out":             {func(c claim) { delete(c, "qop"); delete(c, "nc"); delete(c, "cnonce") }, rejected},
		"cnonce missing":           {func(c claim) { delete(c, "cnonce") }, rejected},
		"cnonce empty":             {func(c claim) { c["cnonce"] = "" }, rejected},
		"count missing":            {func(c claim) { delete(c, "nc") }, rejected},
		"count zero":               {func(c claim) { c["nc"] = "00000000" }, rejected},
		"count short":              {func(c claim) { c["nc"] = "1" }, rejected},
		"count not hexadecimal":    {func(c claim) { c["nc"] = "0000000g" }, rejected},
		"userhash true":            {func(c claim) { c["userhash"] = "true" }, rejected},
		"nonce unknown":            {func(c claim) { c["nonce"] = "made up" }, stale},
		"nonce and response wrong": {func(c claim) { c["nonce"], c["response"] = "made up", "no" }, rejected},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.WithInProcess())
			r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
			d := newDigester(srv)
			c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
			tt.change(c)
			got := verdictOf(t, send(t, srv, r.with("Authorization", d.sign(c))))
			assert.Equal(t, tt.want, got)
			last := srv.Recorded()[1]
			assert.Equal(t, tt.want == accepted, last.Authenticated)
			assert.Equal(t, livemigrationtest.ListAvailableProjects, last.Operation)
		})
	}
}

func verdictOf(t *testing.T, res result) string {
	t.Helper()
	if res.status != http.StatusUnauthorized {
		require.Equal(t, http.StatusOK, res.status, res.body)
		return "accepted"
	}
	header := res.header.Get("WWW-Authenticate")
	require.Regexp(t, `stale=(true|false)$`, header)
	if strings.HasSuffix(header, "true") {
		return "stale"
	}
	return "rejected"
}

func TestMalformedCredentials(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"Digest", "Digest ", "digest realm", "Digest =", "Digest ,", `Digest a="`, `Digest a="\`, `Digest a="b"c`,
		`Digest a=b,`, `Digest a=`, `Digest a b=c`, `Digest username="a", username="b"`, "Basic dTpw", "Bearerx", " ",
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.WithInProcess())
			r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
			assert.Equal(t, "rejected", verdictOf(t, send(t, srv, r.with("Authorization", header))))
			assert.Equal(t, livemigrationtest.ListAvailableProjects, srv.Recorded()[0].Operation, "no handshake")
		})
	}
}

func TestTwoAuthorizationHeaders(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := authorize(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, ""))
	req := r.build(t, srv.URL())
	req.Header.Add("Authorization", req.Header.Get("Authorization"))
	assert.Equal(t, "rejected", verdictOf(t, read(t, srv.HTTPClient(), req)))
}

func TestCredentialsInOtherSpelling(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
	c["cnonce"] = `a,"b\`
	response := responseOf.FindStringSubmatch(d.sign(c))[1]
	header := fmt.Sprintf("dIgEsT  USERNAME=%q , Realm=\"MMS Public API\",\tnonce=%q,uri=\"%s\",response=%q,qop=auth,nc=00000001,"+
		`cnonce="a,\"b\\"`, c["username"], c["nonce"], c["uri"], response)
	assert.Equal(t, "accepted", verdictOf(t, send(t, srv, r.with("Authorization", header))))
}

func statuses(srv *livemigrationtest.Server) []int {
	var out []int
	for _, r := range srv.Recorded() {
		out = append(out, r.StatusCode)
	}
	return out
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []livemigrationtest.Algorithm{
		livemigrationtest.MD5, livemigrationtest.SHA256, livemigrationtest.SHA512256,
	} {
		for _, documented := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s documented %t", algorithm, documented), func(t *testing.T) {
				t.Parallel()
				opts := []livemigrationtest.Option{livemigrationtest.WithInProcess(), livemigrationtest.WithAlgorithm(algorithm)}
				if documented {
					opts = append(opts, livemigrationtest.WithDocumentedChallenge())
				}
				srv := newServer(t, opts...)
				r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
				d := newDigester(srv)
				full := d.claim(r.method, r.path, challenge(t, srv), "00000001")
				legacy := d.claim(r.method, r.path, challenge(t, srv), "")
				delete(legacy, "qop")
				delete(legacy, "nc")
				delete(legacy, "cnonce")

				right, wrong := full, legacy
				if documented {
					right, wrong = legacy, full
				}
				assert.Equal(t, "rejected", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(wrong)))))
				assert.Equal(t, "accepted", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(right)))))
				assert.Equal(t, string(algorithm), right["algorithm"])

				client, err := srv.NewClient()
				require.NoError(t, err)
				_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
				require.NoError(t, err)
			})
		}
	}
}

func TestUnknownAlgorithmIsAnnounced(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithAlgorithm("X-1"))
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
	assert.Equal(t, "X-1", c["algorithm"])
	assert.Equal(t, "rejected", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(c)))))
}

// The second of two could say something else than the first, which was checked.
func TestParameterGivenTwice(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := authorize(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, ""))
	twice := r.header["Authorization"] + `, QOP="auth"`
	assert.Equal(t, "rejected", verdictOf(t, send(t, srv, r.with("Authorization", twice))))
	assert.Equal(t, "accepted", verdictOf(t, send(t, srv, r)))
}

// The response may be right and the rest of the claim all the same not what the server asked for.
func TestRealmOfAnother(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
	c["response"], c["realm"] = responseOf.FindStringSubmatch(d.sign(c))[1], "elsewhere"
	assert.Equal(t, "rejected", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(c)))))
	c["realm"] = "MMS Public API"
	assert.Equal(t, "accepted", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(c)))))
}
