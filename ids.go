package livemigration

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// OrgID identifies an organization. All IDs are 24 lowercase hexadecimal digits; Validate checks that.
type OrgID string

// ProjectID identifies a project, which the API calls a group.
type ProjectID string

type ValidationID string

type MigrationID string

func (id OrgID) Validate() error        { return invalidRequest(checkID("organization ID", string(id))) }
func (id ProjectID) Validate() error    { return invalidRequest(checkID("project ID", string(id))) }
func (id ValidationID) Validate() error { return invalidRequest(checkID("validation ID", string(id))) }
func (id MigrationID) Validate() error  { return invalidRequest(checkID("migration ID", string(id))) }

// ParseOrgID, like the other Parse functions, trims whitespace. Its error is an [*InvalidRequestError].
func ParseOrgID(text string) (OrgID, error)               { return parseID[OrgID](text) }
func ParseProjectID(text string) (ProjectID, error)       { return parseID[ProjectID](text) }
func ParseValidationID(text string) (ValidationID, error) { return parseID[ValidationID](text) }
func ParseMigrationID(text string) (MigrationID, error)   { return parseID[MigrationID](text) }

func parseID[T interface {
	~string
	Validate() error
}](text string) (T, error) {
	id := T(strings.TrimSpace(text))
	if err := id.Validate(); err != nil {
		return "", err
	}
	return id, nil
}

// checkID never shows the value: a key pasted in place of an ID must not reach a log.
func checkID(field, id string) []FieldViolation {
	const length, want = 24, "must be 24 lowercase hexadecimal digits"
	switch {
	case id == "":
		return []FieldViolation{{Field: field, Description: "is empty; " + want}}
	case len(id) != length:
		n, plural := utf8.RuneCountInString(id), "s"
		if n == 1 {
			plural = ""
		}
		return []FieldViolation{{Field: field, Description: fmt.Sprintf("has %d character%s; %s", n, plural, want)}}
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return []FieldViolation{{Field: field, Description: want}}
		}
	}
	return nil
}

type APIVersion int

const (
	APIv2 APIVersion = iota + 1 // the current API, and the default: "v2"
	APIv1                       // the legacy API: "v1.0"
)

func (v APIVersion) String() string {
	switch v {
	case APIv2:
		return "v2"
	case APIv1:
		return "v1.0"
	default:
		return "unknown"
	}
}

func ParseAPIVersion(text string) (APIVersion, error) {
	for _, v := range []APIVersion{APIv2, APIv1} {
		if strings.TrimSpace(text) == v.String() {
			return v, nil
		}
	}
	return 0, invalidRequest([]FieldViolation{{"API version", "must be v2 or v1.0"}})
}
