package livemigrationtest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	missing  = "MISSING_ATTRIBUTE"
	invalid  = "INVALID_ATTRIBUTE"
	conflict = "VALIDATION_ERROR"
)

func TestLinkTokenRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body   string
		v2, v1 []string // fields; nil: valid
	}{
		"addresses and blocks": {`{"accessListIps":["192.0.2.10","198.51.100.0/24","2001:db8::1","2001:db8::/32"]}`, nil, nil},
		"left out":             {`{}`, nil, []string{"accessListIps"}},
		"empty":                {`{"accessListIps":[]}`, nil, []string{"accessListIps"}},
		"null":                 {`{"accessListIps":null}`, []string{"accessListIps"}, []string{"accessListIps"}},
		"a string":             {`{"accessListIps":"192.0.2.10"}`, []string{"accessListIps"}, []string{"accessListIps"}},
		"a name":               {`{"accessListIps":["192.0.2.1","example.com"]}`, []string{"accessListIps[1]"}, []string{"accessListIps[1]"}},
		"a block too large":    {`{"accessListIps":["192.0.2.0/33"]}`, []string{"accessListIps[0]"}, []string{"accessListIps[0]"}},
		"a zone":               {`{"accessListIps":["fe80::1%eth0"]}`, []string{"accessListIps[0]"}, []string{"accessListIps[0]"}},
		"a number":             {`{"accessListIps":[1]}`, []string{"accessListIps[0]"}, []string{"accessListIps[0]"}},
		"response's members":   {`{"accessListIps":["192.0.2.1"],"_id":null,"links":[]}`, nil, nil},
		"unknown field":        {`{"accessListIps":["192.0.2.1"],"name":"x"}`, []string{"name"}, []string{"name"}},
	}
	for name, tt := range tests {
		for version, fields := range map[string][]string{v2Prefix: tt.v2, v1Prefix: tt.v1} {
			t.Run(name+" "+version, func(t *testing.T) {
				t.Parallel()
				srv := newOpenServer(t)
				r := endpoint(srv, livemigrationtest.CreateLinkToken, version, "")
				r.body = tt.body
				res := send(t, srv, r)
				if fields == nil {
					assert.Less(t, res.status, 300, res.body)
					assert.Equal(t, 1, srv.LinkTokenCount())
					return
				}
				assert.Equal(t, http.StatusBadRequest, res.status)
				assert.Equal(t, fields, res.fields(t))
				assert.Zero(t, srv.LinkTokenCount())
			})
		}
	}
}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body   string
		status int
		code   string
	}{
		"none":             {"", 400, "INVALID_JSON"},
		"not JSON":         {"accessListIps=x", 400, "INVALID_JSON"},
		"half":             {`{"accessListIps":["192.0.2.1"]`, 400, "INVALID_JSON"},
		"trailing garbage": {`{"accessListIps":["192.0.2.1"]} x`, 400, "INVALID_JSON"},
		"two values":       {`{"accessListIps":["192.0.2.1"]}{}`, 400, "INVALID_JSON"},
		"not UTF-8":        {"{\"accessListIps\":[\"\xff\"]}", 400, "INVALID_JSON"},
		"an array":         {`[]`, 400, "INVALID_JSON"},
		"null":             {`null`, 400, "INVALID_JSON"},
		"deep":             {strings.Repeat("[", 100_000), 400, "INVALID_JSON"},
		"field twice":      {`{"accessListIps":["192.0.2.1"],"accessListIps":["192.0.2.2"]}`, 400, "INVALID_ATTRIBUTE"},
		"too large":        {`{"accessListIps":["` + strings.Repeat("x", 1<<20) + `"]}`, 413, "REQUEST_ENTITY_TOO_LARGE"},
		"white space":      {" \n{\"accessListIps\":[\"192.0.2.1\"]}\t\n", 0, ""},
	}
	for name, tt := range tests {
		for _, version := range bothVersions {
			t.Run(name+" "+version, func(t *testing.T) {
				t.Parallel()
				srv := newOpenServer(t)
				r := endpoint(srv, livemigrationtest.CreateLinkToken, version, "")
				r.body = tt.body
				res := send(t, srv, r)
				if tt.status == 0 {
					assert.Less(t, res.status, 300, res.body)
					return
				}
				assertError(t, res, tt.status, tt.code)
				assert.NotContains(t, res.body, "192.0.2.1", "no error shows the body")
			})
		}
	}
}

func TestBodyWhereNoneBelongs(t *testing.T) {
	t.Parallel()
	forEachOperation(t, func(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation, version string) {
		r := prepare(t, srv, op, version)
		if r.body != "" {
			t.Skip("takes a body")
		}
		r.body = "{}"
		assertError(t, send(t, srv, r.with("Content-Type", r.header["Accept"])), 400, "VALIDATION_ERROR")
	})
}

// A client that stops in the middle of its body has asked for nothing.
func TestBodyCutShort(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithoutAuthentication())
	r := endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL(), "http://"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAccept: %s\r\nContent-Type: %[2]s\r\nContent-Length: 100\r\n\r\n{}",
		r.path, media2023)
	require.NoError(t, err)
	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.CloseWrite())
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assertError(t, result{res.StatusCode, res.Header, string(body)}, 400, "INVALID_JSON")
	assert.Zero(t, srv.LinkTokenCount())
}
