package benchmarks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	icholy "github.com/icholy/digest"
	forks "github.com/mongodb-forks/digest"
	"go.mongodb.org/atlas/mongodbatlas"

	"github.com/livemigration/livemigration-go"
)

// peer is one way to make the calls.
type peer struct {
	name    string
	connect func(*site, transport) (*client, error)
}

// The names of the peers. The first one is what the others are measured against.
const (
	peerBare     = "bare"
	peerOurs     = "ours"
	peerIcholy   = "icholy"
	peerOfficial = "official"

	// programRequired is no peer, but a program for the sizes.
	programRequired = "required"
)

// peers are in the order of every round.
var peers = []peer{
	{peerBare, connectBare},
	{peerOurs, connectOurs},
	{peerIcholy, connectIcholy},
	{peerOfficial, connectOfficial},
}

// call is one call, with its response decoded.
type call func(context.Context) error

// client is a peer that knows its server. A nil call is one that the peer does not have.
type client struct {
	read, create, createSharded, list call
	// prepare makes ready what n calls need, nil when there is nothing.
	prepare func(n int)
}

func connectOurs(s *site, t transport) (*client, error) {
	c, err := livemigration.NewClient(livemigration.APIKey(s.username, s.password),
		livemigration.WithBaseURL(s.url),
		livemigration.WithHTTPClient(&http.Client{Transport: t}),
		livemigration.WithRetryPolicy(livemigration.RetryPolicy{BaseBackoff: 1, MaxBackoff: 1}))
	if err != nil {
		return nil, err
	}
	org, project := livemigration.OrgID(s.org), livemigration.ProjectID(s.project)
	create := func(request livemigration.MigrationRequest) call {
		return func(ctx context.Context) error {
			m, err := c.Migrations.Create(ctx, project, request)
			if err != nil {
				return err
			}
			return checkMigration(string(m.ID), m.MigrationHosts)
		}
	}
	return &client{
		read: func(ctx context.Context) error {
			m, err := c.Migrations.Get(ctx, project, livemigration.MigrationID(s.migration))
			if err != nil {
				return err
			}
			return checkMigration(string(m.ID), m.MigrationHosts)
		},
		create:        create(usualRequest()),
		createSharded: create(shardedRequest()),
		list: func(ctx context.Context) error {
			projects, err := c.AvailableProjects.List(ctx, org)
			if err != nil {
				return err
			}
			return checkList(len(projects), len(projects[0].Deployments))
		},
	}, nil
}

// connectBare is the floor: no digest to compute, no body to encode, nothing checked.
func connectBare(s *site, t transport) (*client, error) {
	return newPlainClient(s, &http.Client{Transport: t}, true)
}

// connectIcholy is the floor with a transport that authenticates. Its body too is ready.
func connectIcholy(s *site, t transport) (*client, error) {
	return newPlainClient(s, &http.Client{Transport: &icholy.Transport{
		Username: s.username, Password: s.password, Transport: t,
	}}, false)
}

// endpoint is what a program with net/http alone knows about one call.
type endpoint struct {
	http                   *http.Client
	method, url, mediaType string
	body                   []byte
	authorization          *readyHeaders // nil when the transport authenticates
	expectedStatus         int
}

func newPlainClient(s *site, hc *http.Client, ready bool) (*client, error) {
	recorded, err := recordedBodies()
	if err != nil {
		return nil, err
	}
	body := recorded.to(s.project)
	var headers []*readyHeaders
	endpointFor := func(method, path, mediaType string, body []byte, status int) *endpoint {
		e := &endpoint{http: hc, method: method, url: s.url + path, mediaType: mediaType, body: body, expectedStatus: status}
		if ready {
			e.authorization = &readyHeaders{counter: s.counter, method: method, uri: path}
			headers = append(headers, e.authorization)
		}
		return e
	}
	const older, newer = "application/vnd.atlas.2023-01-01+json", "application/vnd.atlas.2024-05-30+json"
	read := endpointFor(http.MethodGet, s.readPath("v2"), older, nil, http.StatusOK)
	list := endpointFor(http.MethodGet, s.listPath("v2"), older, nil, http.StatusOK)
	create := endpointFor(http.MethodPost, s.createPath("v2"), newer, body.usual, http.StatusCreated)
	sharded := endpointFor(http.MethodPost, s.createPath("v2"), newer, body.sharded, http.StatusCreated)
	one := func(e *endpoint) call {
		return func(ctx context.Context) error {
			var m migration
			if err := e.send(ctx, &m); err != nil {
				return err
			}
			return checkMigration(m.ID, m.MigrationHosts)
		}
	}
	return &client{
		read: one(read), create: one(create), createSharded: one(sharded),
		list: func(ctx context.Context) error {
			var projects []project
			if err := list.send(ctx, &projects); err != nil {
				return err
			}
			return checkList(len(projects), len(projects[0].Deployments))
		},
		prepare: func(n int) {
			for _, h := range headers {
				h.prepare(n)
			}
		},
	}, nil
}

