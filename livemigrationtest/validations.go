package livemigrationtest

import (
	"fmt"
	"time"

	"github.com/livemigration/livemigration-go"
)

// validation is a validation job.
type validation struct {
	direction
	id      string
	project string // of the path
	created time.Time
	failure string // the message with which it fails in the end, if failing
	failing bool
	failed  bool // by FailValidation, whatever the clock says
}

func (v *validation) status(now time.Time, t Timings) livemigration.ValidationStatus {
	switch {
	case v.failed:
		return livemigration.ValidationFailed
	case now.Sub(v.created) < t.Validation:
		return livemigration.ValidationPending
	case v.failing:
		return livemigration.ValidationFailed
	default:
		return livemigration.ValidationSuccess
	}
}

// wireValidation is a validation as Atlas writes it.
type wireValidation struct {
	ID           string `json:"_id"`
	GroupID      string `json:"groupId"`
	SourceID     string `json:"sourceGroupId"`
	Status       string `json:"status"`
	ErrorMessage string `json:"errorMessage,omitempty"`
}

func (s *Server) wireValidation(v *validation) wireValidation {
	status := v.status(s.clock.jobs(), s.state.timings)
	out := wireValidation{ID: v.id, GroupID: v.project, SourceID: string(v.source.ProjectID), Status: string(status)}
	if status == livemigration.ValidationFailed {
		out.ErrorMessage = v.failure
	}
	return out
}

func (s *Server) createValidation(c *call) (any, *apiError) {
	order := readOrder(c.body)
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	v := &validation{direction: order.direction, id: s.state.ids.next(), project: c.scope, created: s.clock.jobs()}
	v.failure, v.failing = shift(&s.state.nextValidations, v.direction)
	s.state.validations.add(v.id, v)
	return s.wireValidation(v), nil
}

func (s *Server) getValidation(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if v := s.state.validations.find(c.job); v != nil && v.project == c.scope {
		return s.wireValidation(v), nil
	}
	return nil, notFound(codeResourceNotFound, "validation", c.job)
}

// Validations returns the validation jobs as they are now, in the order of their creation.
func (s *Server) Validations() []livemigration.Validation {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	out := make([]livemigration.Validation, 0, len(s.state.validations.ordered))
	for _, v := range s.state.validations.ordered {
		w := s.wireValidation(v)
		out = append(out, livemigration.Validation{
			ID: livemigration.ValidationID(w.ID), ProjectID: livemigration.ProjectID(w.GroupID),
			SourceProjectID: livemigration.ProjectID(w.SourceID),
			Status:          livemigration.ValidationStatus(w.Status), ErrorMessage: w.ErrorMessage,
		})
	}
	return out
}

// FailNextValidation makes the next validation that is created end as FAILED with the message, after
// Timings.Validation. Several calls are for as many validations, in order.
func (s *Server) FailNextValidation(message string) { s.ForCluster("").FailNextValidation(message) }

// FailValidation makes a validation FAILED with the message now. It is an error when there is no such job or when it
// has ended.
func (s *Server) FailValidation(id livemigration.ValidationID, message string) error {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	v := s.state.validations.find(string(id))
	if v == nil {
		return fmt.Errorf("livemigrationtest: fail validation: there is no validation %s", id)
	}
	if status := v.status(s.clock.jobs(), s.state.timings); status.Final() {
		return fmt.Errorf("livemigrationtest: fail validation %s: it is %s", id, status)
	}
	v.failed, v.failure = true, message
	return nil
}
