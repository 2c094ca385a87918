package livemigrationtest_test

import (
	"bufio"
	"encoding/json"
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

// edit is a change to a JSON body: the value of the field at the dotted path, or no field there at all.
type edit struct {
	path  string
	value string // JSON; empty: without the field
}

func apply(t *testing.T, body string, edits []edit) string {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &root))
	for _, e := range edits {
		object := root
		names := strings.Split(e.path, ".")
		for _, name := range names[:len(names)-1] {
			next, ok := object[name].(map[string]any)
			require.True(t, ok, e.path)
			object = next
		}
		if last := names[len(names)-1]; e.value == "" {
			delete(object, last)
		} else {
			object[last] = json.RawMessage(e.value)
		}
	}
	out, err := json.Marshal(root)
	require.NoError(t, err)
	return string(out)
}

// bodyCase is a change to a valid body and the fields that the error has to name. Without a code the body is valid.
type bodyCase struct {
	name   string
	edits  []edit
	code   string
	fields []string
}

const (
	missing  = "MISSING_ATTRIBUTE"
	invalid  = "INVALID_ATTRIBUTE"
	conflict = "VALIDATION_ERROR"
)

// commonCases are the rules that both versions have.
func commonCases() []bodyCase {
	one := func(name, path, value, code string) bodyCase {
		return bodyCase{name, []edit{{path, value}}, code, []string{path}}
	}
	cases := []bodyCase{
		{"valid", nil, "", nil},
		one("unknown field", "extra", `1`, invalid),
		one("unknown field in source", "source.extra", `{}`, invalid),
		one("unknown field in destination", "destination.extra", `null`, invalid),
		one("field in another case", "source.SSL", `true`, invalid),
		one("other project", "destination.groupId", `"ffffffffffffffffffffffff"`, conflict),
		one("username missing", "source.username", ``, missing),
		one("password missing", "source.password", ``, missing),
		one("password not a string", "source.password", `1`, invalid),
		one("password empty", "source.password", `""`, invalid),
		one("password null", "source.password", `null`, invalid),
		one("hosts empty", "migrationHosts", `[]`, invalid),
		one("hosts a string", "migrationHosts", `"vm001.example.com"`, invalid),
		{"host empty", []edit{{"migrationHosts", `[""]`}}, invalid, []string{"migrationHosts[0]"}},
		{"host a number", []edit{{"migrationHosts", `[1]`}}, invalid, []string{"migrationHosts[0]"}},
		{"managed with user and password", []edit{{"source.managedAuthentication", `true`}}, conflict,
			[]string{"source.username", "source.password"}},
		{"managed without", []edit{
			{"source.managedAuthentication", `true`}, {"source.username", ``}, {"source.password", ``},
		}, "", nil},
		{"certificate without ssl", []edit{{"source.ssl", `false`}}, conflict, []string{"source.caCertificatePath"}},
		{"no ssl, no certificate", []edit{{"source.ssl", `false`}, {"source.caCertificatePath", ``}}, "", nil},
		{"ssl without certificate", []edit{{"source.caCertificatePath", ``}}, "", nil},
		one("certificate empty", "source.caCertificatePath", `""`, invalid),
		{"all at once", []edit{{"source.groupId", ``}, {"source.ssl", `"yes"`}, {"destination.clusterName", `null`}, {"x", `1`}},
			"VALIDATION_ERROR", []string{"source.groupId", "source.ssl", "destination.clusterName", "x"}},
	}
	for _, path := range []string{
		"source", "source.groupId", "source.clusterName", "source.ssl", "source.managedAuthentication",
		"destination", "destination.groupId", "destination.clusterName", "migrationHosts",
	} {
		cases = append(cases, one(path+" missing", path, ``, missing), one(path+" null", path, `null`, missing))
	}
	for _, path := range []string{"source.ssl", "source.managedAuthentication"} {
		cases = append(cases, one(path+" a string", path, `"true"`, invalid), one(path+" a number", path, `0`, invalid))
	}
	for _, path := range []string{"source.clusterName", "destination.clusterName"} {
		cases = append(cases, one(path+" empty", path, `""`, invalid), one(path+" an object", path, `{}`, invalid))
	}
	for _, path := range []string{"source.groupId", "destination.groupId"} {
		cases = append(cases, one(path+" malformed", path, `"5C7E8F901A2B3C4D5E6F7A01"`, invalid), one(path+" a number", path, `7`, invalid))
	}
	for _, path := range []string{"source", "destination"} {
		cases = append(cases, one(path+" an array", path, `[]`, invalid), one(path+" a string", path, `"x"`, invalid))
	}
	return cases
}

