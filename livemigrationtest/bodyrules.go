package livemigrationtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// presence says whether a field may be absent.
type presence int

const (
	required presence = iota
	optional          // it may be absent, and not null
	nullable          // it may be absent or null
	blank             // it may be absent, null or an empty string
	ignored           // only responses have it; requests may have it all the same
)

// field is a line of the table of a request body. Elements of an array have the path of the array with [] behind it.
type field struct {
	path     string
	presence presence
	check    func(value any) (problem string)
}

// shape is the table of a request body. It has no other fields. An object's fields follow it.
type shape []field

func linkTokenShape(c *call) shape {
	if c.version == v1 {
		return shape{{"accessListIps", required, list(1, 0)}, {"accessListIps[]", required, address}}
	}
	return shape{{"accessListIps", optional, list(0, 0)}, {"accessListIps[]", required, address}}
}

func migrationLinkShape(*call) shape { return shape{{"linkToken", required, text}} }

// migrationShape differs in three places. v1.0 takes what its two documents say: the older one has no
// hostnameSchemaType and several hosts, the newer one requires the former and takes one host.
func migrationShape(c *call) shape {
	schema, hosts, drop := required, 1, field{"dropDestinationData", optional, boolean}
	if c.version == v1 {
		schema, hosts = optional, 0
	}
	if c.version == v1 || c.date == date2023 {
		drop = field{"dropEnabled", required, boolean}
	}
	const entry = "sharding.shardingEntries[]"
	return shape{
		drop,
		{"source", required, object},
		{"source.groupId", required, objectID},
		{"source.clusterName", required, text},
		{"source.ssl", required, boolean},
		{"source.managedAuthentication", required, boolean},
		{"source.username", blank, text},
		{"source.password", blank, text},
		{"source.caCertificatePath", blank, text},
		{"destination", required, object},
		{"destination.groupId", required, objectID},
		{"destination.clusterName", required, text},
		{"destination.hostnameSchemaType", schema, schemaType},
		{"destination.privateLinkId", nullable, text},
		{"migrationHosts", required, list(1, hosts)},
		{"migrationHosts[]", required, text},
		{"sharding", nullable, object},
		{"sharding.createSupportingIndexes", required, boolean},
		{"sharding.shardingEntries", required, list(0, 0)},
		{entry, required, object},
		{entry + ".database", required, text},
		{entry + ".collection", required, text},
		{entry + ".shardCollection", required, object},
		{entry + ".shardCollection.key", required, list(1, 0)},
		{entry + ".shardCollection.key[]", required, shardKeyField},
	}
}

// report collects violations.
type report struct{ violations []violation }

func (r *report) add(code, path, description string) {
	r.violations = append(r.violations, violation{code, path, description})
}

// conflict is for a value that is fine alone but not with the rest of the request.
func (r *report) conflict(path, description string) { r.add("VALIDATION_ERROR", path, description) }

// checkBodyShape reports everything that is wrong with a body.
func checkBodyShape(c *call, body map[string]any) []violation {
	r := &report{}
	table := append(c.route.shape(c), field{"_id", ignored, nil}, field{"links", ignored, nil})
	table.checkFields(r, "", "", body)
	if c.route.operation == CreateMigration || c.route.operation == CreateValidation {
		source, _ := body["source"].(map[string]any)
		destination, _ := body["destination"].(map[string]any)
		checkSource(r, source)
		checkDestination(r, destination, c.scope)
	}
	return r.violations
}

