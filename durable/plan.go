package durable

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/livemigration/livemigration-go"
)

// Plan says what to migrate, and where to. It contains no password.
type Plan struct {
	// Name is unique in a store, whatever its case. It has 1 to 100 letters, digits, ".", "_" and "-", and starts with a
	// letter or digit. Names that Windows reserves, such as "nul", are not allowed.
	Name string `json:"name"`
	// ProjectID is the destination project.
	ProjectID livemigration.ProjectID `json:"projectId"`
	// Request is the request to Atlas. Its password must be empty: [WithPassword] gives it when it is needed.
	Request livemigration.MigrationRequest `json:"request"`
	// Exclusive names what else serves one migration at a time, such as a source organization with several projects.
	// Clusters, migration hosts and the source project always count. Case and order do not matter.
	Exclusive []string `json:"exclusive,omitempty"`
	// HoldStart lets the migration start only after a person has approved [GateStart], so that you can validate many
	// migrations in one night and start them in waves.
	HoldStart bool `json:"holdStart,omitempty"`
	// Parallel lets other migrations of the source project run at the same time. MongoDB says that a source organization
	// migrates one deployment at a time.
	Parallel bool `json:"parallel,omitempty"`
}

const maxNameLength = 100

// Validate reports everything that is wrong with the plan. The error is a [*livemigration.InvalidRequestError], whose fields are
// paths in the JSON of the plan.
func (p Plan) Validate() error {
	var found violations
	problem := checkName(p.Name)
	found.add(problem != "", "name", problem)
	found.add(p.ProjectID.Validate() != nil, "projectId", "must be 24 lowercase hexadecimal digits")
	destination := p.Request.Destination.ProjectID
	found.add(destination != "" && destination != p.ProjectID, "request.destination.groupId", "must be empty or the same as projectId")
	found.add(p.Request.Source.Password != "", "request.source.password", noPassword)
	for i, name := range p.Exclusive {
		found.add(strings.TrimSpace(name) == "", fmt.Sprintf("exclusive[%d]", i), "must not be empty")
	}
	return append(found, p.requestViolations()...).err()
}

const noPassword = "must be empty: WithPassword gives it when it is needed"

// violations are what is wrong with a plan, a record or a change.
type violations []livemigration.FieldViolation

func (v *violations) add(violated bool, field, description string) {
	if violated {
		*v = append(*v, livemigration.FieldViolation{Field: field, Description: description})
	}
}

func (v violations) err() error {
	if len(v) == 0 {
		return nil
	}
	return &livemigration.InvalidRequestError{Violations: v}
}

func invalid(field, description string) error {
	return violations{{Field: field, Description: description}}.err()
}

// requestViolations leaves out what Validate checks itself.
func (p Plan) requestViolations() violations {
	request := p.Request
	request.Source.Password = ""
	if request.Source.Username != "" && !request.Source.ManagedAuthentication {
		request.Source.Password = "given when it is needed"
	}
	var invalid *livemigration.InvalidRequestError
	if !errors.As(request.Validate(livemigration.APIv2), &invalid) {
		return nil
	}
	found := make(violations, 0, len(invalid.Violations))
	for _, v := range invalid.Violations {
		found.add(true, "request."+v.Field, v.Description)
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
	stem = strings.ToLower(stem)
	if len(stem) == 4 && stem[3] >= '0' && stem[3] <= '9' {
		return stem[:3] == "com" || stem[:3] == "lpt"
	}
	return stem == "con" || stem == "prn" || stem == "aux" || stem == "nul"
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
