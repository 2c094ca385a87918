package interop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
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

// peer is a Digest server of another project, as a reverse proxy.
type peer struct {
	start func(t *testing.T, backend string) *daemon
	// challenge is what it must ask for, as a regular expression.
	challenge string
}

func lighttpdPeer(algorithms, challenge string) peer {
	return peer{
		func(t *testing.T, backend string) *daemon { return startLighttpd(t, backend, algorithms) }, challenge,
	}
}

func apachePeer(directives, challenge string) peer {
	return peer{
		func(t *testing.T, backend string) *daemon { return startApache(t, backend, directives) }, challenge,
	}
}

// peers are the servers as people run them.
var peers = map[string]peer{
	"lighttpd, MD5":             lighttpdPeer("MD5", `^Digest [^\n]*algorithm=MD5, [^\n]*qop="auth"$`),
	"lighttpd, SHA-256":         lighttpdPeer("SHA-256", `^Digest [^\n]*algorithm=SHA-256, [^\n]*qop="auth"$`),
	"lighttpd, SHA-256 and MD5": lighttpdPeer("MD5|SHA-256", `algorithm=SHA-256, [^\n]*\n.*algorithm=MD5, `),
	"Apache":                    apachePeer("", `^Digest [^\n]*algorithm=MD5, [^\n]*qop="auth"$`),
}

// rig is an Atlas that does not authenticate, a server before it that does, and a client whose requests are counted.
type rig struct {
	atlas  *livemigrationtest.Server
	front  *daemon
	wire   *http.Transport
	meter  *meter
	client *livemigration.Client
}

func newRig(t *testing.T, p peer) *rig {
	t.Helper()
	atlas := livemigrationtest.NewServer(livemigrationtest.WithoutAuthentication())
	t.Cleanup(atlas.Close)
	front := p.start(t, strings.TrimPrefix(atlas.URL(), "http://"))
	wire := &http.Transport{MaxIdleConnsPerHost: callers}
	t.Cleanup(wire.CloseIdleConnections)
	r := &rig{atlas: atlas, front: front, wire: wire, meter: &meter{base: wire}}
	r.client = r.newClient(t, privateKey)
	return r
}

