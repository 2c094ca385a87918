package durable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// format is the number of the form in which records are written. It grows when an older program could do harm with a newer
// record.
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

// UnmarshalJSON reads a record. It fails if the record is not valid, if its format is newer, or if it contains an unknown field,
// because such a field must not be ignored.
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

// Validate reports why a record must not be stored: a malformed name, a password, an unknown state, gate or kind, an action in
// progress that does not belong to the state, or a missing ID. A [Store] calls it in Save. The error is a
// [*livemigration.InvalidRequestError], whose fields are paths in the JSON of the record.
func (r Record) Validate() error {
	if err := r.checkPassword(); err != nil {
		return err
	}
	var found violations
	problem := checkName(r.Plan.Name)
	found.add(problem != "", "plan.name", problem)
	found.add(!r.State.known(), "state", "is not known")
	found.add(r.Begun != nil && !r.mayBegin(r.Begun.Action), "begun.action",
		"must be validate for PLANNED, create for VALIDATED, cut over for READY, and none for other states but ABANDONED")
	unclear := r.Unclear == nil || r.Unclear.Action == ActionCreate || r.Unclear.Action == ActionCutover
	found.add(!unclear, "unclear.action", "must be create or cut over")
	found.add(r.State == StateValidating && r.ValidationID == "", "validationId", "must not be empty while VALIDATING")
	found.add(r.State.hasJob() && r.MigrationID == "", "migrationId", "must not be empty while "+string(r.State))
	seen := make(map[Gate]bool)
	for i, approval := range r.Approved {
		field := fmt.Sprintf("approved[%d].gate", i)
		found.add(!approval.Gate.known(), field, "is not known")
		found.add(seen[approval.Gate], field, "must not be there twice")
		seen[approval.Gate] = true
	}
	found.add(r.Problem != nil && !r.Problem.Kind.known(), "problem.kind", "is not known")
	found.add(r.Revision < 0, "revision", "must not be negative")
	return found.err()
}

// changesIn is the state in which each action that changes something starts.
var changesIn = map[Action]State{ActionValidate: StatePlanned, ActionCreate: StateValidated, ActionCutover: StateReady}

// mayBegin reports whether a record in this state may be stored with this action in progress.
func (r *Record) mayBegin(a Action) bool {
	return a.Changes() && (r.State == changesIn[a] || r.State == StateAbandoned)
}

// checkPassword comes before everything that could write the record.
func (r *Record) checkPassword() error {
	if r.Plan.Request.Source.Password == "" {
		return nil
	}
	return invalid("plan.request.source.password", noPassword)
}