func casesV2() []bodyCase {
	const shard = `{"createSupportingIndexes":%s,"shardingEntries":%s}`
	sharding := func(indexes, entries string) []edit {
		return []edit{{"sharding", fmt.Sprintf(shard, indexes, entries)}}
	}
	key := func(key string) []edit {
		return sharding("true", `[{"database":"d","collection":"c","shardCollection":{"key":`+key+`}}]`)
	}
	const entry0 = "sharding.shardingEntries[0]"
	const key0 = entry0 + ".shardCollection.key"
	schema := "destination.hostnameSchemaType"
	return append(commonCases(), []bodyCase{
		{"dropEnabled", []edit{{"dropEnabled", `true`}}, invalid, []string{"dropEnabled"}},
		{"dropDestinationData left out", []edit{{"dropDestinationData", ``}}, "", nil},
		{"dropDestinationData null", []edit{{"dropDestinationData", `null`}}, invalid, []string{"dropDestinationData"}},
		{"dropDestinationData a string", []edit{{"dropDestinationData", `"true"`}}, invalid, []string{"dropDestinationData"}},
		{"two hosts", []edit{{"migrationHosts", `["a","b"]`}}, invalid, []string{"migrationHosts"}},
		{"schema missing", []edit{{schema, ``}}, missing, []string{schema}},
		{"schema empty", []edit{{schema, `""`}}, invalid, []string{schema}},
		{"schema unknown", []edit{{schema, `"public"`}}, invalid, []string{schema}},
		{"schema peering", []edit{{schema, `"VPC_PEERING"`}}, "", nil},
		{"private link", []edit{{schema, `"PRIVATE_LINK"`}, {"destination.privateLinkId", `"vpce-1"`}}, "", nil},
		{"private link without id", []edit{{schema, `"PRIVATE_LINK"`}}, missing, []string{"destination.privateLinkId"}},
		{"private link with empty id", []edit{{schema, `"PRIVATE_LINK"`}, {"destination.privateLinkId", `""`}}, invalid,
			[]string{"destination.privateLinkId"}},
		{"id without private link", []edit{{"destination.privateLinkId", `"vpce-1"`}}, conflict, []string{"destination.privateLinkId"}},
		{"sharding", key(`[{"location":1},{"region":"hashed"}]`), "", nil},
		{"sharding without entries", sharding("false", `[]`), "", nil},
		{"sharding null", []edit{{"sharding", `null`}}, invalid, []string{"sharding"}},
		{"sharding empty", []edit{{"sharding", `{}`}}, missing, []string{"sharding.createSupportingIndexes", "sharding.shardingEntries"}},
		{"sharding entries null", sharding("true", `null`), missing, []string{"sharding.shardingEntries"}},
		{"sharding indexes a string", sharding(`"true"`, `[]`), invalid, []string{"sharding.createSupportingIndexes"}},
		{"sharding entry empty", sharding("true", `[{}]`), missing,
			[]string{entry0 + ".database", entry0 + ".collection", entry0 + ".shardCollection"}},
		{"sharding entry null", sharding("true", `[null]`), invalid, []string{entry0}},
		{"sharding entry unknown field", sharding("true", `[{"database":"d","collection":"c","shardCollection":{"key":[{"a":1}],"x":1}}]`),
			invalid, []string{entry0 + ".shardCollection.x"}},
		{"key missing", sharding("true", `[{"database":"d","collection":"c","shardCollection":{}}]`), missing, []string{key0}},
		{"key empty", key(`[]`), invalid, []string{key0}},
		{"key an object", key(`{"a":1}`), invalid, []string{key0}},
		{"key of two fields in one", key(`[{"a":1,"b":1}]`), invalid, []string{key0 + "[0]"}},
		{"key of no field", key(`[{}]`), invalid, []string{key0 + "[0]"}},
		{"key of no name", key(`[{"":1}]`), invalid, []string{key0 + "[0]"}},
		{"key descending", key(`[{"a":1},{"b":-1}]`), invalid, []string{key0 + "[1].b"}},
		{"key 1.0", key(`[{"a":1.0}]`), invalid, []string{key0 + "[0].a"}},
		{"key a string", key(`[{"a":"1"}]`), invalid, []string{key0 + "[0].a"}},
		{"key true", key(`[{"a":true}]`), invalid, []string{key0 + "[0].a"}},
	}...)
}

func casesV1() []bodyCase {
	return append(commonCases(), []bodyCase{
		{"several hosts", []edit{{"migrationHosts", `["a","b"]`}}, "", nil},
		{"drop missing", []edit{{"dropEnabled", ``}}, missing, []string{"dropEnabled"}},
		{"drop null", []edit{{"dropEnabled", `null`}}, missing, []string{"dropEnabled"}},
		{"drop a string", []edit{{"dropEnabled", `"false"`}}, invalid, []string{"dropEnabled"}},
		{"dropDestinationData", []edit{{"dropDestinationData", `true`}}, invalid, []string{"dropDestinationData"}},
		{"schema", []edit{{"destination.hostnameSchemaType", `"PUBLIC"`}}, invalid, []string{"destination.hostnameSchemaType"}},
		{"private link", []edit{{"destination.privateLinkId", `"vpce-1"`}}, invalid, []string{"destination.privateLinkId"}},
		{"sharding", []edit{{"sharding", `{"createSupportingIndexes":true,"shardingEntries":[]}`}}, invalid, []string{"sharding"}},
	}...)
}

func TestMigrationRequestRules(t *testing.T) {
	t.Parallel()
	for version, cases := range map[string][]bodyCase{v2Prefix: casesV2(), v1Prefix: casesV1()} {
		for _, op := range []livemigrationtest.Operation{livemigrationtest.CreateMigration, livemigrationtest.CreateValidation} {
			for _, tt := range cases {
				t.Run(strings.Join([]string{version, string(op), tt.name}, " "), func(t *testing.T) {
					t.Parallel()
					srv := newOpenServer(t)
					r := endpoint(srv, op, version, "")
					r.body = apply(t, r.body, tt.edits)
					res := send(t, srv, r)
					started := len(srv.Migrations()) + len(srv.Validations())
					if tt.code == "" {
						assert.Less(t, res.status, 300, res.body)
						assert.Equal(t, 1, started)
						return
					}
					assertError(t, res, http.StatusBadRequest, tt.code)
					assert.ElementsMatch(t, tt.fields, res.fields(t))
					assert.Zero(t, started)
				})
			}
		}
	}
}

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
					assert.Equal(t, 1, srv.LinkTokens())
					return
				}
				assert.Equal(t, http.StatusBadRequest, res.status)
				assert.Equal(t, fields, res.fields(t))
				assert.Zero(t, srv.LinkTokens())
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
				assert.NotContains(t, res.body, "192.0.2.1", "no error repeats the body")
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
	assert.Zero(t, srv.LinkTokens())
}
