package durable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/livemigration/livemigration-go"
)

// format is the number of the form in which records are written. It grows when a program that does not know the new form
// could do harm with it.
const format = 1

// wireRecord is a record in JSON.
type wireRecord struct {
	Format             int                         `json:"format"`
	Plan               Plan                        `json:"plan"`
	State              State                       `json:"state"`
	Begun              Action                      `json:"begun,omitempty"`
	ValidationID       livemigration.ValidationID  `json:"validationId,omitempty"`
	MigrationID        livemigration.MigrationID   `json:"migrationId,omitempty"`
	FormerMigrationIDs []livemigration.MigrationID `json:"formerMigrationIds,omitempty"`
	Migration          *livemigration.Migration    `json:"migration,omitempty"`
	ReadySince         time.Time                   `json:"readySince,omitzero"`
	CutOverAt          time.Time                   `json:"cutOverAt,omitzero"`
	CheckAt            time.Time                   `json:"checkAt,omitzero"`
	Updated            time.Time                   `json:"updated,omitzero"`
	Approved           []Gate                      `json:"approved,omitempty"`
	Granted            []Gate                      `json:"granted,omitempty"`
	Problem            string                      `json:"problem,omitempty"`
	ProblemSince       time.Time                   `json:"problemSince,omitzero"`
	Events             []Event                     `json:"events,omitempty"`
	Revision           int64                       `json:"revision"`
}

// MarshalJSON writes the record with the number of its format. A record with a password is an error.
func (r Record) MarshalJSON() ([]byte, error) {
	if err := r.checkPassword(); err != nil {
		return nil, err
	}
	return json.Marshal(wireRecord{
		format, r.Plan, r.State, r.Begun, r.ValidationID, r.MigrationID, r.FormerMigrationIDs, r.Migration,
		r.ReadySince, r.CutOverAt, r.CheckAt, r.Updated, r.Approved, r.Granted, r.Problem, r.ProblemSince, r.Events, r.Revision,
	})
}

// UnmarshalJSON reads a record. It is an error when the record is not valid, when it has a newer format, and when it
// holds a field that this version does not know, because that may say what must not be ignored.
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
	var w wireRecord
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return err
	}
	read := Record{
		w.Plan, w.State, w.Begun, w.ValidationID, w.MigrationID, w.FormerMigrationIDs, w.Migration,
		stamp(w.ReadySince), stamp(w.CutOverAt), stamp(w.CheckAt), stamp(w.Updated), w.Approved, w.Granted,
		w.Problem, stamp(w.ProblemSince), w.Events, w.Revision,
	}
	for i := range read.Events {
		read.Events[i].Time = stamp(read.Events[i].Time)
	}
	if err := read.Validate(); err != nil {
		return err
	}
	*r = read
	return nil
}

// Validate reports what makes a record unfit to be stored: a malformed name, a password, or an unknown state, action or
// gate. A [Store] calls it in Save. The error is a [*livemigration.InvalidRequestError]. Its fields are paths in the JSON
// of the record.
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
	reject(!r.Begun.known(), "begun", "is not known")
	for _, gate := range r.Approved {
		reject(!gate.known(), "approved", "holds a gate that is not known")
	}
	for _, gate := range r.Granted {
		reject(!r.approved(gate), "granted", "holds a gate that is not approved")
	}
	reject(r.Revision < 0, "revision", "must not be negative")
	if len(found) == 0 {
		return nil
	}
	return &livemigration.InvalidRequestError{Violations: found}
}

// checkPassword comes before everything that could write the record.
func (r *Record) checkPassword() error {
	if r.Plan.Request.Source.Password == "" {
		return nil
	}
	return &livemigration.InvalidRequestError{Violations: []livemigration.FieldViolation{{
		Field: "plan.request.source.password", Description: "must be empty: WithPassword gives it when it is needed",
	}}}
}
