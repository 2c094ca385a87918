package livemigration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/livemigration/livemigration-go/internal/response"
)

// SourceClient calls the Cloud Manager or Ops Manager that runs the cluster to be copied. It is safe for concurrent
// use.
type SourceClient struct {
	MigrationLink *MigrationLinkService

	core *core
}

// NewSourceClient returns a client of the source side, usually with an [APIKey] of the source organization. It takes
// the options of [NewClient] but [WithAPIVersion]. The default is Cloud Manager; Ops Manager needs [WithBaseURL]. For your
// own certificate authority:
//
//	transport := http.DefaultTransport.(*http.Transport).Clone() // keeps HTTPS_PROXY
//	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
//	source, err := NewSourceClient(key, WithBaseURL(url), WithHTTPClient(&http.Client{Transport: transport}))
func NewSourceClient(credentials Credentials, opts ...Option) (*SourceClient, error) {
	cfg := newConfig("NewSourceClient", opts)
	cfg.reject(cfg.versionSet, "WithAPIVersion is not supported by NewSourceClient")
	c, err := newCore(cfg, credentials, sourceAPI)
	if err != nil {
		return nil, err
	}
	return &SourceClient{MigrationLink: (*MigrationLinkService)(c), core: c}, nil
}

// Format does what [Client.Format] does.
func (c *SourceClient) Format(f fmt.State, _ rune) { c.core.format(f, "SourceClient") }

// CloseIdleConnections does what [Client.CloseIdleConnections] does.
func (c *SourceClient) CloseIdleConnections() { c.core.closeIdle() }

// RevokeToken does what [Client.RevokeToken] does.
func (c *SourceClient) RevokeToken(ctx context.Context) error { return c.core.revokeToken(ctx) }

// MigrationLinkService connects source organizations to Atlas. Each has one link.
type MigrationLinkService core

// MigrationLink is the connection of a source organization to Atlas.
type MigrationLink struct {
	Status MigrationLinkStatus `json:"status"`
}

// MigrationLinkStatus is the state of a link. Unknown values are kept.
type MigrationLinkStatus string

const (
	// MigrationLinkSynced: the organization is connected.
	MigrationLinkSynced MigrationLinkStatus = "SYNCED"
	// MigrationLinkNotSynced: the organization is not connected.
	MigrationLinkNotSynced MigrationLinkStatus = "NOT_SYNCED"
)

// Create connects a source organization to Atlas with a token of [LinkTokensService.Create]. It needs the role
// Organization Owner there. After an [*OutcomeUnknownError], Status tells whether it is connected.
//
// POST /orgs/{orgId}/liveExport/migrationLink
//
// https://www.mongodb.com/docs/cloud-manager/reference/api/cloud-migration/create-one-link/
func (s *MigrationLinkService) Create(ctx context.Context, orgID OrgID, token Secret, opts ...CallOption) (*MigrationLink, error) {
	return send[MigrationLink](ctx, (*core)(s), &createMigrationLink, []string{string(orgID)}, linkPayload(token), opts)
}

// Status reads whether a source organization is connected. It needs the role Organization Owner there.
//
// GET /orgs/{orgId}/liveExport/migrationLink/status
//
// https://www.mongodb.com/docs/cloud-manager/reference/api/cloud-migration/return-the-status/
func (s *MigrationLinkService) Status(ctx context.Context, orgID OrgID, opts ...CallOption) (*MigrationLink, error) {
	return send[MigrationLink](ctx, (*core)(s), &getMigrationLink, []string{string(orgID)}, nil, opts)
}

// Delete disconnects a source organization, and stops its migrations that still run. It needs the role Organization
// Owner there.
//
// DELETE /orgs/{orgId}/liveExport/migrationLink
//
// https://www.mongodb.com/docs/cloud-manager/reference/api/cloud-migration/delete-one-link/
func (s *MigrationLinkService) Delete(ctx context.Context, orgID OrgID, opts ...CallOption) error {
	return (*core)(s).do(ctx, &deleteMigrationLink, []string{string(orgID)}, nil, opts, nil)
}

func (l *MigrationLink) UnmarshalJSON(data []byte) error {
	type plain MigrationLink
	return response.Decode(data, (*plain)(l))
}

func (l *MigrationLink) check(string) (id string, err error) {
	if l.Status == "" {
		return "", errors.New("no status in it")
	}
	return "", nil
}

// linkPayload is the body that connects an organization.
type linkPayload Secret

func (p linkPayload) violations(APIVersion) []FieldViolation {
	var c checker
	c.require("linkToken", string(p))
	return c.found
}

func (p linkPayload) encode(APIVersion) (body []byte, secrets []string, err error) {
	body, err = json.Marshal(map[string]string{"linkToken": string(p)})
	return body, []string{string(p)}, err
}

func (linkPayload) unknown(organization string) string {
	return "organization " + organization + " may have been connected; call MigrationLink.Status before you connect it again"
}
