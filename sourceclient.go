package livemigration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/livemigration/livemigration-go/internal/response"
)

// SourceClient calls the Cloud Manager or Ops Manager that manages the source clusters. It is safe for concurrent use.
type SourceClient struct {
	MigrationLink *MigrationLinkService

	core *core
}

// NewSourceClient creates a client, usually with an [APIKey] of the source organization. It takes all options except
// [WithAPIVersion]. Default: Cloud Manager. For Ops Manager set [WithBaseURL], and for a private certificate authority
// [WithHTTPClient] (docs/calls.md).
func NewSourceClient(credentials Credentials, opts ...Option) (*SourceClient, error) {
	cfg := newConfig("NewSourceClient", opts)
	cfg.reject(cfg.versionSet, "WithAPIVersion is not supported by NewSourceClient")
	cfg.version = APIv1 // its media type is the source side's
	c, err := newCore(cfg, credentials, "/api/public/v1.0")
	if err != nil {
		return nil, err
	}
	return &SourceClient{MigrationLink: (*MigrationLinkService)(c), core: c}, nil
}

func (c *SourceClient) Format(f fmt.State, _ rune)            { c.core.format(f, "SourceClient") }
func (c *SourceClient) CloseIdleConnections()                 { c.core.closeIdle() }
func (c *SourceClient) RevokeToken(ctx context.Context) error { return c.core.revokeToken(ctx) }

// MigrationLinkService connects source organizations to Atlas.
type MigrationLinkService core

// MigrationLink is the one connection of a source organization to Atlas.
type MigrationLink struct {
	Status MigrationLinkStatus `json:"status"`
}

type MigrationLinkStatus string

const (
	MigrationLinkSynced    MigrationLinkStatus = "SYNCED" // connected
	MigrationLinkNotSynced MigrationLinkStatus = "NOT_SYNCED"
)

// Create connects a source organization to Atlas with the token of [LinkTokensService.Create]. If the outcome is
// unknown, call Status. Role: Organization Owner of the source organization.
//
// POST /orgs/{orgId}/liveExport/migrationLink
// https://www.mongodb.com/docs/cloud-manager/reference/api/cloud-migration/create-one-link/
func (s *MigrationLinkService) Create(ctx context.Context, orgID OrgID, token Secret, opts ...CallOption) (*MigrationLink, error) {
	return send[MigrationLink](ctx, (*core)(s), &createMigrationLink, []string{string(orgID)}, linkPayload(token), opts)
}

// Status reads whether a source organization is connected. Role: Organization Owner of the source organization.
//
// GET /orgs/{orgId}/liveExport/migrationLink/status
// https://www.mongodb.com/docs/cloud-manager/reference/api/cloud-migration/return-the-status/
func (s *MigrationLinkService) Status(ctx context.Context, orgID OrgID, opts ...CallOption) (*MigrationLink, error) {
	return send[MigrationLink](ctx, (*core)(s), &getMigrationLink, []string{string(orgID)}, nil, opts)
}

// Delete disconnects a source organization, and stops its migrations that are in progress. Role: Organization Owner of
// the source organization.
//
// DELETE /orgs/{orgId}/liveExport/migrationLink
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
