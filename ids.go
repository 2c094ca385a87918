package livemigration

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// OrgID identifies an organization: 24 lowercase hexadecimal digits.
type OrgID string

// ProjectID identifies a project, which the wire calls a group: 24 lowercase hexadecimal digits.
type ProjectID string

// ValidationID identifies a validation: 24 lowercase hexadecimal digits.
type ValidationID string

// MigrationID identifies a migration: 24 lowercase hexadecimal digits. Keep it: Atlas does not list migrations.
type MigrationID string

// Validate reports whether id is well-formed. The error is an [*InvalidRequestError].
func (id OrgID) Validate() error { return invalidRequest(checkID("organization ID", string(id))) }

// Validate reports whether id is well-formed.
func (id ProjectID) Validate() error { return invalidRequest(checkID("project ID", string(id))) }

// Validate reports whether id is well-formed.
func (id ValidationID) Validate() error { return invalidRequest(checkID("validation ID", string(id))) }

// Validate reports whether id is well-formed.
func (id MigrationID) Validate() error { return invalidRequest(checkID("migration ID", string(id))) }

// ParseOrgID reads an ID, without white space around it. The error is an [*InvalidRequestError].
func ParseOrgID(text string) (OrgID, error) { return parseID[OrgID](text) }

// ParseProjectID reads an ID as [ParseOrgID] does.
func ParseProjectID(text string) (ProjectID, error) { return parseID[ProjectID](text) }

// ParseValidationID reads an ID as [ParseOrgID] does.
func ParseValidationID(text string) (ValidationID, error) { return parseID[ValidationID](text) }

// ParseMigrationID reads an ID as [ParseOrgID] does.
func ParseMigrationID(text string) (MigrationID, error) { return parseID[MigrationID](text) }

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

const idLength = 24

// checkID never shows the value: a key pasted in place of an ID must not reach a log.
func checkID(field, id string) []FieldViolation {
	const want = "must be 24 lowercase hexadecimal digits"
	switch {
	case id == "":
		return []FieldViolation{{Field: field, Description: "is empty; " + want}}
	case len(id) != idLength:
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

// APIVersion is a version of the Atlas Administration API.
type APIVersion int

const (
	// APIv2 is the current API, and the default.
	APIv2 APIVersion = iota + 1
	// APIv1 is the legacy API v1.0.
	APIv1
)

// String returns "v2" or "v1.0".
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

// ParseAPIVersion reads what String returns. The error is an [*InvalidRequestError].
func ParseAPIVersion(text string) (APIVersion, error) {
	for _, v := range []APIVersion{APIv2, APIv1} {
		if strings.TrimSpace(text) == v.String() {
			return v, nil
		}
	}
	return 0, invalidRequest([]FieldViolation{{"API version", "must be v2 or v1.0"}})
}
