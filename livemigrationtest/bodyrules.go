package livemigrationtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
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
)

// field is a line of the table of a request body. Elements of an array have the path of the array with [] behind it.
type field struct {
	path     string
	presence presence
	kind     kind
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
		{"destination.hostnameSchemaType", schema, schemas},
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
type report []violation

func (r *report) add(code, path, description string) {
	*r = append(*r, violation{code, path, description})
}

// checkBodyShape reports everything that is wrong with a body.
func checkBodyShape(c *call, body map[string]any) []violation {
	r := &report{}
	delete(body, "_id") // only responses have it; requests may have it all the same
	delete(body, "links")
	c.route.shape(c).checkFields(r, "", "", body)
	if c.route.operation == CreateMigration || c.route.operation == CreateValidation {
		source, _ := body["source"].(map[string]any)
		destination, _ := body["destination"].(map[string]any)
		checkTogether(r, source, destination, c.scope)
	}
	return *r
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
		case !present && f.presence != required:
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
	if !f.kind.ok(value) {
		r.add("INVALID_ATTRIBUTE", path, "must be "+f.kind.name)
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

// checkTogether checks what depends on two fields, or on the project of the path.
func checkTogether(r *report, source, destination map[string]any, project string) {
	given := func(name string) bool { return source[name] != nil && source[name] != "" }
	user, password, managed := given("username"), given("password"), source["managedAuthentication"] == true
	id, _ := destination["groupId"].(string)
	private, linked := destination["hostnameSchemaType"] == "PRIVATE_LINK", destination["privateLinkId"] != nil
	const missing, conflict = "MISSING_ATTRIBUTE", "VALIDATION_ERROR"
	for _, rule := range []struct {
		broken            bool
		code, path, wants string
	}{
		{managed && user, conflict, "source.username", "must be left out when managedAuthentication is true"},
		{managed && password, conflict, "source.password", "must be left out when managedAuthentication is true"},
		{!managed && password && !user, missing, "source.username", "is required with a password"},
		{!managed && user && !password, missing, "source.password", "is required with a username"},
		{source["ssl"] == false && given("caCertificatePath"), conflict, "source.caCertificatePath", "must be left out when ssl is false"},
		{isID(id) && id != project, conflict, "destination.groupId", "must be the project of the path"},
		{private && !linked, missing, "destination.privateLinkId", "is required when hostnameSchemaType is PRIVATE_LINK"},
		{linked && !private, conflict, "destination.privateLinkId", "must be left out unless hostnameSchemaType is PRIVATE_LINK"},
	} {
		if rule.broken {
			r.add(rule.code, rule.path, rule.wants)
		}
	}
}

// kind is what a value has to be.
type kind struct {
	name string
	ok   func(any) bool
}

// matching is a kind of strings.
func matching(name string, ok func(string) bool) kind {
	return kind{name, func(value any) bool {
		s, isText := value.(string)
		return isText && ok(s)
	}}
}

var (
	object   = kind{"an object", func(value any) bool { _, ok := value.(map[string]any); return ok }}
	boolean  = kind{"true or false", func(value any) bool { return value == true || value == false }}
	text     = matching("a string that is not empty", func(s string) bool { return s != "" })
	objectID = matching("24 lowercase hexadecimal digits", isID)
	schemas  = matching("PUBLIC, PRIVATE_LINK or VPC_PEERING", regexp.MustCompile("^(PUBLIC|PRIVATE_LINK|VPC_PEERING)$").MatchString)
	address  = matching("an IP address or a CIDR block", func(s string) bool {
		ip, err := netip.ParseAddr(s)
		_, blockErr := netip.ParsePrefix(s)
		return blockErr == nil || err == nil && ip.Zone() == ""
	})
	// shardKeyField has one field, whose value says how that field is part of the shard key.
	shardKeyField = kind{`an object with one named field, whose value is 1 or "hashed"`, func(value any) bool {
		fields, _ := value.(map[string]any)
		for name, part := range fields {
			return len(fields) == 1 && name != "" && (part == json.Number("1") || part == "hashed")
		}
		return false
	}}
)

// list is an array of least to most different elements; most 0 means any number.
func list(least, most int) kind {
	name := fmt.Sprintf("an array of at least %d different elements", least)
	if most > 0 {
		name += fmt.Sprintf(", and at most %d", most)
	}
	return kind{name, func(value any) bool {
		elements, ok := value.([]any)
		for i := range elements {
			first := slices.IndexFunc(elements, func(other any) bool { return reflect.DeepEqual(elements[i], other) })
			ok = ok && first == i
		}
		return ok && len(elements) >= least && (most == 0 || len(elements) <= most)
	}}
}
