package livemigrationtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestChallenge(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opts []livemigrationtest.Option
		want string
	}{
		"default": {nil, `algorithm=MD5, qop="auth", stale=false`},
		"SHA-256": {
			[]livemigrationtest.Option{livemigrationtest.WithAlgorithm(livemigrationtest.SHA256)},
			`algorithm=SHA-256, qop="auth", stale=false`,
		},
		"documented": {
			[]livemigrationtest.Option{livemigrationtest.WithDocumentedChallenge()}, `algorithm=MD5, op="auth", stale=false`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, append(tt.opts, livemigrationtest.InProcess())...)
			res := send(t, srv, endpoint(srv, livemigrationtest.GetMigration, v2Prefix, "bad id").with("Accept", ""))
			assert.Equal(t, http.StatusUnauthorized, res.status, "before anything else is looked at")
			assert.Regexp(t, `^Digest realm="MMS Public API", domain="", nonce="[0-9a-f]{32}", `+tt.want+`$`,
				res.header.Get("WWW-Authenticate"))
			assert.Equal(t, "application/json;charset=ISO-8859-1", res.header.Get("Content-Type"))
			assert.EqualValues(t, 401, res.object(t)["error"])
		})
	}
}

func TestChallengeIsNotEnveloped(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	r.path += "?envelope=true"
	res := send(t, srv, r)
	assert.Equal(t, http.StatusUnauthorized, res.status)
	assert.EqualValues(t, 401, res.object(t)["error"])
}

func TestDigest(t *testing.T) {
	t.Parallel()
	const accepted, refused, stale = "accepted", "refused", "stale"
	tests := map[string]struct {
		change func(claim)
		want   string
	}{
		"right":                    {func(claim) {}, accepted},
		"algorithm left out":       {func(c claim) { delete(c, "algorithm") }, accepted},
		"parameter unknown":        {func(c claim) { c["extra"] = "x, y" }, accepted},
		"userhash false":           {func(c claim) { c["userhash"] = "false" }, accepted},
		"count high":               {func(c claim) { c["nc"] = "ffffffff" }, accepted},
		"user unknown":             {func(c claim) { c["username"] = "nobody" }, refused},
		"user missing":             {func(c claim) { delete(c, "username") }, refused},
		"response wrong":           {func(c claim) { c["response"] = "00000000000000000000000000000000" }, refused},
		"response empty":           {func(c claim) { c["response"] = "" }, refused},
		"realm wrong":              {func(c claim) { c["realm"] = "elsewhere" }, refused},
		"uri of another path":      {func(c claim) { c["uri"] = "/api/atlas/v2/orgs" }, refused},
		"uri with a query":         {func(c claim) { c["uri"] += "?pretty=true" }, refused},
		"method wrong":             {func(c claim) { c["method"] = http.MethodPost }, refused},
		"algorithm wrong":          {func(c claim) { c["algorithm"] = "SHA-256" }, refused},
		"qop unknown":              {func(c claim) { c["qop"] = "auth-int" }, refused},
		"qop left out":             {func(c claim) { delete(c, "qop"); delete(c, "nc"); delete(c, "cnonce") }, refused},
		"cnonce missing":           {func(c claim) { delete(c, "cnonce") }, refused},
		"cnonce empty":             {func(c claim) { c["cnonce"] = "" }, refused},
		"count missing":            {func(c claim) { delete(c, "nc") }, refused},
		"count zero":               {func(c claim) { c["nc"] = "00000000" }, refused},
		"count short":              {func(c claim) { c["nc"] = "1" }, refused},
		"count not hexadecimal":    {func(c claim) { c["nc"] = "0000000g" }, refused},
		"userhash true":            {func(c claim) { c["userhash"] = "true" }, refused},
		"nonce unknown":            {func(c claim) { c["nonce"] = "made up" }, stale},
		"nonce and response wrong": {func(c claim) { c["nonce"], c["response"] = "made up", "no" }, refused},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.InProcess())
			r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
			d := newDigester(srv)
			c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
			tt.change(c)
			got := verdictOf(t, send(t, srv, r.with("Authorization", d.sign(c))))
			assert.Equal(t, tt.want, got)
			last := srv.Requests()[1]
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
	return "refused"
}

