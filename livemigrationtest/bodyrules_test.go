package livemigrationtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// change returns a JSON body with some fields changed. An edit is a dotted path, "=" and the value; no value removes
// the field.
func change(t *testing.T, body string, edits []string) string {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &root))
	for _, edit := range edits {
		path, value, _ := strings.Cut(edit, "=")
		object, names := root, strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			next, ok := object[name].(map[string]any)
			require.True(t, ok, path)
			object = next
		}
		if last := names[len(names)-1]; value == "" {
			delete(object, last)
		} else {
			object[last] = json.RawMessage(value)
		}
	}
	out, err := json.Marshal(root)
	require.NoError(t, err)
	return string(out)
}

// bodyCase is a change to a valid body, and the fields that the error has to name. Without a code the body is valid.
type bodyCase struct {
	edits  string // with spaces between them
	code   string
	fields string
}

const entries, keyOf = "sharding.shardingEntries", ".shardCollection.key"

func sharding(list string) string {
	return `sharding={"createSupportingIndexes":true,"shardingEntries":` + list + `}`
}

func shardKey(collection, key string) string {
	return `{"database":"d","collection":"` + collection + `","shardCollection":{"key":` + key + `}}`
}

// commonCases are the rules of all versions.
var commonCases = []bodyCase{
	{"", "", ""},
	{"_id=1 links=[]", "", ""}, // which only responses have
	{"extra=1", invalid, "extra"},
	{"source.extra={}", invalid, "source.extra"},
	{"source.SSL=true", invalid, "source.SSL"},
	{"source=", missing, "source"},
	{"destination=null", missing, "destination"},
	{"source=[]", invalid, "source"},
	{"source.groupId=", missing, "source.groupId"},
	{`source.groupId="5C7E8F901A2B3C4D5E6F7A01"`, invalid, "source.groupId"},
	{"destination.groupId=7", invalid, "destination.groupId"},
	{`destination.groupId="ffffffffffffffffffffffff"`, conflict, "destination.groupId"},
	{"source.clusterName=null", missing, "source.clusterName"},
	{`destination.clusterName=""`, invalid, "destination.clusterName"},
	{`source.ssl="true"`, invalid, "source.ssl"},
	{"source.ssl=", missing, "source.ssl"},
	{"source.managedAuthentication=", missing, "source.managedAuthentication"},
	{"source.username=", missing, "source.username"},
	{`source.password=""`, missing, "source.password"},
	{"source.password=null", missing, "source.password"},
	{`source.username= source.password=""`, "", ""},
	{"source.managedAuthentication=true", conflict, "source.username source.password"},
	{`source.managedAuthentication=true source.username= source.password=""`, "", ""},
	{"source.ssl=false", conflict, "source.caCertificatePath"},
	{`source.ssl=false source.caCertificatePath=""`, "", ""},
	{"source.caCertificatePath=1", invalid, "source.caCertificatePath"},
	{"migrationHosts=", missing, "migrationHosts"},
	{"migrationHosts=[]", invalid, "migrationHosts"},
	{`migrationHosts="vm001.example.com"`, invalid, "migrationHosts"},
	{`migrationHosts=[""]`, invalid, "migrationHosts[0]"},
	{`destination.hostnameSchemaType=""`, invalid, "destination.hostnameSchemaType"},
	{`destination.hostnameSchemaType="VPC_PEERING" destination.privateLinkId=null`, "", ""},
	{`destination.hostnameSchemaType="PRIVATE_LINK" destination.privateLinkId="vpce-1"`, "", ""},
	{`destination.hostnameSchemaType="PRIVATE_LINK"`, missing, "destination.privateLinkId"},
	{`destination.hostnameSchemaType="PUBLIC" destination.privateLinkId="vpce-1"`, conflict, "destination.privateLinkId"},
	{sharding("[" + shardKey("c", `[{"location":1},{"region":"hashed"}]`) + "]"), "", ""},
	{"sharding=null", "", ""},
	{"sharding={}", missing, "sharding.createSupportingIndexes " + entries},
	{sharding("null"), missing, entries},
	{sharding("[null]"), invalid, entries + "[0]"},
	{sharding("[{}]"), missing, entries + "[0].database " + entries + "[0].collection " + entries + "[0].shardCollection"},
	{sharding("[" + shardKey("a", `[{"x":1}]`) + "," + shardKey("b", `[{"x":1}]`) + "]"), "", ""},
	{sharding("[" + shardKey("a", `[{"x":1}]`) + "," + shardKey("a", `[{"x":1}]`) + "]"), invalid, entries},
	{sharding("[" + shardKey("c", "[]") + "]"), invalid, entries + "[0]" + keyOf},
	{sharding("[" + shardKey("c", `[{"a":1},{"a":1}]`) + "]"), invalid, entries + "[0]" + keyOf},
	{sharding("[" + shardKey("c", `[{"a":1,"b":1}]`) + "]"), invalid, entries + "[0]" + keyOf + "[0]"},
	{sharding("[" + shardKey("c", `[{"a":1},{"b":-1}]`) + "]"), invalid, entries + "[0]" + keyOf + "[1]"},
	{sharding("[" + shardKey("c", `[{"":1}]`) + "]"), invalid, entries + "[0]" + keyOf + "[0]"},
	{`source.groupId= source.ssl="yes" destination.clusterName=null x=1`, conflict, "source.groupId source.ssl destination.clusterName x"},
}

