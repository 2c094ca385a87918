package livemigrationtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
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
		{"what only responses have", []edit{{"_id", `"x"`}, {"links", `[{"rel":"self"}]`}}, "", nil},
		one("username missing", "source.username", ``, missing),
		one("password missing", "source.password", ``, missing),
		one("password not a string", "source.password", `1`, invalid),
		one("password empty", "source.password", `""`, missing),
		one("password null", "source.password", `null`, missing),
		one("username empty", "source.username", `""`, missing),
		one("username null", "source.username", `null`, missing),
		{"source without authentication", []edit{{"source.username", ``}, {"source.password", ``}}, "", nil},
		{"user and password null", []edit{{"source.username", `null`}, {"source.password", `null`}}, "", nil},
		{"user and password empty", []edit{{"source.username", `""`}, {"source.password", `""`}}, "", nil},
		one("hosts empty", "migrationHosts", `[]`, invalid),
		one("hosts a string", "migrationHosts", `"vm001.example.com"`, invalid),
		{"host empty", []edit{{"migrationHosts", `[""]`}}, invalid, []string{"migrationHosts[0]"}},
		{"host a number", []edit{{"migrationHosts", `[1]`}}, invalid, []string{"migrationHosts[0]"}},
		{"managed with user and password", []edit{{"source.managedAuthentication", `true`}}, conflict,
			[]string{"source.username", "source.password"}},
		{"managed with password", []edit{{"source.managedAuthentication", `true`}, {"source.username", ``}}, conflict,
			[]string{"source.password"}},
		{"managed without", []edit{
			{"source.managedAuthentication", `true`}, {"source.username", ``}, {"source.password", `""`},
		}, "", nil},
		{"certificate without ssl", []edit{{"source.ssl", `false`}}, conflict, []string{"source.caCertificatePath"}},
		{"no ssl, no certificate", []edit{{"source.ssl", `false`}, {"source.caCertificatePath", ``}}, "", nil},
		{"ssl without certificate", []edit{{"source.caCertificatePath", ``}}, "", nil},
		{"certificate null", []edit{{"source.ssl", `false`}, {"source.caCertificatePath", `null`}}, "", nil},
		{"certificate empty", []edit{{"source.ssl", `false`}, {"source.caCertificatePath", `""`}}, "", nil},
		one("certificate a number", "source.caCertificatePath", `1`, invalid),
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

// shardingCases are rules that all versions have, too.
func shardingCases() []bodyCase {
	const shard = `{"createSupportingIndexes":%s,"shardingEntries":%s}`
	sharding := func(indexes, entries string) []edit {
		return []edit{{"sharding", fmt.Sprintf(shard, indexes, entries)}}
	}
	entry := func(collection, key string) string {
		return `{"database":"d","collection":"` + collection + `","shardCollection":{"key":` + key + `}}`
	}
	key := func(key string) []edit { return sharding("true", "["+entry("c", key)+"]") }
	const entries = "sharding.shardingEntries"
	const entry0 = entries + "[0]"
	const key0 = entry0 + ".shardCollection.key"
	a, b := entry("a", `[{"x":1}]`), entry("b", `[{"x":1}]`)
	return []bodyCase{
		{"sharding", key(`[{"location":1},{"region":"hashed"}]`), "", nil},
		{"sharding without entries", sharding("false", `[]`), "", nil},
		{"sharding null", []edit{{"sharding", `null`}}, "", nil},
		{"sharding a string", []edit{{"sharding", `""`}}, invalid, []string{"sharding"}},
		{"sharding empty", []edit{{"sharding", `{}`}}, missing, []string{"sharding.createSupportingIndexes", entries}},
		{"sharding entries null", sharding("true", `null`), missing, []string{entries}},
		{"sharding entries a string", sharding("true", `"a"`), invalid, []string{entries}},
		{"sharding indexes a string", sharding(`"true"`, `[]`), invalid, []string{"sharding.createSupportingIndexes"}},
		{"sharding entry empty", sharding("true", `[{}]`), missing,
			[]string{entry0 + ".database", entry0 + ".collection", entry0 + ".shardCollection"}},
		{"sharding entry null", sharding("true", `[null]`), invalid, []string{entry0}},
		{"sharding entry unknown field", sharding("true", `[{"database":"d","collection":"c","shardCollection":{"key":[{"a":1}],"x":1}}]`),
			invalid, []string{entry0 + ".shardCollection.x"}},
		{"sharding entries that differ", sharding("true", "["+a+","+b+"]"), "", nil},
		{"sharding entry twice", sharding("true", "["+a+","+b+","+a+","+b+"]"), invalid, []string{entries}},
		{"key missing", sharding("true", `[{"database":"d","collection":"c","shardCollection":{}}]`), missing, []string{key0}},
		{"key empty", key(`[]`), invalid, []string{key0}},
		{"key an object", key(`{"a":1}`), invalid, []string{key0}},
		{"key field twice", key(`[{"a":1},{"b":1},{"a":1}]`), invalid, []string{key0}},
		{"key field twice, unlike", key(`[{"a":1},{"a":"hashed"}]`), "", nil},
		{"key with a control character", key(`[{"a\tb":1},{" ":1}]`), "", nil},
		{"names with a control character", sharding("true", `[{"database":"a\tb","collection":" ","shardCollection":{"key":[{"a":1}]}}]`), "", nil},
		{"key of two fields in one", key(`[{"a":1,"b":1}]`), invalid, []string{key0 + "[0]"}},
		{"key of no field", key(`[{}]`), invalid, []string{key0 + "[0]"}},
		{"key of no name", key(`[{"":1}]`), invalid, []string{key0 + "[0]"}},
		{"key descending", key(`[{"a":1},{"b":-1}]`), invalid, []string{key0 + "[1]"}},
		{"key 1.0", key(`[{"a":1.0}]`), invalid, []string{key0 + "[0]"}},
		{"key a string", key(`[{"a":"1"}]`), invalid, []string{key0 + "[0]"}},
		{"key true", key(`[{"a":true}]`), invalid, []string{key0 + "[0]"}},
	}
}