func TestMalformedCredentials(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"Digest", "Digest ", "digest realm", "Digest =", "Digest ,", `Digest a="`, `Digest a="\`, `Digest a="b"c`,
		`Digest a=b,`, `Digest a=`, `Digest a b=c`, `Digest username="a", username="b"`, "Basic dTpw", "Bearerx", " ",
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.InProcess())
			r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
			assert.Equal(t, "refused", verdictOf(t, send(t, srv, r.with("Authorization", header))))
			assert.Equal(t, livemigrationtest.ListAvailableProjects, srv.Requests()[0].Operation, "no handshake")
		})
	}
}

func TestTwoAuthorizationHeaders(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	r := authorize(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, ""))
	req := r.build(t, srv.URL())
	req.Header.Add("Authorization", req.Header.Get("Authorization"))
	assert.Equal(t, "refused", verdictOf(t, read(t, srv.HTTPClient(), req)))
}

func TestCredentialsInOtherSpelling(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
	c["cnonce"] = `a,"b\`
	response := responseOf.FindStringSubmatch(d.sign(c))[1]
	header := fmt.Sprintf("dIgEsT  USERNAME=%q , Realm=\"MMS Public API\",\tnonce=%q,uri=\"%s\",response=%q,qop=auth,nc=00000001,"+
		`cnonce="a,\"b\\"`, c["username"], c["nonce"], c["uri"], response)
	assert.Equal(t, "accepted", verdictOf(t, send(t, srv, r.with("Authorization", header))))
}

func TestNonceCounts(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d, first := newDigester(srv), challenge(t, srv)
	second := challenge(t, srv)
	use := func(challenge, count string) string {
		return verdictOf(t, send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge, count)))))
	}
	for _, step := range []struct{ challenge, count, want string }{
		{first, "00000001", "accepted"},
		{first, "00000001", "refused"},
		{first, "00000003", "accepted"}, // overtook the second
		{first, "00000002", "accepted"},
		{first, "00000003", "refused"},
		{first, "00000002", "refused"},
		{first, "00000004", "accepted"},
		{first, "0000000A", "accepted"},
		{first, "0000000a", "refused"},
		{second, "00000001", "accepted"}, // another nonce, other counts
	} {
		require.Equal(t, step.want, use(step.challenge, step.count), "count %s", step.count)
	}
}

func TestNonceLifetime(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess(), livemigrationtest.WithNonceLifetime(time.Minute))
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d, nonce := newDigester(srv), challenge(t, srv)
	use := func(count string) string {
		return verdictOf(t, send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, nonce, count)))))
	}
	srv.Advance(time.Minute - 1)
	assert.Equal(t, "accepted", use("00000001"))
	srv.Advance(1)
	assert.Equal(t, "stale", use("00000002"))
}

func TestExpireNonces(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	client, err := srv.NewClient()
	require.NoError(t, err)
	for range 2 {
		_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
	}
	srv.ResetRequests()
	srv.ExpireNonces()
	for range 2 {
		_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
	}
	assert.Equal(t, []int{401, 200, 200}, statuses(srv))
}