// checkFields checks an object. Its place is path, which the table knows as pattern.
func (t shape) checkFields(r *report, pattern, path string, values map[string]any) {
	known := make(map[string]bool)
	for _, f := range t {
		name, ok := strings.CutPrefix(f.path, pattern)
		if !ok || name == "" || strings.ContainsAny(name, ".[") {
			continue
		}
		known[name] = true
		value, present := values[name]
		switch {
		case f.presence == ignored, !present && f.presence != required:
		case value == nil && f.presence >= nullable, value == "" && f.presence == blank:
		case !present:
			r.add("MISSING_ATTRIBUTE", path+name, "is required")
		case value == nil && f.presence == required:
			r.add("MISSING_ATTRIBUTE", path+name, "must not be null")
		default:
			t.checkValue(r, f, path+name, value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !known[name] {
			r.add("INVALID_ATTRIBUTE", path+name, "is not known")
		}
	}
}

func (t shape) checkValue(r *report, f field, path string, value any) {
	if value == nil {
		r.add("INVALID_ATTRIBUTE", path, "must not be null")
		return
	}
	if problem := f.check(value); problem != "" {
		r.add("INVALID_ATTRIBUTE", path, problem)
		return
	}
	at := slices.IndexFunc(t, func(element field) bool { return element.path == f.path+"[]" })
	elements, isList := value.([]any)
	values, isObject := value.(map[string]any)
	switch {
	case isList && at >= 0:
		for i, element := range elements {
			t.checkValue(r, t[at], path+"["+strconv.Itoa(i)+"]", element)
		}
	case isObject && slices.ContainsFunc(t, func(inner field) bool { return strings.HasPrefix(inner.path, f.path+".") }):
		t.checkFields(r, f.path+".", path+".", values)
	}
}

// checkSource checks what depends on two fields.
func checkSource(r *report, source map[string]any) {
	given := func(name string) bool { return source[name] != nil && source[name] != "" }
	managed := source["managedAuthentication"] == true
	for name, other := range map[string]string{"username": "password", "password": "username"} {
		switch {
		case managed && given(name):
			r.conflict("source."+name, "must be left out when managedAuthentication is true")
		case !managed && given(other) && !given(name):
			r.add("MISSING_ATTRIBUTE", "source."+name, "is required with a "+other)
		}
	}
	if source["ssl"] == false && given("caCertificatePath") {
		r.conflict("source.caCertificatePath", "must be left out when ssl is false")
	}
}

// checkDestination checks that the body and the path name the same project, and that a private link comes with its
// schema.
func checkDestination(r *report, destination map[string]any, project string) {
	if id, ok := destination["groupId"].(string); ok && isID(id) && id != project {
		r.conflict("destination.groupId", "must be the project of the path")
	}
	wanted, linked := destination["hostnameSchemaType"] == "PRIVATE_LINK", destination["privateLinkId"] != nil
	switch {
	case wanted && !linked:
		r.add("MISSING_ATTRIBUTE", "destination.privateLinkId", "is required when hostnameSchemaType is PRIVATE_LINK")
	case linked && !wanted:
		r.conflict("destination.privateLinkId", "must be left out unless hostnameSchemaType is PRIVATE_LINK")
	}
}

func object(value any) string {
	if _, ok := value.(map[string]any); !ok {
		return "must be an object"
	}
	return ""
}

// list takes an array of least to most different elements; most 0 means any number.
func list(least, most int) func(any) string {
	return func(value any) string {
		elements, ok := value.([]any)
		switch {
		case !ok:
			return "must be an array"
		case len(elements) < least:
			return fmt.Sprintf("must have at least %d element(s)", least)
		case most > 0 && len(elements) > most:
			return fmt.Sprintf("must have at most %d element(s)", most)
		}
		for i := range elements {
			for j := range i {
				if reflect.DeepEqual(elements[i], elements[j]) {
					return fmt.Sprintf("must not have equal elements, such as %d and %d", j, i)
				}
			}
		}
		return ""
	}
}

func boolean(value any) string {
	if _, ok := value.(bool); !ok {
		return "must be true or false"
	}
	return ""
}

func text(value any) string {
	if s, ok := value.(string); !ok || s == "" {
		return "must be a string that is not empty"
	}
	return ""
}

func objectID(value any) string {
	if s, ok := value.(string); !ok || !isID(s) {
		return wantID
	}
	return ""
}

func schemaType(value any) string {
	if value != "PUBLIC" && value != "PRIVATE_LINK" && value != "VPC_PEERING" {
		return "must be PUBLIC, PRIVATE_LINK or VPC_PEERING"
	}
	return ""
}

// address takes an IP address or a block in CIDR notation.
func address(value any) string {
	s, _ := value.(string)
	ip, err := netip.ParseAddr(s)
	if _, blockErr := netip.ParsePrefix(s); blockErr != nil && (err != nil || ip.Zone() != "") {
		return "must be an IP address or a CIDR block"
	}
	return ""
}

// shardKeyField takes an object with one field, whose value says how that field is part of the shard key.
func shardKeyField(value any) string {
	fields, ok := value.(map[string]any)
	if !ok || len(fields) != 1 {
		return "must be an object with exactly one field"
	}
	for name, kind := range fields {
		if name == "" || kind != json.Number("1") && kind != "hashed" {
			return `must name a field, with the value 1 or "hashed"`
		}
	}
	return ""
}
