package livemigration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	sourceID      = ProjectID("9b43a5b329223c3a1591a678")
	destinationID = ProjectID("e01c9427f054fe80745f3f6c")
)

// validRequest is as small as a request can be.
func validRequest() MigrationRequest {
	return MigrationRequest{
		Source:         Source{ProjectID: sourceID, ClusterName: "exampleClusterA", Username: "example", Password: "hunter2"},
		Destination:    Destination{ClusterName: "exampleClusterB"},
		MigrationHosts: []string{"vm001.example.com"},
	}
}

func shardedRequest() MigrationRequest {
	r := validRequest()
	r.Sharding = &Sharding{CreateSupportingIndexes: true, Entries: []ShardEntry{{
		Database: "db", Collection: "c",
		ShardCollection: ShardKeys{Key: []ShardKeyField{{"location", Ascending}, {"region", Hashed}}},
	}}}
	return r
}

func TestMigrationRequestRules(t *testing.T) {
	t.Parallel()
	const both = APIVersion(0)
	for _, tc := range []struct {
		name    string
		version APIVersion // both when zero
		change  func(*MigrationRequest)
		want    []FieldViolation
	}{
		{"smallest", both, func(*MigrationRequest) {}, nil},
		{"source project missing", both, func(r *MigrationRequest) { r.Source.ProjectID = "" },
			[]FieldViolation{{"source.groupId", "is empty; must be 24 lowercase hexadecimal digits"}}},
		{"source cluster blank", both, func(r *MigrationRequest) { r.Source.ClusterName = " " },
			[]FieldViolation{{"source.clusterName", "is required"}}},
		{"a source without authentication", both, func(r *MigrationRequest) { r.Source.Username, r.Source.Password = "", "" }, nil},
		{"a user without a password", both, func(r *MigrationRequest) { r.Source.Password = "" },
			[]FieldViolation{{"source.password", "is required with source.username"}}},
		{"a password without a user", both, func(r *MigrationRequest) { r.Source.Username = "" },
			[]FieldViolation{{"source.username", "is required with source.password"}}},
		{"a password read from a file", both, func(r *MigrationRequest) { r.Source.Password += "\n" },
			[]FieldViolation{{"source.password", "must not end in a line break, as passwords read from files often do"}}},
		{"managed", both, func(r *MigrationRequest) {
			r.Source.ManagedAuthentication, r.Source.Username, r.Source.Password = true, "", ""
		}, nil},
		{"managed with a user", both, func(r *MigrationRequest) { r.Source.ManagedAuthentication = true }, []FieldViolation{
			{"source.username", "must be empty with managedAuthentication"},
			{"source.password", "must be empty with managedAuthentication"}}},
		{"redacted password", both, func(r *MigrationRequest) { r.Source.Password = "[REDACTED]" },
			[]FieldViolation{{"source.password", "is the mark of a redacted password, not a password"}}},
		{"certificate with ssl", both, func(r *MigrationRequest) { r.Source.SSL, r.Source.CACertificatePath = true, "/ca" }, nil},
		{"certificate without ssl", both, func(r *MigrationRequest) { r.Source.CACertificatePath = "/ca" },
			[]FieldViolation{{"source.caCertificatePath", "must be empty without ssl"}}},
		{"destination project malformed", both, func(r *MigrationRequest) { r.Destination.ProjectID = "E01C9427F054FE80745F3F6C" },
			[]FieldViolation{{"destination.groupId", "must be 24 lowercase hexadecimal digits"}}},
		{"destination cluster missing", both, func(r *MigrationRequest) { r.Destination.ClusterName = "" },
			[]FieldViolation{{"destination.clusterName", "is required"}}},
		{"public", both, func(r *MigrationRequest) { r.Destination.HostnameSchemaType = HostnamePublic }, nil},
		{"unknown schema", both, func(r *MigrationRequest) { r.Destination.HostnameSchemaType = "public" },
			[]FieldViolation{{"destination.hostnameSchemaType", "must be PUBLIC, PRIVATE_LINK or VPC_PEERING"}}},
		{"private link", both, func(r *MigrationRequest) {
			r.Destination.HostnameSchemaType, r.Destination.PrivateLinkID = HostnamePrivateLink, "vpce-0123"
		}, nil},
		{"private link without endpoint", both, func(r *MigrationRequest) { r.Destination.HostnameSchemaType = HostnamePrivateLink },
			[]FieldViolation{{"destination.privateLinkId", "is required with hostnameSchemaType PRIVATE_LINK"}}},
		{"endpoint without private link", both, func(r *MigrationRequest) { r.Destination.PrivateLinkID = "vpce-0123" },
			[]FieldViolation{{"destination.privateLinkId", "must be empty without hostnameSchemaType PRIVATE_LINK"}}},
		{"peering", both, func(r *MigrationRequest) { r.Destination.HostnameSchemaType = HostnameVPCPeering }, nil},
		{"no host", both, func(r *MigrationRequest) { r.MigrationHosts = nil },
			[]FieldViolation{{"migrationHosts", "must contain exactly one host"}}},
		{"two hosts", both, func(r *MigrationRequest) { r.MigrationHosts = []string{"a", "b"} },
			[]FieldViolation{{"migrationHosts", "must contain exactly one host"}}},
		{"a host with a port", both, func(r *MigrationRequest) { r.MigrationHosts = []string{"vm001.example.com:27017"} }, nil},
		{"no name", both, func(r *MigrationRequest) { r.MigrationHosts = []string{""} },
			[]FieldViolation{{"migrationHosts[0]", "must be one host name such as vm001.example.com, without scheme, user or list"}}},
		{"a URI for a host", both, func(r *MigrationRequest) { r.MigrationHosts = []string{"mongodb://u:hunter2@vm001"} },
			[]FieldViolation{{"migrationHosts[0]", "must be one host name such as vm001.example.com, without scheme, user or list"}}},
		{"sharding", both, func(r *MigrationRequest) { *r = shardedRequest() }, nil},
		{"sharding without entries", both, func(r *MigrationRequest) { r.Sharding = &Sharding{} }, nil},
		{"equal shard entries", both, func(r *MigrationRequest) {
			*r = shardedRequest()
			r.Sharding.Entries = append(r.Sharding.Entries, r.Sharding.Entries[0])
		}, []FieldViolation{{"sharding.shardingEntries[1]", "is equal to sharding.shardingEntries[0]"}}},
		{"empty shard entry", APIv2, func(r *MigrationRequest) { r.Sharding = &Sharding{Entries: make([]ShardEntry, 1)} }, []FieldViolation{
			{"sharding.shardingEntries[0].database", "is required"},
			{"sharding.shardingEntries[0].collection", "is required"},
			{"sharding.shardingEntries[0].shardCollection.key", "must contain at least one field"}}},
		{"unusable shard key", APIv2, func(r *MigrationRequest) {
			*r = shardedRequest()
			r.Sharding.Entries[0].ShardCollection.Key = []ShardKeyField{{"", Ascending}, {"a", 0}, {"b", Hashed}, {"b", Ascending}, {"b", Hashed}}
		}, []FieldViolation{
			{"sharding.shardingEntries[0].shardCollection.key[0]", "must name a field"},
			{"sharding.shardingEntries[0].shardCollection.key[1]", `must be 1 (Ascending) or "hashed" (Hashed)`},
			{"sharding.shardingEntries[0].shardCollection.key[4]", "is equal to sharding.shardingEntries[0].shardCollection.key[2]"}}},
		{"names as MongoDB takes them", APIv2, func(r *MigrationRequest) {
			r.Sharding = &Sharding{Entries: []ShardEntry{{"d\tb", " ", ShardKeys{[]ShardKeyField{{"a", Ascending}, {"a", Hashed}, {"\u0085", Ascending}, {" ", Hashed}}}}}}
		}, nil},
		{"names that MongoDB does not take", APIv2, func(r *MigrationRequest) {
			r.Sharding = &Sharding{Entries: []ShardEntry{{"a\x00", "\xff", ShardKeys{[]ShardKeyField{{"\x00", Ascending}, {"\xff", Ascending}}}}}}
		}, []FieldViolation{
			{"sharding.shardingEntries[0].database", "must be valid UTF-8 without NUL"},
			{"sharding.shardingEntries[0].collection", "must be valid UTF-8 without NUL"},
			{"sharding.shardingEntries[0].shardCollection.key[0]", "must be valid UTF-8 without NUL"},
			{"sharding.shardingEntries[0].shardCollection.key[1]", "must be valid UTF-8 without NUL"}}},
		{"everything at once", APIv2, func(r *MigrationRequest) { *r = MigrationRequest{} }, []FieldViolation{
			{"source.groupId", "is empty; must be 24 lowercase hexadecimal digits"},
			{"source.clusterName", "is required"},
			{"destination.clusterName", "is required"},
			{"migrationHosts", "must contain exactly one host"}}},
	} {
		versions := []APIVersion{tc.version}
		if tc.version == both {
			versions = []APIVersion{APIv2, APIv1}
		}
		for _, version := range versions {
			t.Run(tc.name+"/"+version.String(), func(t *testing.T) {
				t.Parallel()
				r := validRequest()
				tc.change(&r)
				err := r.Validate(version)
				if tc.want == nil {
					require.NoError(t, err)
					return
				}
				var invalid *InvalidRequestError
				require.ErrorAs(t, err, &invalid)
				assert.Equal(t, tc.want, invalid.Violations)
				assert.NotContains(t, err.Error(), "hunter2")
			})
		}
	}
}

func TestValidateRejectsAnUnknownVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []APIVersion{0, 3, -1} {
		err := validRequest().Validate(version)
		assert.EqualError(t, err, "livemigration: invalid request: apiVersion must be APIv2 or APIv1")
		assert.Equal(t, "unknown", version.String())
	}
}

const fullBodyV2 = `{
  "source": {
    "groupId": "9b43a5b329223c3a1591a678", "clusterName": "exampleClusterA",
    "username": "example", "password": "hunter2",
    "ssl": true, "caCertificatePath": "/path/to/ca", "managedAuthentication": false
  },
  "destination": {
    "groupId": "e01c9427f054fe80745f3f6c", "clusterName": "exampleClusterB",
    "hostnameSchemaType": "PRIVATE_LINK", "privateLinkId": "vpce-0123"
  },
  "migrationHosts": ["vm001.example.com"],
  "dropDestinationData": true,
  "sharding": {
    "createSupportingIndexes": true,
    "shardingEntries": [
      {"database": "db", "collection": "c", "shardCollection": {"key": [{"location": 1}, {"region": "hashed"}]}}
    ]
  }
}`

func TestARequestLoadsFromTheBodyOfV2AndIsSentAsItWas(t *testing.T) {
	t.Parallel()
	var r MigrationRequest
	decoder := json.NewDecoder(strings.NewReader(fullBodyV2))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&r))
	require.NoError(t, r.Validate(APIv2))
	assert.Equal(t, []ShardKeyField{{"location", Ascending}, {"region", Hashed}}, r.Sharding.Entries[0].ShardCollection.Key)

	sent, _, err := (&migrationPayload{projectID: destinationID, request: r}).encode(APIv2)
	require.NoError(t, err)
	assert.JSONEq(t, fullBodyV2, string(sent))

	shown, err := json.Marshal(r)
	require.NoError(t, err)
	assert.JSONEq(t, strings.Replace(fullBodyV2, "hunter2", "[REDACTED]", 1), string(shown))
}