func statuses(srv *livemigrationtest.Server) []int {
	var out []int
	for _, r := range srv.Requests() {
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
				opts := []livemigrationtest.Option{livemigrationtest.InProcess(), livemigrationtest.WithAlgorithm(algorithm)}
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
				assert.Equal(t, "refused", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(wrong)))))
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
	srv := newServer(t, livemigrationtest.InProcess(), livemigrationtest.WithAlgorithm("X-1"))
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
	assert.Equal(t, "X-1", c["algorithm"])
	assert.Equal(t, "refused", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(c)))))
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations {
		for role, want := range map[livemigrationtest.Role]bool{
			livemigrationtest.NoRole:    false,
			livemigrationtest.OrgMember: op == livemigrationtest.GetMigration,
			livemigrationtest.OrgOwner:  true,
		} {
			t.Run(fmt.Sprintf("%s as %s", op, role), func(t *testing.T) {
				t.Parallel()
				srv := newServer(t, livemigrationtest.InProcess())
				client, err := livemigration.NewClient(srv.CredentialsFor(role),
					livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()))
				require.NoError(t, err)
				_ = callOperation(t, client, srv, op)
				last := srv.Requests()[1]
				assert.True(t, last.Authenticated)
				assert.Equal(t, want, last.StatusCode != http.StatusForbidden, "status %d", last.StatusCode)
			})
		}
	}
}

// callOperation calls an endpoint by the client, for jobs that do not exist.
func callOperation(t *testing.T, client *livemigration.Client, srv *livemigrationtest.Server, op livemigrationtest.Operation) error {
	t.Helper()
	const job = "0123456789abcdef01234567"
	var err error
	ctx, project := t.Context(), srv.ProjectID()
	switch op {
	case livemigrationtest.CreateLinkToken:
		_, err = client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{})
	case livemigrationtest.DeleteLinkToken:
		err = client.LinkTokens.Delete(ctx, srv.OrgID())
	case livemigrationtest.ListAvailableProjects:
		_, err = client.AvailableProjects.List(ctx, srv.OrgID())
	case livemigrationtest.CreateValidation:
		_, err = client.Validations.Create(ctx, project, srv.Request())
	case livemigrationtest.GetValidation:
		_, err = client.Validations.Get(ctx, project, job)
	case livemigrationtest.CreateMigration:
		_, err = client.Migrations.Create(ctx, project, srv.Request())
	case livemigrationtest.GetMigration:
		_, err = client.Migrations.Get(ctx, project, job)
	case livemigrationtest.Cutover:
		err = client.Migrations.Cutover(ctx, project, job)
	}
	return err
}

func TestRoleString(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "Organization Owner", livemigrationtest.OrgOwner.String())
	assert.Equal(t, "Organization Member", livemigrationtest.OrgMember.String())
	assert.Equal(t, "no role", livemigrationtest.NoRole.String())
	assert.Equal(t, "Role(9)", livemigrationtest.Role(9).String())
}

// The second of two could say something else than the first, which was checked.
func TestParameterGivenTwice(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	r := authorize(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, ""))
	twice := r.header["Authorization"] + `, QOP="auth"`
	assert.Equal(t, "refused", verdictOf(t, send(t, srv, r.with("Authorization", twice))))
	assert.Equal(t, "accepted", verdictOf(t, send(t, srv, r)))
}

// The response may be right and the rest of the claim all the same not what the server asked for.
func TestRealmOfAnother(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
	c["response"], c["realm"] = responseOf.FindStringSubmatch(d.sign(c))[1], "elsewhere"
	assert.Equal(t, "refused", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(c)))))
	c["realm"] = "MMS Public API"
	assert.Equal(t, "accepted", verdictOf(t, send(t, srv, r.with("Authorization", d.sign(c)))))
}

// A nonce count is good for one of the requests that use it at the same time.
func TestConcurrentNonceCounts(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	r = r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge(t, srv), "00000001")))
	var accepted atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			res, err := srv.Transport().RoundTrip(r.build(t, srv.URL()))
			if assert.NoError(t, err) && res.StatusCode == http.StatusOK {
				accepted.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, accepted.Load())
}

// The server forgets the oldest nonces; to a client that looks like their end.
func TestNoncesAreBounded(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d, first, second := newDigester(srv), challenge(t, srv), challenge(t, srv)
	for range 10_000 - 1 {
		challenge(t, srv)
	}
	use := func(challenge string) string {
		return verdictOf(t, send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge, "00000001")))))
	}
	assert.Equal(t, "accepted", use(second))
	assert.Equal(t, "stale", use(first))
}
