package interop

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// The API key that the servers know.
const (
	publicKey  = "ABCDEFGH"
	privateKey = "2f9c8a04-0000-4a1b-9c3d-interop00001"
)

// peer starts a Digest server of another project in front of an Atlas that does not authenticate.
type peer struct {
	start func(t *testing.T, backend string) *daemon
	// challenge is what it must ask for, as a regular expression.
	challenge string
	// strict: it remembers the counts of each nonce, or a nonce serves one request.
	strict bool
}

var peers = map[string]peer{
	"lighttpd, MD5":                {lighttpdDigest("MD5"), `^Digest [^\n]*algorithm=MD5, [^\n]*qop="auth"$`, false},
	"lighttpd, SHA-256":            {lighttpdDigest("SHA-256"), `^Digest [^\n]*algorithm=SHA-256, [^\n]*qop="auth"$`, false},
	"lighttpd, SHA-256 and MD5":    {lighttpdDigest("MD5|SHA-256"), `algorithm=SHA-256, [^\n]*\n.*algorithm=MD5, `, false},
	"Apache":                       {apacheDigest(""), `^Digest [^\n]*algorithm=MD5, [^\n]*qop="auth"$`, false},
	"Apache, nonce counts checked": {apacheDigest("AuthDigestNcCheck On"), `opaque="`, true},
	"Apache, one-time nonces":      {apacheDigest("AuthDigestNonceLifetime 0"), `opaque="`, true},
}

// apacheDigest is an Apache httpd. The directives say how it checks credentials. By default there is memory for a dozen
// clients whose nonce counts are checked.
func apacheDigest(directives string) func(*testing.T, string) *daemon {
	return func(t *testing.T, backend string) *daemon {
		configure := apache(t, `
AuthDigestShmemSize 1048576
<Location "/">
AuthType Digest
AuthName "${MARK}"
AuthUserFile ${DIR}/users
`+directives+`
Require valid-user
</Location>
`, "authn_core", "authn_file", "authz_user", "auth_digest")
		return startDigest(t, backend, configure)
	}
}

// lighttpdDigest is a lighttpd with the algorithms, which are separated by "|". The option nonce-secret is not set: with
// it lighttpd 1.4.69 rejects its own nonces, with curl as well.
func lighttpdDigest(algorithms string) func(*testing.T, string) *daemon {
	return func(t *testing.T, backend string) *daemon {
		configure := lighttpd(t, `
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "${DIR}/users"
auth.require = ("/" => (
  "method" => "digest", "algorithm" => "`+algorithms+`", "realm" => "${MARK}", "require" => "valid-user",
))
`, "mod_auth", "mod_authn_file")
		return startDigest(t, backend, configure)
	}
}

func startDigest(t *testing.T, backend string, configure func(*daemon) []string) *daemon {
	return (&daemon{scheme: "http", backend: backend, configure: func(d *daemon) []string {
		user := publicKey + ":" + d.mark
		secret := []byte(user + ":" + privateKey)
		// Apache does not read the second line, which is lighttpd's for SHA-256.
		d.write("users", fmt.Sprintf("%s:%x\n%s:%x\n", user, md5.Sum(secret), user, sha256.Sum256(secret)))
		return configure(d)
	}}).start(t)
}

// rig is an Atlas that does not authenticate, a server before it that does, and a client.
type rig struct {
	atlas  *livemigrationtest.Server
	front  *daemon
	client *livemigration.Client
}

func newRig(t *testing.T, p peer) *rig {
	t.Helper()
	atlas := livemigrationtest.NewServer(livemigrationtest.WithoutAuthentication())
	t.Cleanup(atlas.Close)
	r := &rig{atlas: atlas, front: p.start(t, strings.TrimPrefix(atlas.URL(), "http://"))}
	r.client = r.newClient(t, livemigration.APIKey(publicKey, privateKey))
	return r
}

