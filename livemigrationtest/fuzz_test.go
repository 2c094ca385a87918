package livemigrationtest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// A body is carried out or rejected with an error that says where, and never more than that.
func FuzzRequestBodies(f *testing.F) {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithoutAuthentication())
	defer srv.Close()
	for _, version := range bothVersions {
		f.Add(version == v2Prefix, []byte(migrationBody(srv, version)))
	}
	for _, body := range []string{"", "{", "null", "[]", `{"source":null}`, `{"source":{"groupId":1}}`, `{"a":{"a":{"a":[[[]]]}}}`, `{"sharding":{"shardingEntries":[{"shardCollection":{"key":[{"a":1e999}]}}]}}`, "{\"\xff\":1}", `{"source":{},"source":{}}`} {
		f.Add(true, []byte(body))
		f.Add(false, []byte(body))
	}
	f.Fuzz(func(t *testing.T, v2 bool, body []byte) {
		version := v1Prefix
		if v2 {
			version = v2Prefix
		}
		req := endpoint(srv, livemigrationtest.CreateValidation, version, "")
		req.body = string(body)
		res := send(t, srv, req)
		if res.status/100 == 2 {
			return
		}
		require.Contains(t, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, res.status)
		require.NotEmpty(t, res.object(t)["errorCode"])
	})
}

// What the client's own checks let pass, the server accepts: neither knows a rule that the other does not.
func FuzzClientRejectsWhatServerWould(f *testing.F) {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithoutAuthentication())
	defer srv.Close()
	for _, version := range bothVersions {
		f.Add([]byte(migrationBody(srv, version)), "192.0.2.1")
	}
	f.Add([]byte(`{"source":{"groupId":"9b43a5b329223c3a1591a678","clusterName":"a","managedAuthentication":true,"ssl":true,"caCertificatePath":"/ca"},"destination":{"clusterName":"\u0000","hostnameSchemaType":"PRIVATE_LINK","privateLinkId":" "},"migrationHosts":["h"],"sharding":{"createSupportingIndexes":true,"shardingEntries":[{"database":"d","collection":"c","shardCollection":{"key":[{"a":1},{"b.c":"hashed"}]}}]}}`), "2001:db8::/32")
	var clients []*livemigration.Client
	for _, version := range []livemigration.APIVersion{livemigration.APIv2, livemigration.APIv1} {
		client, err := srv.NewClient(livemigration.WithAPIVersion(version))
		require.NoError(f, err)
		clients = append(clients, client)
	}
	f.Fuzz(func(t *testing.T, body []byte, address string) {
		var request livemigration.MigrationRequest
		if json.Unmarshal(body, &request) != nil {
			return
		}
		request.Destination.ProjectID = ""
		for _, client := range clients {
			_, err := client.Validations.Create(t.Context(), srv.ProjectID(), request)
			if err != nil && !errors.Is(err, livemigration.ErrInvalidRequest) {
				t.Fatalf("the server rejects what the client sent: %v", err)
			}
			_, err = client.LinkTokens.Create(t.Context(), srv.OrgID(), livemigration.LinkTokenRequest{AccessListIPs: []string{address}})
			if err != nil && !errors.Is(err, livemigration.ErrInvalidRequest) {
				t.Fatalf("the server rejects what the client sent: %v", err)
			}
		}
	})
}

// Made-up credentials are rejected with a challenge, whatever they are.
func FuzzAuthorization(f *testing.F) {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	req := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	for _, header := range []string{`Digest username="u", realm="MMS Public API", nonce="n", uri="/", algorithm=MD5, cnonce="c", qop=auth, nc=00000001, response="00000000000000000000000000000000"`, "Digest", "Digest realm", `Digest username="`, `Digest nc=00000001, nc=00000002`, "Basic YTpi", "Bearer x", `Digest username="a\`, "Digest ,,,=,"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return // does not get through net/http
		}
		res := send(t, srv, req.with("Authorization", header))
		if res.status != http.StatusUnauthorized || res.header.Get("WWW-Authenticate") == "" {
			t.Fatalf("status %d", res.status)
		}
	})
}

// Whoever asks for a token in another way than the one that is right gets none.
func FuzzTokenRequests(f *testing.F) {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	own := ownAccount(srv)
	for _, body := range []string{grant, "", "grant_type", "&&" + grant + "&", "grant_type=client%5Fcredentials", "grant_type=%", "a;b", "\x00=\xff"} {
		f.Add(mediaForm, body)
		f.Add("application/x-www-form-urlencoded; a=b; a", body)
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		if strings.ContainsFunc(contentType, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return // does not get through net/http
		}
		srv.ExpireTokens()
		res := send(t, srv, own.ask(tokenPath, body).with("Content-Type", contentType))
		form, err := url.ParseQuery(body)
		right := err == nil && len(form) == 1 && len(form["grant_type"]) == 1 && form.Get("grant_type") == "client_credentials"
		if res.status == http.StatusOK {
			require.True(t, right, body)
			require.Equal(t, 1, srv.LiveTokenCount())
			return
		}
		require.Equal(t, http.StatusBadRequest, res.status)
		require.NotEmpty(t, res.object(t)["error"])
		require.Zero(t, srv.LiveTokenCount())
	})
}