func TestEncodedBodies(t *testing.T) {
	t.Parallel()
	const source = `"source":{"groupId":"9b43a5b329223c3a1591a678","clusterName":"exampleClusterA","username":"example","password":"hunter2","ssl":false,"managedAuthentication":false}`
	const hosts = `"migrationHosts":["vm001.example.com"]`
	for _, tc := range []struct {
		name    string
		version APIVersion
		change  func(*MigrationRequest)
		want    string
	}{
		{"v2 sends what is required, false too", APIv2, func(*MigrationRequest) {},
			`{` + source + `,"destination":{"groupId":"e01c9427f054fe80745f3f6c","clusterName":"exampleClusterB","hostnameSchemaType":"PUBLIC"},` + hosts + `,"dropDestinationData":false}`},
		{"v1.0 has another name for one field", APIv1, func(r *MigrationRequest) { r.DropDestinationData = true },
			`{` + source + `,"destination":{"groupId":"e01c9427f054fe80745f3f6c","clusterName":"exampleClusterB","hostnameSchemaType":"PUBLIC"},` + hosts + `,"dropEnabled":true}`},
		{"v1.0 with private link and sharding", APIv1, func(r *MigrationRequest) {
			r.Destination.HostnameSchemaType, r.Destination.PrivateLinkID, r.Sharding = HostnamePrivateLink, "vpce-0123", &Sharding{}
		},
			`{` + source + `,"destination":{"groupId":"e01c9427f054fe80745f3f6c","clusterName":"exampleClusterB","hostnameSchemaType":"PRIVATE_LINK","privateLinkId":"vpce-0123"},` + hosts + `,"dropEnabled":false,"sharding":{"createSupportingIndexes":false,"shardingEntries":[]}}`},
		{"no sharding entries", APIv2, func(r *MigrationRequest) { r.Sharding = &Sharding{} },
			`{` + source + `,"destination":{"groupId":"e01c9427f054fe80745f3f6c","clusterName":"exampleClusterB","hostnameSchemaType":"PUBLIC"},` + hosts + `,"dropDestinationData":false,"sharding":{"createSupportingIndexes":false,"shardingEntries":[]}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := validRequest()
			tc.change(&r)
			before := r
			got, _, err := (&migrationPayload{projectID: destinationID, request: r}).encode(tc.version)
			require.NoError(t, err)
			assert.JSONEq(t, tc.want, string(got))
			assert.Equal(t, before, r, "the caller's request must not change")
		})
	}
}

func TestTheMethodsProjectDecides(t *testing.T) {
	t.Parallel()
	r := validRequest()
	r.Destination.ProjectID = destinationID
	assert.Empty(t, (&migrationPayload{projectID: destinationID, request: r}).violations(APIv2))
	assert.Equal(t, []FieldViolation{{"destination.groupId", "must be empty or the project that the method is called with"}},
		(&migrationPayload{projectID: sourceID, request: r}).violations(APIv2))
}

func TestShardKeyFieldsOfOtherShapesAreRejected(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ data, want string }{
		"two members": {`{"a": 1, "b": 1}`, "an object of one member"},
		"none":        {`{}`, "an object of one member"},
		"descending":  {`{"a": -1}`, `field "a": must be 1 or "hashed"`},
		"text":        {`{"a": "text"}`, `field "a": must be 1 or "hashed"`},
		"a number":    {`1`, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f ShardKeyField
			assert.ErrorContains(t, json.Unmarshal([]byte(tc.data), &f), tc.want)
		})
	}
	_, err := json.Marshal(ShardKeyField{Field: "a"})
	assert.ErrorContains(t, err, `field "a": order must be Ascending or Hashed`)
	assert.Equal(t, "ShardKeyOrder(7)", ShardKeyOrder(7).String())
}