const schema, link = "destination.hostnameSchemaType", "destination.privateLinkId"

// linkCases are rules that all versions have for a destination with hostnameSchemaType.
func linkCases() []bodyCase {
	return []bodyCase{
		{"schema empty", []edit{{schema, `""`}}, invalid, []string{schema}},
		{"schema unknown", []edit{{schema, `"public"`}}, invalid, []string{schema}},
		{"schema public", []edit{{schema, `"PUBLIC"`}}, "", nil},
		{"schema peering", []edit{{schema, `"VPC_PEERING"`}, {link, `null`}}, "", nil},
		{"private link", []edit{{schema, `"PRIVATE_LINK"`}, {link, `"vpce-1"`}}, "", nil},
		{"private link without ID", []edit{{schema, `"PRIVATE_LINK"`}}, missing, []string{link}},
		{"private link with null ID", []edit{{schema, `"PRIVATE_LINK"`}, {link, `null`}}, missing, []string{link}},
		{"private link with empty ID", []edit{{schema, `"PRIVATE_LINK"`}, {link, `""`}}, invalid, []string{link}},
		{"ID without private link", []edit{{schema, `"PUBLIC"`}, {link, `"vpce-1"`}}, conflict, []string{link}},
	}
}

func allCases(own ...bodyCase) []bodyCase {
	return slices.Concat(commonCases(), shardingCases(), linkCases(), own)
}

func casesV2() []bodyCase {
	return allCases(
		bodyCase{"dropEnabled", []edit{{"dropEnabled", `true`}}, invalid, []string{"dropEnabled"}},
		bodyCase{"dropDestinationData left out", []edit{{"dropDestinationData", ``}}, "", nil},
		bodyCase{"dropDestinationData null", []edit{{"dropDestinationData", `null`}}, invalid, []string{"dropDestinationData"}},
		bodyCase{"dropDestinationData a string", []edit{{"dropDestinationData", `"true"`}}, invalid, []string{"dropDestinationData"}},
		bodyCase{"two hosts", []edit{{"migrationHosts", `["a","b"]`}}, invalid, []string{"migrationHosts"}},
		bodyCase{"schema missing", []edit{{schema, ``}}, missing, []string{schema}},
	)
}

// dropCases are the rules of the versions that have dropEnabled.
func dropCases() []bodyCase {
	return []bodyCase{
		{"drop missing", []edit{{"dropEnabled", ``}}, missing, []string{"dropEnabled"}},
		{"drop null", []edit{{"dropEnabled", `null`}}, missing, []string{"dropEnabled"}},
		{"drop a string", []edit{{"dropEnabled", `"false"`}}, invalid, []string{"dropEnabled"}},
		{"dropDestinationData", []edit{{"dropDestinationData", `true`}}, invalid, []string{"dropDestinationData"}},
	}
}

func cases2023() []bodyCase {
	return allCases(append(dropCases(),
		bodyCase{"two hosts", []edit{{"migrationHosts", `["a","b"]`}}, invalid, []string{"migrationHosts"}},
		bodyCase{"schema missing", []edit{{schema, ``}}, missing, []string{schema}},
	)...)
}

func casesV1() []bodyCase {
	return allCases(append(dropCases(),
		bodyCase{"several hosts", []edit{{"migrationHosts", `["a","b"]`}}, "", nil},
		bodyCase{"ID without schema", []edit{{link, `"vpce-1"`}}, conflict, []string{link}},
	)...)
}

// changed2023 makes a request for the version of 2023-01-01 out of one for the newest.
func changed2023(r request) request {
	r.body = strings.Replace(r.body, "dropDestinationData", "dropEnabled", 1)
	return r.with("Accept", media2023).with("Content-Type", media2023)
}

func TestMigrationRequestRules(t *testing.T) {
	t.Parallel()
	versions := map[string]struct {
		prefix string
		cases  []bodyCase
	}{"v2": {v2Prefix, casesV2()}, "v2 of 2023": {v2Prefix, cases2023()}, "v1.0": {v1Prefix, casesV1()}}
	for version, of := range versions {
		for _, op := range []livemigrationtest.Operation{livemigrationtest.CreateMigration, livemigrationtest.CreateValidation} {
			for _, tt := range of.cases {
				t.Run(strings.Join([]string{version, string(op), tt.name}, " "), func(t *testing.T) {
					t.Parallel()
					srv := newOpenServer(t)
					r := endpoint(srv, op, of.prefix, "")
					if version == "v2 of 2023" {
						r = changed2023(r)
					}
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