// newClient returns a client that retries nothing, so that no cost hides in a retry.
func (r *rig) newClient(t *testing.T, key livemigration.Credentials) *livemigration.Client {
	t.Helper()
	client, err := livemigration.NewClient(key, livemigration.WithBaseURL(r.front.url()),
		livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 1}), livemigration.WithoutPacing())
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// job is what a caller has created.
type job struct {
	validation livemigration.ValidationID
	migration  livemigration.MigrationID
}

// operation is one of the eight operations, as one caller makes it.
type operation struct {
	name livemigrationtest.Operation
	call func(context.Context, *rig, *job) error
	log  []string // of the server, for the second call of a client: status and method of each request
}

var (
	read    = []string{"200 GET"}
	created = []string{"401 POST", "201 POST"}
)

// operations are in an order in which they all succeed: the jobs of each caller are created before they are read.
var operations = []operation{
	{livemigrationtest.CreateLinkToken, func(ctx context.Context, r *rig, _ *job) error {
		_, err := r.client.LinkTokens.Create(ctx, r.atlas.OrgID(), linkTokenRequest)
		return err
	}, created},
	{livemigrationtest.ListAvailableProjects, func(ctx context.Context, r *rig, _ *job) error {
		form := []livemigration.CallOption{livemigration.WithPretty(), livemigration.WithEnvelope()}
		_, err := r.client.AvailableProjects.List(ctx, r.atlas.OrgID(), form...)
		return err
	}, read},
	{livemigrationtest.CreateValidation, func(ctx context.Context, r *rig, j *job) error {
		validation, err := r.client.Validations.Create(ctx, r.atlas.ProjectID(), r.atlas.SampleRequest())
		if err == nil {
			j.validation = validation.ID
		}
		return err
	}, []string{"401 POST", "200 POST"}},
	{livemigrationtest.GetValidation, func(ctx context.Context, r *rig, j *job) error {
		_, err := r.client.Validations.Get(ctx, r.atlas.ProjectID(), j.validation, livemigration.WithPretty())
		return err
	}, read},
	{livemigrationtest.CreateMigration, func(ctx context.Context, r *rig, j *job) error {
		migration, err := r.client.Migrations.Create(ctx, r.atlas.ProjectID(), r.atlas.SampleRequest())
		if err == nil {
			j.migration = migration.ID
		}
		return err
	}, created},
	{livemigrationtest.GetMigration, func(ctx context.Context, r *rig, j *job) error {
		_, err := r.client.Migrations.Get(ctx, r.atlas.ProjectID(), j.migration, livemigration.WithEnvelope())
		return err
	}, read},
	{livemigrationtest.Cutover, func(ctx context.Context, r *rig, j *job) error {
		return r.client.Migrations.Cutover(ctx, r.atlas.ProjectID(), j.migration)
	}, []string{"401 PUT", "202 PUT"}},
	{livemigrationtest.DeleteLinkToken, func(ctx context.Context, r *rig, _ *job) error {
		err := r.client.LinkTokens.Delete(ctx, r.atlas.OrgID())
		if errors.Is(err, livemigration.ErrNotFound) {
			return nil // the first of several callers has deleted all link-tokens
		}
		return err
	}, []string{"401 DELETE", "204 DELETE"}},
}

// advance brings the jobs into the state that an operation needs, and forgets the requests.
func advance(t *testing.T, atlas *livemigrationtest.Server, op livemigrationtest.Operation) {
	t.Helper()
	switch op {
	case livemigrationtest.Cutover:
		atlas.Advance(atlas.Timings().Scheduling + atlas.Timings().InitialSync)
	case livemigrationtest.DeleteLinkToken:
		for _, m := range atlas.Migrations() {
			if !m.Status.Final() {
				require.NoError(t, atlas.FailMigration(m.ID)) // it would keep Atlas from deleting the link-tokens
			}
		}
	}
	atlas.ResetRequests()
}

