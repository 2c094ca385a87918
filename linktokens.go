package livemigration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/livemigration/livemigration-go/internal/endpoint"
)

// LinkTokensService creates and deletes link-tokens, which connect source organizations to Atlas.
type LinkTokensService struct{ core *core }

// LinkTokenRequest says who may use a link-token.
type LinkTokenRequest struct {
	// AccessListIPs are IP addresses and CIDR blocks, such as "192.0.2.10" or "198.51.100.0/24". [APIv1] requires one.
	AccessListIPs []string `json:"accessListIps,omitempty"`
}

// LinkToken connects a source organization to an Atlas organization.
type LinkToken struct {
	// Token is for [MigrationLinkService.Create], or to be pasted into Cloud Manager or Ops Manager.
	Token Secret `json:"linkToken"`
}

// Create creates a link-token for an Atlas organization, one for each source organization. Atlas does not show it
// again. It needs the role Organization Owner. The error is an [*OutcomeUnknownError] when the request may have been
// carried out.
//
// POST /orgs/{orgId}/liveMigrations/linkTokens
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-createorglivemigrationlinktoken
func (s *LinkTokensService) Create(ctx context.Context, orgID OrgID, req LinkTokenRequest, opts ...CallOption) (*LinkToken, error) {
	return send[LinkToken](ctx, s.core, &endpoint.CreateLinkToken, []identifier{orgID}, req, opts)
}

// Delete deletes the organization's link and the API key behind it. It needs the role Organization Owner. While a
// migration of the organization is active, Atlas rejects it with [ErrConflict]. Without a link it is [ErrNotFound].
//
// DELETE /orgs/{orgId}/liveMigrations/linkTokens
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-deleteorglivemigrationlinktokens
func (s *LinkTokensService) Delete(ctx context.Context, orgID OrgID, opts ...CallOption) error {
	return s.core.do(ctx, &endpoint.DeleteLinkToken, []identifier{orgID}, nil, opts, nil)
}

func (r LinkTokenRequest) violations(v APIVersion) []FieldViolation {
	if v == APIv1 && len(r.AccessListIPs) == 0 {
		return []FieldViolation{{"accessListIps", "is required in API v1.0: at least one IP address or CIDR block"}}
	}
	var found []FieldViolation
	for i, entry := range r.AccessListIPs {
		if !isAddressOrBlock(entry) {
			found = append(found, FieldViolation{fmt.Sprintf("accessListIps[%d]", i),
				`must be an IP address such as "192.0.2.10" or a CIDR block such as "198.51.100.0/24"`})
		}
	}
	return found
}

func (r LinkTokenRequest) encode(APIVersion) ([]byte, error) { return json.Marshal(r) }

func (LinkTokenRequest) secrets() []string { return nil }

func (LinkTokenRequest) lookFor(ids []identifier) string {
	return "a link-token of organization " + ids[0].segment() + " may have been created, look in Atlas before you create one again"
}

func isAddressOrBlock(s string) bool {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Zone() == ""
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// UnmarshalJSON also reads the forms in the documentation of v1.0, where the token or the response is an array.
func (t *LinkToken) UnmarshalJSON(data []byte) error {
	var list stringList
	if json.Unmarshal(data, &list) == nil {
		return t.set(list)
	}
	var body struct {
		LinkToken stringList `json:"linkToken"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return err
	}
	return t.set(body.LinkToken)
}

func (t *LinkToken) set(tokens []string) error {
	if len(tokens) > 1 {
		return errors.New("more than one linkToken")
	}
	t.Token = ""
	if len(tokens) == 1 {
		t.Token = Secret(tokens[0])
	}
	return nil
}

func (t *LinkToken) check(string) error {
	if t.Token == "" {
		return errors.New("no linkToken in it")
	}
	return nil
}

// stringList reads a JSON array of strings, or one string in its place.
type stringList []string

func (l *stringList) UnmarshalJSON(data []byte) error {
	var one string
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &one); err != nil {
			return err
		}
		*l = stringList{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return err
	}
	*l = many
	return nil
}
