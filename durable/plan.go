package durable

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/livemigration/livemigration-go"
)

// Plan says what is to be migrated, and where to. It contains no password.
type Plan struct {
	// Name is unique among the records of a store, and case does not matter for that. It has 1 to 100 letters, digits,
	// ".", "_" and "-", and begins with a letter or digit. Names that Windows reserves, such as "nul", are not allowed.
	Name string `json:"name"`
	// ProjectID is the destination project.
	ProjectID livemigration.ProjectID `json:"projectId"`
	// Request is the request to Atlas. Its password must be empty: [WithPassword] gives it when it is needed.
	Request livemigration.MigrationRequest `json:"request"`
	// Exclusive names what else serves one migration at a time, such as the source organization where it has several
	// projects. Clusters, migration hosts and the source project count by themselves. A set: case and order do not matter.
	Exclusive []string `json:"exclusive,omitempty"`
	// HoldStart lets the migration start only after a person has approved [GateStart], so that an estate can be validated
	// in one night and started in waves.
	HoldStart bool `json:"holdStart,omitempty"`
	// Parallel lets other migrations of the source project run at the same time. MongoDB says that a source organization
	// migrates one deployment at a time.
	Parallel bool `json:"parallel,omitempty"`
}

const maxNameLength = 100

// Validate reports everything that is wrong with the plan, at once. The error is a
// [*livemigration.InvalidRequestError]. Its fields are paths in the JSON of the plan.
func (p Plan) Validate() error {
	var found []livemigration.FieldViolation
	reject := func(violated bool, field, description string) {
		if violated {
			found = append(found, livemigration.FieldViolation{Field: field, Description: description})
		}
	}
	if problem := checkName(p.Name); problem != "" {
		reject(true, "name", problem)
	}
	reject(p.ProjectID.Validate() != nil, "projectId", "must be 24 lower-case hexadecimal digits")
	destination := p.Request.Destination.ProjectID
	reject(destination != "" && destination != p.ProjectID, "request.destination.groupId", "must be empty or the same as projectId")
	reject(p.Request.Source.Password != "", "request.source.password", "must be empty: WithPassword gives it when it is needed")
	for i, name := range p.Exclusive {
		reject(strings.TrimSpace(name) == "", fmt.Sprintf("exclusive[%d]", i), "must not be empty")
	}
	found = append(found, p.requestViolations()...)
	if len(found) == 0 {
		return nil
	}
	return &livemigration.InvalidRequestError{Violations: found}
}

// requestViolations leaves out what Validate checks itself.
func (p Plan) requestViolations() []livemigration.FieldViolation {
	request := p.Request
	request.Source.Password = ""
	if request.Source.Username != "" && !request.Source.ManagedAuthentication {
		request.Source.Password = "given when it is needed"
	}
	err := request.Validate(livemigration.APIv2)
	if err == nil {
		return nil
	}
	var invalid *livemigration.InvalidRequestError
	if !errors.As(err, &invalid) {
		return []livemigration.FieldViolation{{Field: "request", Description: err.Error()}}
	}
	found := make([]livemigration.FieldViolation, len(invalid.Violations))
	for i, v := range invalid.Violations {
		found[i] = livemigration.FieldViolation{Field: "request." + v.Field, Description: v.Description}
	}
	return found
}

// checkName says what is wrong with the name of a plan. A store may use the name as that of a file.
func checkName(name string) string {
	const want = `must be 1 to 100 letters, digits, ".", "_" and "-", and begin with a letter or digit`
	if name == "" || len(name) > maxNameLength || strings.ContainsFunc(name, notInName) || strings.ContainsRune("._-", rune(name[0])) {
		return want
	}
	if stem, _, _ := strings.Cut(name, "."); reservedOnWindows(stem) {
		return fmt.Sprintf("must not be %q, with or without an ending: Windows reserves it", stem)
	}
	return ""
}

func notInName(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	digit := r >= '0' && r <= '9'
	return !letter && !digit && r != '.' && r != '_' && r != '-'
}

func reservedOnWindows(stem string) bool {
	switch stem = strings.ToLower(stem); stem {
	case "con", "prn", "aux", "nul":
		return true
	default:
		numbered := len(stem) == 4 && (strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt"))
		return numbered && stem[3] >= '0' && stem[3] <= '9'
	}
}

// key is the same for names that differ in case only.
func key(name string) string { return strings.ToLower(name) }

// fold makes names comparable without regard to case, whatever their alphabet.
func fold(s string) string { return strings.ToLower(strings.ToUpper(strings.TrimSpace(s))) }

func foldHost(host string) string { return strings.TrimSuffix(fold(host), ".") }

// equal compares what Atlas would be asked for.
func (p Plan) equal(other Plan) bool { return p.Name == other.Name && p.differences(other) == "" }

// differences names the fields in which plans differ, by their paths in JSON; empty when there are none.
func (p Plan) differences(other Plan) string {
	a, b := p.Request, other.Request
	var differ []string
	for _, field := range []struct {
		path string
		same bool
	}{
		{"projectId", p.ProjectID == other.ProjectID},
		{"request.source", a.Source == b.Source},
		{"request.destination", normal(a.Destination) == normal(b.Destination)},
		{"request.migrationHosts", slices.Equal(a.MigrationHosts, b.MigrationHosts)},
		{"request.dropDestinationData", a.DropDestinationData == b.DropDestinationData},
		{"request.sharding", reflect.DeepEqual(a.Sharding, b.Sharding)},
		{"exclusive", slices.Equal(p.exclusiveSet(), other.exclusiveSet())},
		{"holdStart", p.HoldStart == other.HoldStart},
		{"parallel", p.Parallel == other.Parallel},
	} {
		if !field.same {
			differ = append(differ, field.path)
		}
	}
	return strings.Join(differ, ", ")
}

// exclusiveSet is Exclusive without case, order and repetitions.
func (p Plan) exclusiveSet() []string {
	names := make([]string, len(p.Exclusive))
	for i, name := range p.Exclusive {
		names[i] = fold(name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// normal fills in what has a default, and leaves out the project, which the plan names.
func normal(d livemigration.Destination) livemigration.Destination {
	d.ProjectID = ""
	if d.HostnameSchemaType == "" {
		d.HostnameSchemaType = livemigration.HostnamePublic
	}
	return d
}

// needsPassword reports whether a request of the plan has a password.
func (p Plan) needsPassword() bool { return p.Request.Source.Username != "" }