// newClient returns a client that has not authenticated yet. It retries nothing, so that no cost hides in a retry.
func (r *rig) newClient(t *testing.T, private string) *livemigration.Client {
	t.Helper()
	client, err := livemigration.NewClient(livemigration.APIKey(publicKey, private),
		livemigration.WithBaseURL(r.front.url()), livemigration.WithHTTPClient(&http.Client{Transport: r.meter}),
		livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	return client
}

// callers is how many call at the same time.
const callers = 20

// job is what a caller has created.
type job struct {
	validation livemigration.ValidationID
	migration  livemigration.MigrationID
}

// operation is one of the eight operations, as one caller makes it.
type operation struct {
	name livemigrationtest.Operation
	call func(context.Context, *rig, *job) error
}

// operations are in an order in which they all succeed: the jobs of each caller are created before they are read.
var operations = []operation{
	{livemigrationtest.CreateLinkToken, func(ctx context.Context, r *rig, _ *job) error {
		addresses := livemigration.LinkTokenRequest{AccessListIPs: []string{"192.0.2.0/24"}}
		_, err := r.client.LinkTokens.Create(ctx, r.atlas.OrgID(), addresses)
		return err
	}},
	{livemigrationtest.ListAvailableProjects, func(ctx context.Context, r *rig, _ *job) error {
		form := []livemigration.CallOption{livemigration.WithPretty(), livemigration.WithEnvelope()}
		_, err := r.client.AvailableProjects.List(ctx, r.atlas.OrgID(), form...)
		return err
	}},
	{livemigrationtest.CreateValidation, func(ctx context.Context, r *rig, j *job) error {
		validation, err := r.client.Validations.Create(ctx, r.atlas.ProjectID(), largeRequest(r.atlas))
		if err == nil {
			j.validation = validation.ID
		}
		return err
	}},
	{livemigrationtest.GetValidation, func(ctx context.Context, r *rig, j *job) error {
		_, err := r.client.Validations.Get(ctx, r.atlas.ProjectID(), j.validation, livemigration.WithPretty())
		return err
	}},
	{livemigrationtest.CreateMigration, func(ctx context.Context, r *rig, j *job) error {
		migration, err := r.client.Migrations.Create(ctx, r.atlas.ProjectID(), largeRequest(r.atlas))
		if err == nil {
			j.migration = migration.ID
		}
		return err
	}},
	{livemigrationtest.GetMigration, func(ctx context.Context, r *rig, j *job) error {
		_, err := r.client.Migrations.Get(ctx, r.atlas.ProjectID(), j.migration, livemigration.WithEnvelope())
		return err
	}},
	{livemigrationtest.Cutover, func(ctx context.Context, r *rig, j *job) error {
		return r.client.Migrations.Cutover(ctx, r.atlas.ProjectID(), j.migration)
	}},
	{livemigrationtest.DeleteLinkToken, func(ctx context.Context, r *rig, _ *job) error {
		err := r.client.LinkTokens.Delete(ctx, r.atlas.OrgID())
		if errors.Is(err, livemigration.ErrNotFound) {
			return nil // the caller who came first has deleted the link-tokens of all
		}
		return err
	}},
}

// largeRequest is a request whose body, of some 30 KiB, does not fit what a server reads at once.
func largeRequest(atlas *livemigrationtest.Server) livemigration.MigrationRequest {
	req := atlas.SampleRequest()
	keys := livemigration.ShardKeys{Key: []livemigration.ShardKeyField{
		{Field: "location", Order: livemigration.Ascending}, {Field: "region", Order: livemigration.Hashed},
	}}
	req.Sharding = &livemigration.Sharding{}
	for i := range 300 {
		entry := livemigration.ShardEntry{Database: "shop", Collection: fmt.Sprintf("orders%d", i), ShardCollection: keys}
		req.Sharding.Entries = append(req.Sharding.Entries, entry)
	}
	return req
}

// together makes one call for each of the jobs, all at the same time, and returns what each has cost in requests. All
// calls must succeed, and each must reach Atlas once.
func (r *rig) together(t *testing.T, op operation, jobs []job) []int {
	t.Helper()
	switch op.name {
	case livemigrationtest.Cutover:
		timings := r.atlas.Timings()
		r.atlas.Advance(timings.Scheduling + timings.InitialSync)
	case livemigrationtest.DeleteLinkToken:
		endMigrations(t, r.atlas)
	}
	r.atlas.ResetRequests()
	costs, start := make([]int, len(jobs)), make(chan struct{})
	var group sync.WaitGroup
	for i := range jobs {
		group.Go(func() {
			ctx, cost := withCost(t.Context())
			<-start
			assert.NoError(t, op.call(ctx, r, &jobs[i]), op.name)
			costs[i] = int(cost.Load())
		})
	}
	close(start)
	group.Wait()
	arrived := r.atlas.Recorded()
	assert.Len(t, arrived, len(jobs), op.name)
	for _, req := range arrived {
		assert.Equal(t, op.name, req.Operation)
		assert.Equal(t, arrived[0].Body.Reveal(), req.Body.Reveal(), "all callers have sent the same body")
	}
	return costs
}

// endMigrations ends what would keep Atlas from deleting the link-tokens.
func endMigrations(t *testing.T, atlas *livemigrationtest.Server) {
	t.Helper()
	for _, m := range atlas.Migrations() {
		if !m.Status.Final() {
			require.NoError(t, atlas.FailMigration(m.ID))
		}
	}
}

// sum adds up costs.
func sum(costs []int) int {
	total := 0
	for _, cost := range costs {
		total += cost
	}
	return total
}
