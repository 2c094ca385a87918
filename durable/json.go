package durable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/livemigration/livemigration-go"
)

// format is the number of the form in which records are written. It grows when a program that does not know the new form
// could do harm with it.
const format = 1

// plainRecord is a record without its methods, for package json.
type plainRecord Record

// MarshalJSON writes the record with the number of its format. A record with a password is an error.
func (r Record) MarshalJSON() ([]byte, error) {
	if err := r.checkPassword(); err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Format int `json:"format"`
		plainRecord
	}{format, plainRecord(r)})
}

// UnmarshalJSON reads a record. It is an error when the record is not valid, when it has a newer format, and when it
// contains a field that this version does not know, because the field may say what must not be ignored.
func (r *Record) UnmarshalJSON(data []byte) error {
	var head struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	switch {
	case head.Format == nil || *head.Format < 1:
		return errors.New("the record has no format: it must be 1")
	case *head.Format > format:
		return fmt.Errorf("the record has format %d, written by a newer version of this library; this one knows format %d", *head.Format, format)
	}
	var read struct {
		Format int `json:"format"`
		plainRecord
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return err
	}
	record := Record(read.plainRecord)
	if err := record.Validate(); err != nil {
		return err
	}
	*r = record
	return nil
}

// Validate reports what makes a record unfit to be stored: a malformed name, a password, an unknown state, gate or kind, an
// action in progress that does not belong to the state, or a missing ID. A [Store] calls it in Save. The error is a
// [*livemigration.InvalidRequestError]. Its fields are paths in the JSON of the record.
func (r Record) Validate() error {
	if err := r.checkPassword(); err != nil {
		return err
	}
	var found []livemigration.FieldViolation
	reject := func(violated bool, field, description string) {
		if violated {
			found = append(found, livemigration.FieldViolation{Field: field, Description: description})
		}
	}
	if problem := checkName(r.Plan.Name); problem != "" {
		reject(true, "plan.name", problem)
	}
	reject(!r.State.known(), "state", "is not known")
	reject(r.Begun != nil && !r.mayBegin(r.Begun.Action), "begun.action",
		"must be validate for PLANNED, create for VALIDATED, cut over for READY, and none for other states but ABANDONED")
	unclear := r.Unclear == nil || r.Unclear.Action == ActionCreate || r.Unclear.Action == ActionCutover
	reject(!unclear, "unclear.action", "must be create or cut over")
	reject(r.State == StateValidating && r.ValidationID == "", "validationId", "must not be empty while VALIDATING")
	reject(r.State.hasJob() && r.MigrationID == "", "migrationId", "must not be empty while "+string(r.State))
	seen := make(map[Gate]bool)
	for i, approval := range r.Approved {
		field := fmt.Sprintf("approved[%d].gate", i)
		reject(!approval.Gate.known(), field, "is not known")
		reject(seen[approval.Gate], field, "must not be there twice")
		seen[approval.Gate] = true
	}
	reject(r.Problem != nil && !r.Problem.Kind.known(), "problem.kind", "is not known")
	reject(r.Revision < 0, "revision", "must not be negative")
	if len(found) == 0 {
		return nil
	}
	return &livemigration.InvalidRequestError{Violations: found}
}

// mayBegin reports whether a record in this state may be stored with this action in progress.
func (r *Record) mayBegin(a Action) bool {
	switch r.State {
	case StatePlanned:
		return a == ActionValidate
	case StateValidated:
		return a == ActionCreate
	case StateReady:
		return a == ActionCutover
	default:
		return r.State == StateAbandoned && a.Changes()
	}
}

// checkPassword comes before everything that could write the record.
func (r *Record) checkPassword() error {
	if r.Plan.Request.Source.Password == "" {
		return nil
	}
	return invalid("plan.request.source.password", "must be empty: WithPassword gives it when it is needed")
}