// The rules of some versions.
var (
	oneHostCases = []bodyCase{
		{`migrationHosts=["a","b"]`, invalid, "migrationHosts"},
		{"destination.hostnameSchemaType=", missing, "destination.hostnameSchemaType"},
	}
	newDropCases = []bodyCase{
		{"dropEnabled=true", invalid, "dropEnabled"},
		{"dropDestinationData=", "", ""},
		{"dropDestinationData=null", invalid, "dropDestinationData"},
	}
	oldDropCases = []bodyCase{
		{"dropEnabled=", missing, "dropEnabled"},
		{`dropEnabled="false"`, invalid, "dropEnabled"},
		{"dropDestinationData=true", invalid, "dropDestinationData"},
	}
	v1Cases = []bodyCase{
		{`migrationHosts=["a","b"]`, "", ""},
		{`destination.privateLinkId="vpce-1"`, conflict, "destination.privateLinkId"},
	}
)

// changed2023 makes a request for the version of 2023-01-01 out of one for the newest.
func changed2023(r request) request {
	r.body = strings.Replace(r.body, "dropDestinationData", "dropEnabled", 1)
	return r.with("Accept", media2023).with("Content-Type", media2023)
}

func TestMigrationRequestRules(t *testing.T) {
	t.Parallel()
	same := func(r request) request { return r }
	for version, of := range map[string]struct {
		prefix  string
		prepare func(request) request
		cases   [][]bodyCase
	}{
		"v2":         {v2Prefix, same, [][]bodyCase{commonCases, oneHostCases, newDropCases}},
		"v2 of 2023": {v2Prefix, changed2023, [][]bodyCase{commonCases, oneHostCases, oldDropCases}},
		"v1.0":       {v1Prefix, same, [][]bodyCase{commonCases, oldDropCases, v1Cases}},
	} {
		for _, op := range []livemigrationtest.Operation{livemigrationtest.CreateMigration, livemigrationtest.CreateValidation} {
			for _, cases := range of.cases {
				for _, tt := range cases {
					t.Run(fmt.Sprint(version, " ", op, " ", tt.edits), func(t *testing.T) {
						t.Parallel()
						srv := newOpenServer(t)
						r := of.prepare(endpoint(srv, op, of.prefix, ""))
						r.body = change(t, r.body, strings.Fields(tt.edits))
						res := send(t, srv, r)
						started := len(srv.Migrations()) + len(srv.Validations())
						if tt.code == "" {
							assert.Less(t, res.status, 300, res.body)
							assert.Equal(t, 1, started)
							return
						}
						assertError(t, res, http.StatusBadRequest, tt.code)
						assert.ElementsMatch(t, strings.Fields(tt.fields), res.fields(t))
						assert.Zero(t, started)
					})
				}
			}
		}
	}
}
