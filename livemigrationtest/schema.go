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

// rule checks a value of a request body, as encoding/json decodes it into an any with json.Number, and reports all
// that is wrong with it. path is its place in the body; it is empty for the body itself.
type rule func(r *report, path string, value any)

// report collects violations.
type report struct{ violations []violation }

func (r *report) missing(path, description string) {
	r.violations = append(r.violations, violation{codeMissingAttribute, path, description})
}

func (r *report) invalid(path, description string) {
	r.violations = append(r.violations, violation{codeInvalidAttribute, path, description})
}

// conflict is for a value that is fine by itself but not with the rest of the request.
func (r *report) conflict(path, description string) {
	r.violations = append(r.violations, violation{codeValidationError, path, description})
}

// property is a field of an object.
type property struct {
	name     string
	required bool
	absent   func(value any) bool // nil: no value means that the field is absent
	rule     rule                 // nil: whatever it is, it is ignored
}

func required(name string, rule rule) property {
	return property{name: name, required: true, rule: rule}
}

// optional is a field that may be left out and must not be null.
func optional(name string, rule rule) property { return property{name: name, rule: rule} }

// nullable is an optional field for which null means that it is absent.
func nullable(name string, rule rule) property {
	return property{name: name, absent: isNull, rule: rule}
}

// blankable is an optional field for which null and the empty string mean that it is absent.
func blankable(name string, rule rule) property {
	return property{name: name, absent: isBlank, rule: rule}
}

// ignored is a field that only responses have. Requests may have it all the same.
func ignored(name string) property { return property{name: name} }

func isNull(value any) bool { return value == nil }

func isBlank(value any) bool { return value == nil || value == "" }

// object takes an object with these properties and no others.
func object(properties ...property) rule {
	return func(r *report, path string, value any) {
		fields, ok := value.(map[string]any)
		if !ok {
			r.invalid(path, "must be an object")
			return
		}
		for _, p := range properties {
			p.check(r, join(path, p.name), fields)
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if !slices.ContainsFunc(properties, func(p property) bool { return p.name == name }) {
				r.invalid(join(path, name), "is not known")
			}
		}
	}
}

func (p property) check(r *report, path string, fields map[string]any) {
	if p.rule == nil {
		return
	}
	value, present := fields[p.name]
	switch {
	case present && p.absent != nil && p.absent(value):
	case present && value != nil:
		p.rule(r, path, value)
	case p.required && present:
		r.missing(path, "must not be null")
	case p.required:
		r.missing(path, "is required")
	case present:
		r.invalid(path, "must not be null")
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list takes an array of least to most elements; most 0 means any number.
func list(least, most int, element rule) rule {
	return func(r *report, path string, value any) {
		elements, ok := value.([]any)
		if !ok {
			r.invalid(path, "must be an array")
			return
		}
		if len(elements) < least {
			r.invalid(path, fmt.Sprintf("must have %d element(s) at least", least))
		}
		if most > 0 && len(elements) > most {
			r.invalid(path, fmt.Sprintf("must have %d element(s) at most", most))
		}
		for i, e := range elements {
			element(r, path+"["+strconv.Itoa(i)+"]", e)
		}
	}
}

// distinct takes what the rule takes, unless two elements of the array are equal.
func distinct(elements rule) rule {
	return func(r *report, path string, value any) {
		elements(r, path, value)
		list, _ := value.([]any)
		for i := range list {
			for j := range i {
				if reflect.DeepEqual(list[i], list[j]) {
					r.invalid(path+"["+strconv.Itoa(i)+"]", "is equal to element "+strconv.Itoa(j))
					break
				}
			}
		}
	}
}

func boolean(r *report, path string, value any) {
	if _, ok := value.(bool); !ok {
		r.invalid(path, "must be true or false")
	}
}

// text takes a string that is not empty.
func text(r *report, path string, value any) {
	if s, ok := value.(string); !ok {
		r.invalid(path, "must be a string")
	} else if s == "" {
		r.invalid(path, "must not be empty")
	}
}

func objectID(r *report, path string, value any) {
	if s, ok := value.(string); !ok || !isID(s) {
		r.invalid(path, "must be 24 lower-case hexadecimal digits")
	}
}

func oneOf(values ...string) rule {
	return func(r *report, path string, value any) {
		if s, ok := value.(string); !ok || !slices.Contains(values, s) {
			r.invalid(path, "must be one of "+strings.Join(values, ", "))
		}
	}
}

// address takes an IP address or a block in CIDR notation.
func address(r *report, path string, value any) {
	s, _ := value.(string)
	ip, err := netip.ParseAddr(s)
	if err == nil && ip.Zone() == "" {
		return
	}
	if _, err := netip.ParsePrefix(s); err != nil {
		r.invalid(path, "must be an IP address or a CIDR block")
	}
}

// shardKeyField takes an object with one field, whose value says how that field is part of the shard key.
func shardKeyField(r *report, path string, value any) {
	fields, ok := value.(map[string]any)
	if !ok || len(fields) != 1 {
		r.invalid(path, "must be an object with exactly one field")
		return
	}
	for name, kind := range fields {
		if kind != json.Number("1") && kind != "hashed" {
			r.invalid(join(path, name), `must be 1 or "hashed"`)
		}
		if name == "" {
			r.invalid(path, "must name a field")
		}
	}
}