// send makes the request, and retries it while it is rejected with 429.
func (e *endpoint) send(ctx context.Context, into any) error {
	for {
		status, err := e.attempt(ctx, into)
		if err != nil || status == e.expectedStatus {
			return err
		}
		if status != http.StatusTooManyRequests {
			return fmt.Errorf("%s %s: status %d", e.method, e.url, status)
		}
	}
}

func (e *endpoint) attempt(ctx context.Context, into any) (status int, err error) {
	var body io.Reader
	if e.body != nil {
		body = bytes.NewReader(e.body)
	}
	req, err := http.NewRequestWithContext(ctx, e.method, e.url, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", e.mediaType)
	if e.body != nil {
		req.Header.Set("Content-Type", e.mediaType)
	}
	if e.authorization != nil {
		req.Header.Set("Authorization", e.authorization.value())
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == e.expectedStatus {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			return 0, err
		}
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// connectOfficial knows v1.0 only, which has neither sharding nor, in this client, the list.
func connectOfficial(s *site, t transport) (*client, error) {
	hc, err := forks.NewTransportWithHTTPRoundTripper(s.username, s.password, t).Client()
	if err != nil {
		return nil, err
	}
	c, err := mongodbatlas.New(hc, mongodbatlas.SetBaseURL(s.url+"/"))
	if err != nil {
		return nil, err
	}
	yes, no := true, false
	ours := usualRequest()
	request := &mongodbatlas.LiveMigration{
		Source: &mongodbatlas.Source{
			GroupID: string(ours.Source.ProjectID), ClusterName: ours.Source.ClusterName,
			Username: ours.Source.Username, Password: ours.Source.Password.Reveal(),
			SSL: &yes, CACertificatePath: ours.Source.CACertificatePath, ManagedAuthentication: &no,
		},
		Destination:    &mongodbatlas.Destination{GroupID: s.project, ClusterName: ours.Destination.ClusterName},
		MigrationHosts: hosts, DropEnabled: &no,
	}
	return &client{
		read: unlessRejected(func(ctx context.Context) (*mongodbatlas.LiveMigration, *mongodbatlas.Response, error) {
			return c.LiveMigration.Get(ctx, s.project, s.migration)
		}),
		create: unlessRejected(func(ctx context.Context) (*mongodbatlas.LiveMigration, *mongodbatlas.Response, error) {
			return c.LiveMigration.Create(ctx, s.project, request)
		}),
	}, nil
}

// unlessRejected calls again after a 429, which this client leaves to its user.
func unlessRejected(f func(context.Context) (*mongodbatlas.LiveMigration, *mongodbatlas.Response, error)) call {
	return func(ctx context.Context) error {
		m, resp, err := f(ctx)
		for err != nil && resp != nil && resp.StatusCode == http.StatusTooManyRequests {
			m, resp, err = f(ctx)
		}
		if err != nil {
			return err
		}
		return checkMigration(m.ID, m.MigrationHosts)
	}
}

// checkMigration and checkList make sure that a fast peer has not skipped its work.
func checkMigration(id string, hosts []string) error {
	if id == "" || len(hosts) == 0 {
		return errors.New("the migration has not been decoded")
	}
	return nil
}

func checkList(projects, deployments int) error {
	if projects != sourceProjects || deployments != deploymentsPerProject {
		return fmt.Errorf("%d projects with %d deployments have been decoded", projects, deployments)
	}
	return nil
}
