package livemigration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/livemigration/livemigration-go/internal/response"
)

type LinkTokensService core

type LinkTokenRequest struct {
	// AccessListIPs are IP addresses and CIDR blocks from which the token may be used. [APIv1] requires one.
	AccessListIPs []string `json:"accessListIps,omitempty"`
}

// LinkToken is for [MigrationLinkService.Create], or for pasting into Cloud Manager or Ops Manager.
type LinkToken struct {
	Token Secret `json:"linkToken"`
}

// Create creates a link-token of an Atlas organization, for one source organization. Atlas does not show it again.
// Role: Organization Owner.
//
// POST /orgs/{orgId}/liveMigrations/linkTokens
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-createorglivemigrationlinktoken
func (s *LinkTokensService) Create(ctx context.Context, orgID OrgID, req LinkTokenRequest, opts ...CallOption) (*LinkToken, error) {
	return send[LinkToken](ctx, (*core)(s), &createLinkToken, []string{string(orgID)}, req, opts)
}

// Delete deletes the organization's link and the API key behind it. The error is [ErrConflict] while a migration of the
// organization is active, [ErrNotFound] without a link. Role: Organization Owner.
//
// DELETE /orgs/{orgId}/liveMigrations/linkTokens
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-deleteorglivemigrationlinktokens
func (s *LinkTokensService) Delete(ctx context.Context, orgID OrgID, opts ...CallOption) error {
	return (*core)(s).do(ctx, &deleteLinkToken, []string{string(orgID)}, nil, opts, nil)
}

func (r LinkTokenRequest) violations(v APIVersion) []FieldViolation {
	if v == APIv1 && len(r.AccessListIPs) == 0 {
		return []FieldViolation{{"accessListIps", "is required in API v1.0: at least one IP address or CIDR block"}}
	}
	var found []FieldViolation
	for i, entry := range r.AccessListIPs {
		addr, notAddress := netip.ParseAddr(entry)
		if _, notBlock := netip.ParsePrefix(entry); notBlock != nil && (notAddress != nil || addr.Zone() != "") {
			found = append(found, FieldViolation{fmt.Sprintf("accessListIps[%d]", i),
				`must be an IP address such as "192.0.2.10" or a CIDR block such as "198.51.100.0/24"`})
		}
	}
	return found
}

func (r LinkTokenRequest) encode(APIVersion) (body []byte, secrets []string, err error) {
	body, err = json.Marshal(r)
	return body, nil, err
}

func (LinkTokenRequest) unknown(organization string) string {
	return "Atlas may have created a link-token of organization " + organization + "; check the Atlas UI before you create another one"
}

func (t *LinkToken) UnmarshalJSON(data []byte) error { // the documentation of v1.0 shows the token, or the response, as an array
	var list response.Strings
	if json.Unmarshal(data, &list) != nil || list == nil {
		var body struct {
			LinkToken response.Strings `json:"linkToken"`
		}
		if err := json.Unmarshal(data, &body); err != nil {
			return err
		}
		list = body.LinkToken
	}
	if len(list) > 1 {
		return errors.New("more than one linkToken")
	}
	t.Token = Secret(strings.Join(list, "")) // of one at most
	return nil
}

func (t *LinkToken) check(string) (id string, err error) {
	if t.Token == "" {
		return "", errors.New("no linkToken in it")
	}
	return "", nil
}