// TestDigest makes all eight operations and compares the log of the server: a change costs its own challenge and itself,
// a read costs one request. The first read needs a challenge. A nonce that serves one request costs a read two.
func TestDigest(t *testing.T) {
	t.Parallel()
	for name, p := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p)
			res, err := r.front.probe()
			require.NoError(t, err)
			assert.Regexp(t, p.challenge, strings.Join(res.Header.Values("WWW-Authenticate"), "\n"))
			var want []string
			var j job
			hasNonce := false
			for _, op := range operations {
				advance(t, r.atlas, op.name)
				require.NoError(t, op.call(t.Context(), r, &j), op.name)
				assert.Len(t, r.atlas.Recorded(), 1)
				if len(op.log) == 1 && (!hasNonce || strings.Contains(name, "one-time")) {
					want = append(want, "401 GET")
					hasNonce = true
				}
				want = append(want, op.log...)
			}
			assert.ElementsMatch(t, want, r.front.logged())
		})
	}
}

// TestDigestTogether makes each operation from 20 callers at once, with one client. All changes succeed, since each has
// its own nonce, and each is processed once. A strict server takes counts in ascending order, and concurrent reads
// overtake each other, so there some reads are rejected.
func TestDigestTogether(t *testing.T) {
	t.Parallel()
	const callers = 20
	for name, p := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p)
			jobs := make([]job, callers)
			for _, op := range operations {
				advance(t, r.atlas, op.name)
				var succeeded atomic.Int64
				var group sync.WaitGroup
				for i := range jobs {
					group.Go(func() {
						err := op.call(t.Context(), r, &jobs[i])
						if len(op.log) == 1 && p.strict && errors.Is(err, livemigration.ErrUnauthorized) {
							return
						}
						assert.NoError(t, err, op.name)
						succeeded.Add(1)
					})
				}
				group.Wait()
				arrived := r.atlas.Recorded()
				assert.Positive(t, succeeded.Load())
				assert.EqualValues(t, succeeded.Load(), len(arrived), op.name)
				for _, req := range arrived {
					assert.Equal(t, op.name, req.Operation)
					assert.Equal(t, arrived[0].Body.Reveal(), req.Body.Reveal(), "all callers have sent the same body")
				}
			}
		})
	}
}

// TestNonceExpiry makes the nonce expire before each operation. A read then costs one more request. Nothing changes for a
// change.
func TestNonceExpiry(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		peer   peer
		expire func(*daemon)
	}{
		"Apache, restarted with another secret":  {peers["Apache"], (*daemon).restart},
		"Apache, reloaded":                       {peers["Apache"], reloadBy(syscall.SIGUSR1)},
		"lighttpd, restarted with another realm": {peers["lighttpd, SHA-256"], (*daemon).restart},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.peer)
			_, err := r.client.AvailableProjects.List(t.Context(), r.atlas.OrgID())
			require.NoError(t, err)
			want := []string{"401 GET", "200 GET"}
			var j job
			for _, op := range operations {
				advance(t, r.atlas, op.name)
				r.client.CloseIdleConnections() // the server may have closed them, which is another test's subject
				tt.expire(r.front)
				require.NoError(t, op.call(t.Context(), r, &j), op.name)
				assert.Len(t, r.atlas.Recorded(), 1)
				if len(op.log) == 1 {
					want = append(want, "401 GET")
				}
				want = append(want, op.log...)
			}
			assert.ElementsMatch(t, want, r.front.logged())
		})
	}
}

// TestWrongKeys makes sure that the servers check keys, and that a wrong key costs two requests.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	for name, p := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p)
			r.client = r.newClient(t, livemigration.APIKey(publicKey, "wrong"))
			j := job{"5f1a2b3c4d5e6f7081920b00", "5f1a2b3c4d5e6f7081920b01"}
			// At the same time, because lighttpd delays each response to a wrong key by a second.
			var group sync.WaitGroup
			for _, op := range operations {
				group.Go(func() { assert.ErrorIs(t, op.call(t.Context(), r, &j), livemigration.ErrUnauthorized, op.name) })
			}
			group.Wait()
			assert.Empty(t, r.atlas.Recorded())
			for _, line := range r.front.logged() {
				assert.Equal(t, "401", line[:3])
			}
		})
	}
}
