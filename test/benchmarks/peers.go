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
	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go"
)

// The peers are ways to make the calls, in the order of every round.
const (
	peerBare     = "bare"
	peerOurs     = "ours"
	peerToken    = "ours, with a token"
	peerIcholy   = "icholy"
	peerOfficial = "official"
)

var peers = []string{peerBare, peerOurs, peerToken, peerIcholy, peerOfficial}

// call is one call, with its response decoded.
type call func(context.Context) error

// client is a peer that knows its server.
type client struct{ read, create call }

func connect(peer, url string, transport http.RoundTripper) (*client, error) {
	switch peer {
	case peerBare:
		return connectPlain(url, &http.Client{Transport: transport}, "Bearer "+token), nil
	case peerIcholy:
		digest := &icholy.Transport{Username: publicKey, Password: privateKey, Transport: transport}
		return connectPlain(url, &http.Client{Transport: digest}, ""), nil
	case peerOurs:
		return connectOurs(url, transport, livemigration.APIKey(publicKey, privateKey))
	case peerToken:
		return connectOurs(url, transport, livemigration.TokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})))
	default:
		return connectOfficial(url, transport)
	}
}

var errNotDecoded = errors.New("the migration has not been decoded")

func newOurs(url string, transport http.RoundTripper, credentials livemigration.Credentials) (*livemigration.Client, error) {
	return livemigration.NewClient(credentials, livemigration.WithBaseURL(url),
		livemigration.WithHTTPClient(&http.Client{Transport: transport}), livemigration.WithoutPacing())
}

func connectOurs(url string, transport http.RoundTripper, credentials livemigration.Credentials) (*client, error) {
	c, err := newOurs(url, transport, credentials)
	if err != nil {
		return nil, err
	}
	check := func(m *livemigration.Migration, err error) error {
		if err == nil && !decoded(string(m.ID), m.MigrationHosts) {
			err = errNotDecoded
		}
		return err
	}
	return &client{
		read:   func(ctx context.Context) error { return check(c.Migrations.Get(ctx, projectID, migrationID)) },
		create: func(ctx context.Context) error { return check(c.Migrations.Create(ctx, projectID, request)) },
	}, nil
}

var request = livemigration.MigrationRequest{
	Source: livemigration.Source{
		ProjectID: "9b43a5b329223c3a1591a678", ClusterName: "orders", Username: "migration", Password: "a password",
		SSL: true, CACertificatePath: "/etc/mongodb/ca.pem",
	},
	Destination:    livemigration.Destination{ClusterName: "Cluster0"},
	MigrationHosts: []string{"vm001.example.com"},
}

// connectPlain is what a program with net/http alone does: no checks, no timeout, and a body that is ready.
func connectPlain(url string, hc *http.Client, authorization string) *client {
	body := []byte(`{"source":{"groupId":"9b43a5b329223c3a1591a678","clusterName":"orders","username":"migration","password":"a password",` +
		`"ssl":true,"caCertificatePath":"/etc/mongodb/ca.pem","managedAuthentication":false},"destination":{"groupId":"` + projectID +
		`","clusterName":"Cluster0","hostnameSchemaType":"PUBLIC"},"migrationHosts":["vm001.example.com"],"dropDestinationData":false}`)
	send := func(ctx context.Context, method, path string, body []byte) error {
		var content io.Reader
		if body != nil {
			content = bytes.NewReader(body)
		}
		req, err := http.NewRequestWithContext(ctx, method, url+path, content)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "application/vnd.atlas.2023-01-01+json")
		if body != nil {
			req.Header.Set("Content-Type", "application/vnd.atlas.2024-05-30+json")
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := hc.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
		var m struct {
			ID              string   `json:"_id"`
			Status          string   `json:"status"`
			ReadyForCutover bool     `json:"readyForCutover"`
			MigrationHosts  []string `json:"migrationHosts"`
			LagTimeSeconds  *int64   `json:"lagTimeSeconds,omitempty"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
			return err
		}
		if !decoded(m.ID, m.MigrationHosts) {
			return errNotDecoded
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return &client{
		read:   func(ctx context.Context) error { return send(ctx, http.MethodGet, apiPath("v2")+"/"+migrationID, nil) },
		create: func(ctx context.Context) error { return send(ctx, http.MethodPost, apiPath("v2"), body) },
	}
}

// connectOfficial knows v1.0 only.
func connectOfficial(url string, transport http.RoundTripper) (*client, error) {
	hc, err := forks.NewTransportWithHTTPRoundTripper(publicKey, privateKey, transport).Client()
	if err != nil {
		return nil, err
	}
	c, err := mongodbatlas.New(hc, mongodbatlas.SetBaseURL(url+"/"))
	if err != nil {
		return nil, err
	}
	yes, no := true, false
	theirs := &mongodbatlas.LiveMigration{
		Source: &mongodbatlas.Source{
			GroupID: "9b43a5b329223c3a1591a678", ClusterName: "orders", Username: "migration", Password: "a password",
			SSL: &yes, CACertificatePath: "/etc/mongodb/ca.pem", ManagedAuthentication: &no,
		},
		Destination:    &mongodbatlas.Destination{GroupID: projectID, ClusterName: "Cluster0"},
		MigrationHosts: []string{"vm001.example.com"}, DropEnabled: &no,
	}
	check := func(m *mongodbatlas.LiveMigration, _ *mongodbatlas.Response, err error) error {
		if err == nil && !decoded(m.ID, m.MigrationHosts) {
			err = errNotDecoded
		}
		return err
	}
	return &client{
		read:   func(ctx context.Context) error { return check(c.LiveMigration.Get(ctx, projectID, migrationID)) },
		create: func(ctx context.Context) error { return check(c.LiveMigration.Create(ctx, projectID, theirs)) },
	}, nil
}
